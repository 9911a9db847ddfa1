//! The applications start from what is in their images alone. Needs root and a package archive.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use mkimage::{App, Format, Layers};

/// Puts the layers of an archive upon each other.
fn unpack(app: App, root: &Path) {
    let image = app.image("app:1", Layers::Plain).unwrap();
    let members = image.members(Format::DockerArchive).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&members["manifest.json"]).unwrap();
    for layer in manifest[0]["Layers"].as_array().unwrap() {
        let mut tar = Command::new("tar");
        tar.arg("-xf-").arg("-C").arg(root).stdin(Stdio::piped());
        let mut child = tar.spawn().unwrap();
        let bytes = &members[layer.as_str().unwrap()];
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        assert!(child.wait().unwrap().success());
    }
}

/// Each program runs with nothing but its image around it.
fn starts(app: App, programs: &[&[&str]]) {
    let root = tempfile::tempdir().unwrap();
    unpack(app, root.path());
    for program in programs {
        let mut chroot = Command::new("chroot");
        chroot.arg(root.path()).args(*program);
        let output = chroot.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap();
        assert!(output.status.success(), "{app:?} {program:?}: {output:?}");
    }
}

#[test]
fn redis_finds_its_libraries() {
    starts(App::Redis, &[&["redis-server", "--version"], &["redis-cli", "--version"]]);
}

#[test]
fn nginx_finds_its_libraries() {
    starts(App::Nginx, &[&["nginx", "-V"], &["wget", "--help"]]);
}

#[test]
fn python_finds_its_libraries() {
    starts(
        App::Python,
        &[&["python3", "-c", "import http.server, ssl, json"], &["sh", "-c", "true"]],
    );
}

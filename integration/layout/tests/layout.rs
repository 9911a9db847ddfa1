//! Fails when the repository no longer has the shape `docs/architecture.md` describes.

#![cfg(test)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use layout::floor;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn packages(metadata: &Value) -> Vec<&Value> {
    metadata["packages"].as_array().unwrap().iter().collect()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

#[test]
fn every_arrow_points_down() {
    let metadata = metadata();

    for package in packages(&metadata) {
        let Some(upper) = floor(name(package)) else { continue };
        for dependency in package["dependencies"].as_array().unwrap() {
            if dependency["kind"] == "dev" {
                continue;
            }
            let Some(lower) = floor(name(dependency)) else { continue };
            assert!(
                lower < upper,
                "{} (floor {upper}) must not see {} (floor {lower})",
                name(package),
                name(dependency)
            );
        }
    }
}

#[test]
fn every_crate_of_the_product_has_a_floor_and_no_other_package_does() {
    let metadata = metadata();

    for package in packages(&metadata) {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let inside = manifest.strip_prefix(root()).unwrap();
        let product = inside.starts_with("crates") || inside.starts_with("cni");
        assert_eq!(floor(name(package)).is_some(), product, "{}", inside.display());
    }
}

#[test]
fn heavy_dependencies_stay_in_their_crates() {
    let owners = [
        ("openraft", ["swarm-raft"].as_slice()),
        ("sled", &["swarm-raft", "swarm-agent"]),
        ("containerd-client", &["swarm-runtime"]),
        ("chacha20poly1305", &["swarm-crypto"]),
        ("rcgen", &["swarm-crypto"]),
        ("rtnetlink", &["swarm-net", "swarm-dev"]),
        ("clap", &["swarm", "mkimage"]),
        ("anyhow", &["swarm", "mkimage"]),
    ];
    let metadata = metadata();

    for package in packages(&metadata) {
        for dependency in package["dependencies"].as_array().unwrap() {
            if dependency["kind"] == "dev" {
                continue;
            }
            let owner = owners.iter().find(|(heavy, _)| *heavy == name(dependency));
            if let Some((heavy, allowed)) = owner {
                assert!(allowed.contains(&name(package)), "{} uses {heavy}", name(package));
            }
        }
    }
}

#[test]
fn the_top_level_holds_nothing_unexpected() {
    let expected: BTreeSet<&str> = [
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "clippy.toml",
        "cni",
        "crates",
        "deny.toml",
        "docs",
        "integration",
        "proto",
        "rust-toolchain.toml",
        "rustfmt.toml",
        "scripts",
        "target",
    ]
    .into();

    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.starts_with('.') || expected.contains(name.as_str()), "{name}");
    }
}

/// A crate-local `clippy.toml` replaces the root's, so it has to repeat what stands there.
#[test]
fn local_clippy_settings_repeat_the_root() {
    let read =
        |path: &Path| -> toml::Table { std::fs::read_to_string(path).unwrap().parse().unwrap() };
    let entries = |table: &toml::Table, key: &str| -> BTreeSet<String> {
        let list = table.get(key).and_then(toml::Value::as_array).cloned().unwrap_or_default();
        list.iter().map(ToString::to_string).collect()
    };
    let shared = read(&root().join("clippy.toml"));

    for package in packages(&metadata()) {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let local = manifest.with_file_name("clippy.toml");
        if !local.exists() {
            continue;
        }
        let local_settings = read(&local);
        for (key, value) in &shared {
            if value.is_array() {
                let missing: Vec<_> = entries(&shared, key)
                    .difference(&entries(&local_settings, key))
                    .cloned()
                    .collect();
                assert!(missing.is_empty(), "{} lacks {missing:?} in {key}", local.display());
            } else {
                assert_eq!(Some(value), local_settings.get(key), "{} {key}", local.display());
            }
        }
    }
}

#[test]
fn every_crate_inherits_the_lints() {
    for package in packages(&metadata()) {
        let manifest = package["manifest_path"].as_str().unwrap();
        let table: toml::Table = std::fs::read_to_string(manifest).unwrap().parse().unwrap();
        let inherits = table.get("lints").and_then(|lints| lints.get("workspace"));
        assert_eq!(inherits, Some(&toml::Value::Boolean(true)), "{manifest}");
    }
}

#[test]
fn every_test_target_is_of_a_suite() {
    let script = std::fs::read_to_string(root().join("scripts/test")).unwrap();
    let run: BTreeSet<&str> = script
        .split("--test ")
        .skip(1)
        .map(|after| after.split([' ', ';', '\n']).next().unwrap())
        .collect();
    let metadata = metadata();

    for target in packages(&metadata).iter().flat_map(|of| of["targets"].as_array().unwrap()) {
        let name = target["name"].as_str().unwrap();
        assert!(target["kind"][0] != "test" || run.contains(name), "scripts/test runs no {name}");
    }
}

//! A node's containerd: what it needs of the host, and nothing that tasks do not need.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use crate::DevError;
use crate::place::NodePlace;

/// What a node runs, each from the Debian package of the second name.
const PROGRAMS: [(&str, &str); 3] =
    [("containerd", "containerd"), ("containerd-shim-runc-v2", "containerd"), ("runc", "runc")];

/// Without the plug-ins it starts in a moment: some of them look for what no node here has.
const CONFIG: &str = r#"version = 2
disabled_plugins = [
  "io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]
"#;

/// Refuses a host that lacks a program, before anything is made.
pub(crate) fn check(path: &OsStr) -> Result<(), DevError> {
    let there = |program: &str| std::env::split_paths(path).any(|dir| dir.join(program).is_file());
    match PROGRAMS.into_iter().find(|(program, _)| !there(program)) {
        Some((program, package)) => Err(DevError::Missing { program, package }),
        None => Ok(()),
    }
}

pub(crate) fn config(place: &NodePlace) -> PathBuf {
    place.dir.join("containerd.toml")
}

pub(crate) fn write_config(place: &NodePlace) -> Result<(), DevError> {
    let path = config(place);
    fs::write(&path, CONFIG).map_err(DevError::io("write", &path))
}

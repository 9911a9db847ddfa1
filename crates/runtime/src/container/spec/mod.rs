//! What runc is told: Docker's defaults, the image's wishes, then the configuration's.
//!
//! One file per part of the specification. Everything is decided from the configuration, the
//! image and what [`host`] says of this machine; nothing is made here. What the host cannot do is
//! refused by the name of the field.

mod capabilities;
mod confine;
mod host;
mod limits;
mod mounts;
mod process;
mod seccomp;
mod sysctls;

use std::path::{Path, PathBuf};

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    LinuxBuilder, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType, RootBuilder, Spec,
    SpecBuilder,
};

use super::user::Identity;
use super::{ContainerConfig, Network};
use crate::Error;
use crate::image::ImageConfig;
pub(crate) use capabilities::ALL as CAPABILITIES;
pub(super) use host::Host;
pub(super) use mounts::{Planned, Source};

const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What a container's specification is made from.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) config: &'a ContainerConfig,
    pub(super) image: &'a ImageConfig,
    pub(super) identity: &'a Identity,
    /// Absolute within each hierarchy.
    pub(super) cgroup: &'a Path,
    /// Program for containers that ask for an init.
    pub(super) init: &'a Path,
    /// Mounts of the configuration, by the places they come from.
    pub(super) mounts: &'a [Planned],
    pub(super) host: &'a Host,
}

pub(super) fn build(parts: &Parts<'_>) -> Result<Spec, Error> {
    let Parts { config, host, .. } = *parts;
    let bounding = capabilities::bounding(config, host)?;
    let mut linux = LinuxBuilder::default()
        .cgroups_path(parts.cgroup)
        .resources(limits::resources(config.resources, host)?)
        .namespaces(namespaces(config, host).map_err(built)?)
        .sysctl(sysctls::sysctls(config, host)?)
        .masked_paths(MASKED.map(String::from))
        .readonly_paths(READ_ONLY.map(String::from));
    if let Some(seccomp) = seccomp::filter(&config.seccomp, &bounding, host)? {
        linux = linux.seccomp(seccomp);
    }
    if let Some(propagation) = mounts::root_propagation(parts.mounts) {
        linux = linux.rootfs_propagation(propagation);
    }
    if let Some(label) = confine::mount_label(config, host)? {
        linux = linux.mount_label(label);
    }
    let root = RootBuilder::default().path("rootfs").readonly(config.read_only);
    let spec = SpecBuilder::default()
        .version("1.0.2")
        .process(process::process(parts, &bounding)?)
        .root(root.build().map_err(built)?)
        .mounts(mounts::mounts(parts)?)
        .linux(linux.build().map_err(built)?);
    let mut spec = spec.build().map_err(built)?;
    // The builder's own defaults name the host, which needs a UTS namespace.
    spec.set_hostname(config.hostname.clone()).set_domainname(None);
    Ok(spec)
}

/// The specification's builders refuse only what is left out.
fn built(why: OciSpecError) -> Error {
    bad("spec", why.to_string())
}

fn bad(field: &'static str, why: impl Into<String>) -> Error {
    Error::BadConfig { field, why: why.into() }
}

fn namespaces(config: &ContainerConfig, host: &Host) -> Result<Vec<LinuxNamespace>, OciSpecError> {
    let mut kinds =
        vec![LinuxNamespaceType::Mount, LinuxNamespaceType::Pid, LinuxNamespaceType::Ipc];
    if config.hostname.is_some() {
        kinds.push(LinuxNamespaceType::Uts);
    }
    // As Docker: cgroup v1 shows its hierarchy, v2 hides what is above the container.
    if host.unified_cgroups {
        kinds.push(LinuxNamespaceType::Cgroup);
    }
    let own = kinds.into_iter().map(|kind| LinuxNamespaceBuilder::default().typ(kind).build());
    let joined = |path: &PathBuf| {
        let namespace = LinuxNamespaceBuilder::default().typ(LinuxNamespaceType::Network);
        namespace.path(path.clone()).build()
    };
    match &config.network {
        Network::Host => own.collect(),
        Network::Netns(path) => own.chain([joined(path)]).collect(),
    }
}

#[cfg(test)]
mod tests;

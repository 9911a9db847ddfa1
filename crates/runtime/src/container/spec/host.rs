//! What of this machine decides over a specification. Read once per container.

use std::fs::read_to_string;
use std::path::Path;

use super::mounts::{Planned, root_propagation};

const CGROUPS: &str = "/sys/fs/cgroup";

/// What the host can do.
#[derive(Clone, Debug, Default)]
pub(in crate::container) struct Host {
    pub(super) name: String,
    /// Major and minor version of the kernel.
    pub(super) kernel: (u32, u32),
    /// Number of the highest capability the kernel knows.
    pub(super) last_capability: usize,
    /// Version 2 alone, neither version 1 nor both.
    pub(super) unified_cgroups: bool,
    /// Swap can be bound.
    pub(super) counts_swap: bool,
    /// Swappiness can be set per cgroup.
    pub(super) has_swappiness: bool,
    /// Docker's `AppArmor` profile is there to be used.
    pub(super) apparmor: Loaded,
    pub(super) selinux: bool,
    /// `/proc/self/mountinfo`, when mounts are to travel: it grows with every container.
    pub(super) mountinfo: String,
    /// Files of a container that the host's are shown for.
    pub(super) shared_files: Vec<&'static str>,
    /// Parameters of network namespaces that Docker opens.
    pub(super) open_sysctls: Vec<(&'static str, &'static str)>,
}

/// Whether `AppArmor` confines here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Loaded {
    /// The host does not use it.
    #[default]
    Off,
    /// It does, without a profile for containers.
    NoProfile,
    /// The profile `docker-default` is loaded.
    Profile,
}

impl Host {
    /// As far as it matters to a container with these mounts.
    pub(in crate::container) fn read(mounts: &[Planned]) -> Self {
        let text = |path: &str| read_to_string(path).unwrap_or_default();
        let there = |path: &&str| Path::new(path).exists();
        let name = nix::unistd::gethostname().unwrap_or_default();
        let opened = [
            ("net.ipv4.ping_group_range", "0 2147483647"),
            ("net.ipv4.ip_unprivileged_port_start", "0"),
        ];
        let is_there =
            |(name, _): &(&str, &str)| Path::new("/proc/sys").join(name.replace('.', "/")).exists();
        Self {
            name: name.to_string_lossy().into_owned(),
            kernel: kernel(&text("/proc/sys/kernel/osrelease")),
            last_capability: text("/proc/sys/kernel/cap_last_cap").trim().parse().unwrap_or(0),
            unified_cgroups: there(&"/sys/fs/cgroup/cgroup.controllers"),
            counts_swap: counts_swap(&text("/proc/self/cgroup")),
            has_swappiness: there(&"/sys/fs/cgroup/memory/memory.swappiness"),
            apparmor: apparmor(
                &text("/sys/module/apparmor/parameters/enabled"),
                &text("/sys/kernel/security/apparmor/profiles"),
            ),
            selinux: there(&"/sys/fs/selinux/enforce"),
            mountinfo: root_propagation(mounts)
                .map_or_else(String::new, |_| text("/proc/self/mountinfo")),
            shared_files: ["/etc/hosts", "/etc/resolv.conf"].into_iter().filter(there).collect(),
            open_sysctls: opened.into_iter().filter(is_there).collect(),
        }
    }
}

/// Reads `6.1.0-18-amd64`.
fn kernel(release: &str) -> (u32, u32) {
    let mut numbers = release.trim().split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
    (next(), next())
}

/// runc refuses a bound on swap that it cannot set.
fn counts_swap(own: &str) -> bool {
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let unified = Path::new(CGROUPS).join(own).join("memory.swap.max");
    unified.exists() || Path::new(CGROUPS).join("memory/memory.memsw.limit_in_bytes").exists()
}

fn apparmor(enabled: &str, profiles: &str) -> Loaded {
    match enabled.trim() {
        "Y" if profiles.lines().any(|line| line.starts_with("docker-default ")) => Loaded::Profile,
        "Y" => Loaded::NoProfile,
        _ => Loaded::Off,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_up_to_the_minor_number() {
        assert_eq!(kernel("6.1.0-18-amd64\n"), (6, 1));
        assert_eq!(kernel("5.10"), (5, 10));
        assert_eq!(kernel(""), (0, 0));
    }

    #[test]
    fn a_profile_counts_when_it_is_loaded_and_used() {
        let profiles = "docker-default (enforce)\nother (complain)\n";
        assert_eq!(apparmor("Y\n", profiles), Loaded::Profile);
        assert_eq!(apparmor("Y\n", "docker-default-2 (enforce)\n"), Loaded::NoProfile);
        assert_eq!(apparmor("N\n", profiles), Loaded::Off);
        assert_eq!(apparmor("", ""), Loaded::Off);
    }
}

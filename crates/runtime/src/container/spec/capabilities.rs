//! Which capabilities a container may hold at all.

use std::collections::HashSet;

use oci_spec::OciSpecError;
use oci_spec::runtime::{Capability, LinuxCapabilities, LinuxCapabilitiesBuilder};

use super::{Host, bad};
use crate::Error;
use crate::container::ContainerConfig;
use crate::container::user::Identity;

/// All the kernel has, by number.
pub(crate) const ALL: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What Docker leaves a container that asks for nothing.
const DEFAULT: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// Capabilities by name, without `CAP_`.
pub(super) type Names = HashSet<&'static str>;

/// As Docker: adding wins over dropping, except that nothing dropped is part of an added `ALL`.
pub(super) fn bounding(config: &ContainerConfig, host: &Host) -> Result<Names, Error> {
    let known = &ALL[..ALL.len().min(host.last_capability + 1)];
    let add = wishes("capability_add", &config.capability_add, known)?;
    let drop = wishes("capability_drop", &config.capability_drop, known)?;
    let kept = |name: &&'static str| match &drop {
        Wish::All => false,
        Wish::Some(drop) => !drop.contains(name),
    };
    Ok(match add {
        // Dropping all of all would leave nothing; Docker takes what is named then, and that is
        // nothing too.
        Wish::All => known.iter().copied().filter(kept).collect(),
        Wish::Some(add) => DEFAULT.into_iter().filter(kept).chain(add).collect(),
    })
}

enum Wish {
    All,
    Some(Names),
}

fn wishes(field: &'static str, wishes: &[String], known: &[&'static str]) -> Result<Wish, Error> {
    let mut names = Names::new();
    for wish in wishes {
        let name = wish.to_ascii_uppercase();
        let name = name.strip_prefix("CAP_").unwrap_or(&name);
        if name == "ALL" {
            return Ok(Wish::All);
        }
        let found = known.iter().find(|known| **known == name);
        let unknown = || bad(field, format!("this host has no capability {wish:?}"));
        names.insert(found.ok_or_else(unknown)?);
    }
    Ok(Wish::Some(names))
}

/// Only root holds capabilities from the start; others may get them through set-uid programs.
pub(super) fn capabilities(
    bounding: &Names,
    identity: &Identity,
) -> Result<LinuxCapabilities, OciSpecError> {
    let all: HashSet<Capability> = bounding.iter().filter_map(|name| name.parse().ok()).collect();
    let held = if identity.uid == 0 { all.clone() } else { HashSet::new() };
    LinuxCapabilitiesBuilder::default()
        .bounding(all)
        .effective(held.clone())
        .permitted(held)
        .inheritable(HashSet::new())
        .ambient(HashSet::new())
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounding(add: &str, drop: &str) -> Option<Vec<&'static str>> {
        let words = |text: &str| text.split_whitespace().map(String::from).collect();
        let (capability_add, capability_drop) = (words(add), words(drop));
        let config =
            ContainerConfig { capability_add, capability_drop, ..ContainerConfig::default() };
        let host = Host { last_capability: 40, ..Host::default() };
        let mut names: Vec<_> = super::bounding(&config, &host).ok()?.into_iter().collect();
        names.sort_unstable();
        Some(names)
    }

    #[test]
    fn adding_and_dropping_is_as_in_docker() {
        let mut default = DEFAULT.to_vec();
        default.sort_unstable();
        assert_eq!(bounding("", ""), Some(default.clone()));
        assert_eq!(bounding("", "ALL"), Some(vec![]));
        assert_eq!(bounding("CAP_SYS_TIME", "all"), Some(vec!["SYS_TIME"]));
        assert_eq!(bounding("chown", "cap_chown"), Some(default));
        assert_eq!(bounding("ALL", "").unwrap().len(), 41);
        assert_eq!(bounding("ALL", "CAP_SYS_ADMIN").unwrap().len(), 40);
        assert!(!bounding("", "CAP_MKNOD").unwrap().contains(&"MKNOD"));
        assert_eq!(bounding("CAP_NOTHING", ""), None);
        assert_eq!(bounding("", "CAP_"), None);
    }

    #[test]
    fn every_name_is_one_of_the_specification() {
        for name in ALL {
            assert!(name.parse::<Capability>().is_ok(), "{name}");
        }
    }

    #[test]
    fn a_kernel_without_a_capability_cannot_give_it() {
        let host = Host { last_capability: 37, ..Host::default() };
        let wanted = |name: &str| ContainerConfig {
            capability_add: vec![name.into()],
            ..ContainerConfig::default()
        };
        assert!(super::bounding(&wanted("CAP_BPF"), &host).is_err());
        assert_eq!(super::bounding(&wanted("ALL"), &host).unwrap().len(), 38);
    }
}

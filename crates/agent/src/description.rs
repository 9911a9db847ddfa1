//! What this node says of itself: only what is true now.

use std::fs;
use std::thread;

use swarm_types::object::node::{NodeDescription, TlsInfo};
use swarm_types::spec::task::Platform;

use crate::executor::template::NodeFacts;

/// What does not change while the daemon runs; the rest is read when a session opens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    /// Replaces the host's name when not empty.
    pub(crate) hostname: String,
    pub(crate) engine_version: String,
}

/// Describes this node. What cannot be read is left empty.
pub(crate) fn describe(identity: &Identity, tls: TlsInfo) -> NodeDescription {
    let uname = nix::sys::utsname::uname().ok();
    let word = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
    let hostname = match &identity.hostname {
        given if !given.is_empty() => given.clone(),
        _ => uname.as_ref().map(|uname| word(uname.nodename())).unwrap_or_default(),
    };
    let architecture = uname.as_ref().map(|uname| word(uname.machine())).unwrap_or_default();
    NodeDescription {
        hostname,
        platform: Platform { architecture, os: "linux".to_owned() },
        nano_cpus: nano_cpus(),
        memory_bytes: memory_bytes(&fs::read_to_string("/proc/meminfo").unwrap_or_default()),
        engine_version: identity.engine_version.clone(),
        tls,
        ..NodeDescription::default()
    }
}

/// What of it placeholders may name.
pub(crate) fn facts(description: &NodeDescription) -> NodeFacts {
    NodeFacts {
        hostname: description.hostname.clone(),
        architecture: description.platform.architecture.clone(),
        os: description.platform.os.clone(),
    }
}

/// Differs after every boot of the machine.
pub(crate) fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

fn nano_cpus() -> i64 {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    i64::try_from(cpus).unwrap_or(1).saturating_mul(1_000_000_000)
}

fn memory_bytes(meminfo: &str) -> i64 {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<i64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_its_line() {
        let meminfo = "MemFree:  1 kB\nMemTotal:       16291272 kB\nBuffers: 2 kB\n";

        assert_eq!(memory_bytes(meminfo), 16_291_272 * 1024);
        assert_eq!(memory_bytes("MemTotal: a lot"), 0);
    }

    #[test]
    fn a_node_says_who_it_is_and_what_it_has() {
        let identity = Identity { hostname: "n1".to_owned(), engine_version: "0.1.0".to_owned() };

        let description = describe(&identity, TlsInfo::default());

        assert_eq!(description.hostname, "n1");
        assert!(!describe(&Identity::default(), TlsInfo::default()).hostname.is_empty());
        assert!(description.nano_cpus > 0 && description.memory_bytes > 0);
        assert!(!description.platform.architecture.is_empty());
        assert_eq!(description.plugins, []);
        assert!(!boot_id().is_empty());
    }
}

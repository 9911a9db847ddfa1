//! Kernel parameters, as far as they belong to the container alone.

use std::collections::HashMap;

use super::{Host, bad};
use crate::Error;
use crate::container::{ContainerConfig, Network};

/// Of IPC namespaces, which every container has.
const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// As Docker, in a network of its own any user may open low ports and send pings.
pub(super) fn sysctls(
    config: &ContainerConfig,
    host: &Host,
) -> Result<HashMap<String, String>, Error> {
    let opened = match config.network {
        Network::Host => &[][..],
        Network::Netns(_) => &host.open_sysctls,
    };
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let mut sysctls: HashMap<String, String> = opened.iter().map(owned).collect();
    for (given, value) in &config.sysctls {
        let name = dotted(given);
        check(&name, config)?;
        sysctls.insert(name, value.clone());
    }
    Ok(sysctls)
}

fn check(name: &str, config: &ContainerConfig) -> Result<(), Error> {
    let refuse = |why: &str| Err(bad("sysctls", format!("{name}: {why}")));
    // Some runtimes read a slash in a name as a dot: no part of it may lead up.
    if name.split(['.', '/']).any(str::is_empty) {
        return refuse("is no name");
    }
    if IPC.contains(&name) || name.starts_with("fs.mqueue.") {
        return Ok(());
    }
    if name.starts_with("net.") {
        return match config.network {
            Network::Host => refuse("would change the host's network, which the container shares"),
            Network::Netns(_) => Ok(()),
        };
    }
    match name {
        "kernel.domainname" if config.hostname.is_some() => Ok(()),
        "kernel.domainname" | "kernel.hostname" => refuse("set the host name instead"),
        _ => refuse("is not a container's own: it would change the whole host"),
    }
}

/// Slashes part words as dots do; whichever comes first decides, as sysctl(8) has it.
fn dotted(name: &str) -> String {
    match name.find(['.', '/']).map(|at| name.as_bytes()[at]) {
        Some(b'/') => name
            .chars()
            .map(|c| match c {
                '/' => '.',
                '.' => '/',
                other => other,
            })
            .collect(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, network: Network) -> Result<HashMap<String, String>, String> {
        let sysctls = [(name.to_owned(), "1".to_owned())].into();
        let config = ContainerConfig { sysctls, network, ..ContainerConfig::default() };
        let open_sysctls = vec![("net.ipv4.ip_unprivileged_port_start", "0")];
        let host = Host { open_sysctls, ..Host::default() };
        super::sysctls(&config, &host).map_err(|refused| refused.to_string())
    }

    #[test]
    fn only_what_is_the_containers_own_can_be_set() {
        let own = || Network::Netns("/run/netns/x".into());
        for name in ["kernel.shmmax", "fs.mqueue.msg_max", "fs/mqueue/msg_max"] {
            assert!(found(name, Network::Host).is_ok(), "{name}");
        }
        for name in ["kernel.panic", "vm.swappiness", "fs.file-max", "kernel.hostname", "net"] {
            assert!(found(name, own()).unwrap_err().contains(name), "{name}");
        }
        for name in ["net.ipv4.//.//.kernel.panic", "net/../kernel/panic", "net.", "fs.mqueue."] {
            assert!(found(name, own()).unwrap_err().contains("no name"), "{name}");
        }
        assert!(found("net/ipv4/conf/eth0.1/forwarding", own()).is_ok());
        assert!(found("net.core.somaxconn", Network::Host).unwrap_err().contains("host's network"));
        assert!(found("net.core.somaxconn", own()).is_ok());
    }

    #[test]
    fn low_ports_are_open_in_a_network_of_its_own_unless_said_otherwise() {
        let own = || Network::Netns("/run/netns/x".into());
        let port = "net.ipv4.ip_unprivileged_port_start";
        assert_eq!(found("net.core.somaxconn", own()).unwrap()[port], "0");
        assert_eq!(found("net/ipv4/ip_unprivileged_port_start", own()).unwrap()[port], "1");
        assert!(!found("kernel.shmmax", Network::Host).unwrap().contains_key(port));
    }
}

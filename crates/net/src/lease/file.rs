//! A lease as text: `address A`, then one `port PROTOCOL TARGET PUBLISHED` per port.
//!
//! Nothing here is synced. What a lease acknowledges is in the kernel, and a power loss takes that
//! with it: the tasks of a node that boots are new ones. A file may be lost or empty then; either
//! reads as no lease, no subnet picked and no settings remembered yet.

use std::fs;
use std::io;
use std::path::Path;

use swarm_types::spec::service::Protocol;

use super::Lease;
use crate::error::NetError;
use crate::wish::HostPort;

pub(super) fn render(lease: &Lease) -> String {
    let address = lease.address.map(|address| format!("address {address}\n")).unwrap_or_default();
    let ports = lease.ports.iter().map(|port| {
        format!("port {} {} {}\n", port.protocol.as_str(), port.target, port.published)
    });
    address + &ports.collect::<String>()
}

/// `None` for what [`render`] did not write, as a power loss can leave.
pub(super) fn parse(text: &str) -> Option<Lease> {
    let mut lease = Lease::default();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["address", address] => lease.address = Some(address.parse().ok()?),
            ["port", protocol, target, published] => lease.ports.push(HostPort {
                protocol: protocol_of(protocol)?,
                target: target.parse().ok()?,
                published: published.parse().ok().filter(|port| *port != 0)?,
            }),
            _ => return None,
        }
    }
    Some(lease)
}

fn protocol_of(word: &str) -> Option<Protocol> {
    [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].into_iter().find(|one| one.as_str() == word)
}

/// Replaces a file in one step.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), NetError> {
    let draft = path.with_extension("new~");
    let failed = |source| NetError::file("write", path, source);
    fs::write(&draft, text).map_err(failed)?;
    fs::rename(&draft, path).map_err(failed)
}

/// The text of a file; `None` if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>, NetError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(NetError::file("read", path, error)),
    }
}

/// Removes a file, if there is one.
pub(crate) fn remove(path: &Path) -> Result<(), NetError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(NetError::file("remove", path, error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_port() -> impl Strategy<Value = HostPort> {
        let protocols = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
        (prop::sample::select(protocols.to_vec()), 1..=u16::MAX, 1..=u16::MAX)
            .prop_map(|(protocol, target, published)| HostPort { protocol, target, published })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            address: Option<std::net::Ipv4Addr>,
            ports in prop::collection::vec(any_port(), 0..5),
        ) {
            let lease = Lease { address, ports };
            prop_assert_eq!(parse(&render(&lease)), Some(lease));
        }

        #[test]
        fn a_torn_file_is_no_other_lease(text in "\\PC*") {
            if let Some(lease) = parse(&text) {
                prop_assert!(lease.ports.iter().all(|port| port.published != 0));
            }
        }
    }
}

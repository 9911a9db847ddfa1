//! Which ports of this host are free for tasks.

use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, SockaddrIn, bind, setsockopt, socket, sockopt,
};
use rand::RngExt;
use swarm_types::spec::service::Protocol;

/// First of the ports that are chosen, as Docker chooses them.
pub(crate) const FIRST: u16 = 32768;
/// Last of the ports that are chosen.
pub(crate) const LAST: u16 = 60999;

/// Every port that may be chosen, from a random one on, so that one just freed is not the next.
pub(crate) fn candidates() -> impl Iterator<Item = u16> {
    let start = rand::rng().random_range(FIRST..=LAST);
    let reserved = crate::sysctl::read("net/ipv4/ip_local_reserved_ports").unwrap_or_default();
    let reserved = ranges(&reserved);
    (start..=LAST)
        .chain(FIRST..start)
        .filter(move |port| !reserved.iter().any(|(first, last)| (*first..=*last).contains(port)))
}

/// Reads `8080,9000-9010`; what is not a port or range is left out.
fn ranges(text: &str) -> Vec<(u16, u16)> {
    let range = |word: &str| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
    };
    text.split(',').filter_map(range).collect()
}

/// Whether no process of this host has the port.
///
/// Asked by binding it for a moment: a listener on any address stands in the way, old connections
/// do not. A protocol the kernel lacks has no listeners.
pub(crate) fn is_free(protocol: Protocol, port: u16) -> bool {
    let (kind, number) = match protocol {
        Protocol::Tcp => (SockType::Stream, SockProtocol::Tcp),
        Protocol::Udp => (SockType::Datagram, SockProtocol::Udp),
        Protocol::Sctp => (SockType::Stream, SockProtocol::Sctp),
    };
    let flags = SockFlag::SOCK_CLOEXEC;
    let Ok(probe) = socket(AddressFamily::Inet, kind, flags, number) else { return true };
    if protocol == Protocol::Tcp && setsockopt(&probe, sockopt::ReuseAddr, &true).is_err() {
        return false;
    }
    bind(probe.as_raw_fd(), &SockaddrIn::new(0, 0, 0, 0, port)) != Err(Errno::EADDRINUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_ports_are_read() {
        assert_eq!(ranges("8080,9000-9010\n"), [(8080, 8080), (9000, 9010)]);
        assert_eq!(ranges("\n"), []);
    }

    #[test]
    fn a_listener_is_seen() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();

        assert!(!is_free(Protocol::Tcp, port));
    }
}

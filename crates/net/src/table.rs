//! What the nft table `swarm` says: the whole firewall of the gateway bridge.
//!
//! Tasks reach the world under the node's address, and are reached only through published ports.
//! A published port leads to its task from everywhere: from outside, from the host by any of its
//! addresses and 127.0.0.1, and from the node's own tasks. Where the reply could take another way
//! back than through the host, the source is translated as well.

use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;
use swarm_types::spec::service::Protocol;

use crate::lease::Lease;
use crate::netlink::nft::expr::Expr;
use crate::netlink::nft::{Chain, Element, Hook, Rule};

/// The map of (protocol, published port) to (address, target port).
pub(crate) const PORTS: &str = "ports";

const RAW: &str = "raw";
const FORWARD: &str = "forward";
const PUBLISH: &str = "publish";
const PUBLISH_LOCAL: &str = "publish-local";
const LEAVE: &str = "leave";

/// The chains, in the order they are made.
pub(crate) const CHAINS: [Chain; 5] = [
    Chain { name: RAW, kind: "filter", hook: Hook::Prerouting, priority: -300 },
    Chain { name: FORWARD, kind: "filter", hook: Hook::Forward, priority: 0 },
    Chain { name: PUBLISH, kind: "nat", hook: Hook::Prerouting, priority: -100 },
    Chain { name: PUBLISH_LOCAL, kind: "nat", hook: Hook::Output, priority: -100 },
    Chain { name: LEAVE, kind: "nat", hook: Hook::Postrouting, priority: 100 },
];

const LOOPBACK: Ipv4Network = match Ipv4Network::new_checked(Ipv4Addr::new(127, 0, 0, 0), 8) {
    Some(network) => network,
    None => unreachable!(),
};

/// The rules of one of [`CHAINS`].
pub(crate) fn rules(chain: &str, bridge: &str, subnet: Ipv4Network) -> Vec<Rule> {
    use Expr::{
        Destination, Drop, Ipv4, Masquerade, NotFrom, NotTo, NotTranslated, Source, To, ToThisHost,
        TranslateBy, Translated, Unknown,
    };
    let bridge = bridge.to_owned();
    match chain {
        // `route_localnet` lets 127.0.0.1 leave through the bridge; nobody may come in by it.
        RAW => vec![Rule(vec![Ipv4, NotFrom("lo".to_owned()), Destination(LOOPBACK), Drop])],
        FORWARD => {
            vec![Rule(vec![To(bridge.clone()), NotFrom(bridge), Unknown, NotTranslated, Drop])]
        }
        PUBLISH | PUBLISH_LOCAL => vec![Rule(vec![Ipv4, ToThisHost, TranslateBy(PORTS)])],
        LEAVE => vec![
            Rule(vec![Ipv4, Source(subnet), NotTo(bridge.clone()), Masquerade]),
            Rule(vec![Ipv4, Source(subnet), To(bridge.clone()), Translated, Masquerade]),
            Rule(vec![Ipv4, Source(LOOPBACK), To(bridge), Translated, Masquerade]),
        ],
        _ => Vec::new(),
    }
}

/// What lets our packets through a chain of somebody else's. The same words as `iptables -i` and
/// `-o` would leave, so that it still reads its table.
pub(crate) fn guest_rules(bridge: &str) -> [Rule; 2] {
    [Expr::From(bridge.to_owned()), Expr::To(bridge.to_owned())]
        .map(|link| Rule(vec![link, Expr::Count, Expr::Accept]))
}

/// What the map says for one lease.
pub(crate) fn elements(lease: &Lease) -> Vec<Element> {
    let Some(address) = lease.address else { return Vec::new() };
    let element = |port: &crate::wish::HostPort| {
        (key(port.protocol, port.published), data(address, port.target))
    };
    lease.ports.iter().map(element).collect()
}

fn key(protocol: Protocol, published: u16) -> Vec<u8> {
    let protocol = match protocol {
        Protocol::Tcp => libc::IPPROTO_TCP,
        Protocol::Udp => libc::IPPROTO_UDP,
        Protocol::Sctp => libc::IPPROTO_SCTP,
    };
    let [high, low] = published.to_be_bytes();
    vec![protocol.to_le_bytes()[0], 0, 0, 0, high, low, 0, 0]
}

fn data(address: Ipv4Addr, target: u16) -> Vec<u8> {
    let [a, b, c, d] = address.octets();
    let [high, low] = target.to_be_bytes();
    vec![a, b, c, d, high, low, 0, 0]
}

//! Links, addresses and routes: one verb per function, no policy.
//!
//! A verb returns the message; whoever sends it may send several at once.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

use ipnetwork::Ipv4Network;

use super::message::{ACK, CREATE, DUMP, EXCL, Message, REPLACE, attributes, find, number, text};
use super::socket::Socket;

/// A link is there, or has changed.
pub(crate) const NEWLINK: u16 = 16;
/// A link is gone, or to be removed.
pub(crate) const DELLINK: u16 = 17;
const GETLINK: u16 = 18;
const NEWADDR: u16 = 20;
const DELADDR: u16 = 21;
const GETADDR: u16 = 22;
const NEWROUTE: u16 = 24;
const GETROUTE: u16 = 26;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_NET_NS_FD: u16 = 28;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const INFO_SLAVE_KIND: u16 = 4;
const INFO_SLAVE_DATA: u16 = 5;
const BRPORT_STATE: u16 = 1;
const BRPORT_ISOLATED: u16 = 33;
const VETH_INFO_PEER: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_ADDRESS: u16 = 1;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;

const UP: u32 = 1;
const INET: u8 = 2;
const INET6: u16 = 10;

/// A hardware address.
pub(crate) type Mac = [u8; 6];

/// A link as the kernel shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// What an operator reads beside the name; the id of its task on links of ours.
    pub(crate) alias: String,
    pub(crate) kind: String,
    pub(crate) up: bool,
    /// Index of the bridge it is a port of; 0 for none.
    pub(crate) master: u32,
    /// Whether it is a port that reaches no other isolated one.
    pub(crate) isolated: bool,
    /// Whether it is a port that passes frames; it does a moment after both ends are up.
    pub(crate) forwarding: bool,
    pub(crate) mac: Option<Mac>,
}

/// One address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) link: u32,
    pub(crate) network: Ipv4Network,
}

/// One route of the tables that decide where packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// Where it leads; prefix 0 for a default route.
    pub(crate) to: Ipv4Network,
    /// Index of the link; 0 for none or several.
    pub(crate) link: u32,
    pub(crate) gateway: Option<Ipv4Addr>,
}

fn ifinfo(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..].copy_from_slice(&change.to_ne_bytes());
    fixed
}

/// Makes a bridge that is up. Its address is fixed, or it would follow its ports'.
pub(crate) fn create_bridge(name: &str, mac: Mac) -> Message {
    Message::new(NEWLINK, ACK | CREATE | EXCL, &ifinfo(0, UP, UP))
        .text(IFLA_IFNAME, name)
        .attr(IFLA_ADDRESS, &mac)
        .nest(IFLA_LINKINFO, |info| info.text(INFO_KIND, "bridge"))
}

/// A pair of links: one here, one in another namespace. Both are down.
pub(crate) struct Pair<'a> {
    /// The end in the socket's namespace, a port of the bridge `master`.
    pub(crate) name: &'a str,
    pub(crate) alias: &'a str,
    pub(crate) master: u32,
    /// Where the other end goes, and how it is known there.
    pub(crate) netns: BorrowedFd<'a>,
    pub(crate) inside: &'a str,
    pub(crate) mac: Mac,
}

/// Makes the pair, then says beside its name whose it is: the kernel takes that only afterwards.
pub(crate) fn create_pair(pair: &Pair<'_>) -> Vec<Message> {
    let netns = pair.netns.as_raw_fd().cast_unsigned();
    let create = Message::new(NEWLINK, ACK | CREATE | EXCL, &ifinfo(0, 0, 0))
        .text(IFLA_IFNAME, pair.name)
        .u32(IFLA_MASTER, pair.master)
        .nest(IFLA_LINKINFO, |info| {
            info.text(INFO_KIND, "veth").nest(INFO_DATA, |data| {
                data.nest(VETH_INFO_PEER, |peer| {
                    peer.fixed(&ifinfo(0, 0, 0))
                        .text(IFLA_IFNAME, pair.inside)
                        .attr(IFLA_ADDRESS, &pair.mac)
                        .u32(IFLA_NET_NS_FD, netns)
                })
            })
        });
    let label = Message::new(NEWLINK, ACK, &ifinfo(0, 0, 0))
        .text(IFLA_IFNAME, pair.name)
        .text(IFLA_IFALIAS, pair.alias);
    vec![create, label]
}

/// Makes a link a port of a bridge.
pub(crate) fn enslave(name: &str, master: u32) -> Message {
    Message::new(NEWLINK, ACK, &ifinfo(0, 0, 0)).text(IFLA_IFNAME, name).u32(IFLA_MASTER, master)
}

/// Cuts a port off from the bridge's other isolated ports, then brings it up.
pub(crate) fn isolate(name: &str) -> Message {
    Message::new(NEWLINK, ACK, &ifinfo(0, UP, UP)).text(IFLA_IFNAME, name).nest(
        IFLA_LINKINFO,
        |info| {
            info.text(INFO_SLAVE_KIND, "bridge")
                .nest(INFO_SLAVE_DATA, |data| data.u8(BRPORT_ISOLATED, 1))
        },
    )
}

/// Keeps a link from getting an IPv6 address when it comes up. The kernel needs to have IPv6.
pub(crate) fn without_ipv6(name: &str) -> Message {
    const IFLA_AF_SPEC: u16 = 26;
    const ADDR_GEN_MODE: u16 = 8;
    const NONE: u8 = 1;
    Message::new(NEWLINK, ACK, &ifinfo(0, 0, 0))
        .text(IFLA_IFNAME, name)
        .nest(IFLA_AF_SPEC, |families| families.nest(INET6, |inet6| inet6.u8(ADDR_GEN_MODE, NONE)))
}

pub(crate) fn set_up(index: u32) -> Message {
    Message::new(NEWLINK, ACK, &ifinfo(index, UP, UP))
}

pub(crate) fn delete_link(name: &str) -> Message {
    Message::new(DELLINK, ACK, &ifinfo(0, 0, 0)).text(IFLA_IFNAME, name)
}

fn address(kind: u16, flags: u16, link: u32, network: Ipv4Network) -> Message {
    let mut fixed = [INET, network.prefix(), 0, 0, 0, 0, 0, 0];
    fixed[4..].copy_from_slice(&link.to_ne_bytes());
    let octets = network.ip().octets();
    Message::new(kind, ACK | flags, &fixed).attr(IFA_LOCAL, &octets).attr(IFA_ADDRESS, &octets)
}

pub(crate) fn add_address(link: u32, network: Ipv4Network) -> Message {
    address(NEWADDR, CREATE | REPLACE, link, network)
}

pub(crate) fn delete_address(link: u32, network: Ipv4Network) -> Message {
    address(DELADDR, 0, link, network)
}

pub(crate) fn default_route(link: u32, gateway: Ipv4Addr) -> Message {
    let fixed =
        [INET, 0, 0, 0, libc::RT_TABLE_MAIN, libc::RTPROT_STATIC, 0, libc::RTN_UNICAST, 0, 0, 0, 0];
    Message::new(NEWROUTE, ACK | CREATE | REPLACE, &fixed)
        .attr(RTA_GATEWAY, &gateway.octets())
        .u32(RTA_OIF, link)
}

/// Every link of the socket's namespace.
pub(crate) fn links(socket: &mut Socket) -> io::Result<Vec<Link>> {
    let all = dump(socket, || Message::new(GETLINK, DUMP, &ifinfo(0, 0, 0)))?;
    Ok(all.iter().map(|body| parse_link(body)).collect())
}

/// One link by name.
pub(crate) fn link(socket: &mut Socket, name: &str) -> io::Result<Option<Link>> {
    match socket.ask(Message::new(GETLINK, 0, &ifinfo(0, 0, 0)).text(IFLA_IFNAME, name)) {
        Ok(answers) => Ok(answers.first().map(|answer| parse_link(&answer.body))),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a link from the body of a message about it.
pub(crate) fn parse_link(body: &[u8]) -> Link {
    let mut link =
        Link { index: number(body, 4), up: number(body, 8) & UP != 0, ..Link::default() };
    for (kind, value) in attributes(body.get(16..).unwrap_or_default()) {
        match kind {
            IFLA_IFNAME => text(value).clone_into(&mut link.name),
            IFLA_IFALIAS => text(value).clone_into(&mut link.alias),
            IFLA_MASTER => link.master = number(value, 0),
            IFLA_ADDRESS => link.mac = value.try_into().ok(),
            IFLA_LINKINFO => {
                text(find(value, INFO_KIND)).clone_into(&mut link.kind);
                let port = find(value, INFO_SLAVE_DATA);
                link.isolated = find(port, BRPORT_ISOLATED).first() == Some(&1);
                link.forwarding = find(port, BRPORT_STATE).first() == Some(&3);
            }
            _ => {}
        }
    }
    link
}

/// Every IPv4 address of the socket's namespace.
pub(crate) fn addresses(socket: &mut Socket) -> io::Result<Vec<Address>> {
    let all = dump(socket, || Message::new(GETADDR, DUMP, &[INET, 0, 0, 0, 0, 0, 0, 0]))?;
    let parse = |body: &Vec<u8>| {
        let local = ipv4(find(body.get(8..)?, IFA_LOCAL))?;
        let network = Ipv4Network::new(local, *body.get(1)?).ok()?;
        Some(Address { link: number(body, 4), network })
    };
    Ok(all.iter().filter_map(parse).collect())
}

/// Every IPv4 route that is not the kernel's own to local and broadcast addresses.
pub(crate) fn routes(socket: &mut Socket) -> io::Result<Vec<Route>> {
    let all =
        dump(socket, || Message::new(GETROUTE, DUMP, &[INET, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]))?;
    let parse = |body: &Vec<u8>| {
        let (prefix, table, tail) = (*body.get(1)?, *body.get(4)?, body.get(12..)?);
        if table == libc::RT_TABLE_LOCAL {
            return None;
        }
        let to = ipv4(find(tail, RTA_DST)).unwrap_or(Ipv4Addr::UNSPECIFIED);
        let to = Ipv4Network::new(to, prefix).ok()?;
        Some(Route {
            to,
            link: number(find(tail, RTA_OIF), 0),
            gateway: ipv4(find(tail, RTA_GATEWAY)),
        })
    };
    Ok(all.iter().filter_map(parse).collect())
}

fn ipv4(value: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from)
}

/// Asks again while the kernel's table changes under the answer, a few times.
fn dump(socket: &mut Socket, question: impl Fn() -> Message) -> io::Result<Vec<Vec<u8>>> {
    let mut tries = 0;
    loop {
        match socket.ask(question()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted && tries < 10 => tries += 1,
            other => return Ok(other?.into_iter().map(|answer| answer.body).collect()),
        }
    }
}

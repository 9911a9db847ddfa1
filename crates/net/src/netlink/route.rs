//! Links, addresses and routes over `rtnetlink`: one verb per function, no policy.
//!
//! A verb returns the message; [`Route`] sends it. Messages are those of `rtnetlink`'s packets and
//! not its finished requests, which keep from the caller whether a dump was torn.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use ipnetwork::Ipv4Network;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
};
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{
    AfSpecInet6, AfSpecUnspec, BridgePortState, In6AddrGenMode, InfoBridgePort, InfoData, InfoKind,
    InfoPortData, InfoPortKind, InfoVeth, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo,
    LinkMessage,
};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{
    LinkBridge, LinkBridgePort, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder,
};

pub(crate) use super::connection::{Links, Route};
use super::heard::Heard;

/// What is said to the kernel about its links, addresses and routes.
pub(crate) type Message = NetlinkMessage<Heard>;

/// A hardware address.
pub(crate) type Mac = [u8; 6];

/// A link as the kernel shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// What an operator reads beside the name; the id of its task on links of ours.
    pub(crate) alias: String,
    pub(crate) is_bridge: bool,
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

/// One way of the tables that decide where packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// Where it leads; prefix 0 for a default route.
    pub(crate) to: Ipv4Network,
    /// Index of the link; 0 for none or several.
    pub(crate) link: u32,
    pub(crate) gateway: Option<Ipv4Addr>,
}

fn question(what: RouteNetlinkMessage, flags: u16) -> Message {
    let mut message = Message::from(Heard(what));
    message.header.flags = NLM_F_REQUEST | flags;
    message
}

/// Says how a link should be; makes it if `flags` say so.
pub(crate) fn link_is(link: LinkMessage, flags: u16) -> Message {
    // Not `SetLink`, which takes no settings of a bridge's port.
    question(RouteNetlinkMessage::NewLink(link), NLM_F_ACK | flags)
}

/// Makes a bridge that is up. Its address is fixed, or it would follow its ports'.
pub(crate) fn create_bridge(name: &str, mac: Mac) -> Message {
    let bridge = LinkBridge::new(name).address(mac.to_vec()).up().build();
    link_is(bridge, NLM_F_CREATE | NLM_F_EXCL)
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
pub(crate) fn create_pair(pair: &Pair<'_>) -> [Message; 2] {
    let peer = LinkUnspec::new_with_name(pair.inside)
        .address(pair.mac.to_vec())
        .setns_by_fd(pair.netns.as_raw_fd());
    let link = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .name(pair.name)
        .controller(pair.master)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer.build())));
    let label = LinkUnspec::new_with_name(pair.name).alias(pair.alias);
    [link_is(link.build(), NLM_F_CREATE | NLM_F_EXCL), link_is(label.build(), 0)]
}

/// Makes a link a port of a bridge.
pub(crate) fn enslave(name: &str, master: u32) -> Message {
    link_is(LinkUnspec::new_with_name(name).controller(master).build(), 0)
}

/// Cuts a port off from the bridge's other isolated ports, then brings it up.
pub(crate) fn isolate(name: &str) -> Message {
    let port = LinkMessageBuilder::<LinkBridgePort>::default().name(name);
    link_is(port.set_port_kind(InfoPortKind::Bridge).isolated(true).up().build(), 0)
}

/// Keeps a link from getting an IPv6 address when it comes up. The kernel needs to have IPv6.
pub(crate) fn without_ipv6(name: &str) -> Message {
    let none = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
    let families = LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![none])]);
    link_is(LinkUnspec::new_with_name(name).append_extra_attribute(families).build(), 0)
}

pub(crate) fn set_up(name: &str) -> Message {
    link_is(LinkUnspec::new_with_name(name).up().build(), 0)
}

pub(crate) fn delete_link(name: &str) -> Message {
    let link = LinkUnspec::new_with_name(name).build();
    question(RouteNetlinkMessage::DelLink(link), NLM_F_ACK)
}

fn address(link: u32, network: Ipv4Network) -> AddressMessage {
    let ip = IpAddr::V4(network.ip());
    let mut address = AddressMessage::default();
    address.header.family = AddressFamily::Inet;
    address.header.prefix_len = network.prefix();
    address.header.index = link;
    address.attributes = vec![AddressAttribute::Local(ip), AddressAttribute::Address(ip)];
    address
}

pub(crate) fn add_address(link: u32, network: Ipv4Network) -> Message {
    let address = RouteNetlinkMessage::NewAddress(address(link, network));
    question(address, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE)
}

pub(crate) fn delete_address(link: u32, network: Ipv4Network) -> Message {
    question(RouteNetlinkMessage::DelAddress(address(link, network)), NLM_F_ACK)
}

pub(crate) fn default_route(link: u32, gateway: Ipv4Addr) -> Message {
    let route = RouteMessageBuilder::<Ipv4Addr>::new().gateway(gateway).output_interface(link);
    let route = RouteNetlinkMessage::NewRoute(route.build());
    question(route, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE)
}

/// Every link of the socket's namespace.
pub(crate) fn links(route: &mut Route) -> io::Result<Vec<Link>> {
    let links = LinkMessageBuilder::<LinkUnspec>::new().append_extra_attribute(plain()).build();
    let all = route.ask(&question(RouteNetlinkMessage::GetLink(links), NLM_F_DUMP))?;
    Ok(all.into_iter().filter_map(link_of).collect())
}

/// One link by name.
pub(crate) fn link(route: &mut Route, name: &str) -> io::Result<Option<Link>> {
    let link = LinkUnspec::new_with_name(name).append_extra_attribute(plain()).build();
    match route.ask(&question(RouteNetlinkMessage::GetLink(link), 0)) {
        Ok(answers) => Ok(answers.into_iter().find_map(link_of)),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Leaves out what nobody here reads and costs the most.
fn plain() -> LinkAttribute {
    LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])
}

fn link_of(answer: RouteNetlinkMessage) -> Option<Link> {
    match answer {
        RouteNetlinkMessage::NewLink(link) => Some(link.into()),
        _ => None,
    }
}

impl From<LinkMessage> for Link {
    fn from(message: LinkMessage) -> Self {
        let LinkMessage { header, attributes, .. } = message;
        let up = header.flags.contains(LinkFlags::Up);
        let mut link = Self { index: header.index, up, ..Self::default() };
        for attribute in attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::IfAlias(alias) => link.alias = alias,
                LinkAttribute::Controller(index) => link.master = index,
                LinkAttribute::Address(mac) => link.mac = mac.try_into().ok(),
                LinkAttribute::LinkInfo(infos) => infos.iter().for_each(|info| link.learn(info)),
                _ => {}
            }
        }
        link
    }
}

impl Link {
    fn learn(&mut self, info: &LinkInfo) {
        match info {
            LinkInfo::Kind(kind) => self.is_bridge = *kind == InfoKind::Bridge,
            LinkInfo::PortData(InfoPortData::BridgePort(port)) => {
                self.isolated = port.contains(&InfoBridgePort::Isolated(true));
                self.forwarding =
                    port.contains(&InfoBridgePort::State(BridgePortState::Forwarding));
            }
            _ => {}
        }
    }
}

/// Every IPv4 address of the socket's namespace.
pub(crate) fn addresses(route: &mut Route) -> io::Result<Vec<Address>> {
    let mut wanted = AddressMessage::default();
    wanted.header.family = AddressFamily::Inet;
    let all = route.ask(&question(RouteNetlinkMessage::GetAddress(wanted), NLM_F_DUMP))?;
    let parse = |answer| {
        let RouteNetlinkMessage::NewAddress(AddressMessage { header, attributes, .. }) = answer
        else {
            return None;
        };
        let local = attributes.into_iter().find_map(|attribute| match attribute {
            AddressAttribute::Local(IpAddr::V4(local)) => Some(local),
            _ => None,
        })?;
        let network = Ipv4Network::new(local, header.prefix_len).ok()?;
        Some(Address { link: header.index, network })
    };
    Ok(all.into_iter().filter_map(parse).collect())
}

/// Every IPv4 route that is not the kernel's own to local and broadcast addresses.
pub(crate) fn ways(route: &mut Route) -> io::Result<Vec<Way>> {
    let mut wanted = RouteMessage::default();
    wanted.header.address_family = AddressFamily::Inet;
    let all = route.ask(&question(RouteNetlinkMessage::GetRoute(wanted), NLM_F_DUMP))?;
    let parse = |answer| match answer {
        RouteNetlinkMessage::NewRoute(route) if route.header.table != libc::RT_TABLE_LOCAL => {
            way(&route)
        }
        _ => None,
    };
    Ok(all.into_iter().filter_map(parse).collect())
}

fn way(route: &RouteMessage) -> Option<Way> {
    let (mut to, mut link, mut gateway) = (Ipv4Addr::UNSPECIFIED, 0, None);
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => to = *address,
            RouteAttribute::Gateway(RouteAddress::Inet(address)) => gateway = Some(*address),
            RouteAttribute::Oif(index) => link = *index,
            _ => {}
        }
    }
    let to = Ipv4Network::new(to, route.header.destination_prefix_length).ok()?;
    Some(Way { to, link, gateway })
}

//! Compares what the kernel has with what it should have, and says what to change, in order.
//!
//! The only place that decides. Nothing here asks the kernel, a clock or a file: the same two
//! pictures always give the same steps, and the picture after them gives none. Every step may be
//! the last one before a crash; what is left then is told by the next comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;
use swarm_types::spec::service::Protocol;

use crate::lease::Lease;
use crate::names::{self, link as link_of};
use crate::netlink::nft::{Chain, Element, FoundChain, Rule};
use crate::netlink::route::{Link, Mac};
use crate::observe::{Host, Task};
use crate::table;

/// One step. Those inside a task's namespace follow [`Op::MakeNetns`] or the observation of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    CreateBridge(Mac),
    BridgeUp,
    AddBridgeAddress(Ipv4Network),
    DeleteBridgeAddress(Ipv4Network),
    /// A setting of the namespace the thread is in.
    Set(String, &'static str),
    Enslave(String),
    Isolate(String),
    DeleteLink(String),
    /// Changes of tables, carried out all or none.
    Tables(Vec<Change>),
    MakeNetns,
    LoopbackUp,
    CreatePair(Mac),
    AddAddress(Ipv4Network),
    DeleteAddress(Ipv4Network),
    LinkUp,
    DefaultRoute(Ipv4Addr),
    /// Until the bridge passes frames of this port, so that no first packet is lost.
    AwaitPort(String),
    /// Connections that this address answers.
    Forget(Ipv4Addr),
    RemoveNetns,
}

/// One change of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    AddTable,
    DeleteTable,
    AddMap,
    AddChain(Chain),
    ClearChain(&'static str),
    AddRule(&'static str, Rule),
    AddElements(Vec<Element>),
    DeleteElement(Vec<u8>),
    /// A rule at the front of somebody else's chain, given with its table.
    Insert(String, String, Rule),
    /// A rule of ours in somebody else's chain.
    Withdraw(String, String, u64),
}

/// What all tasks should share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostWish<'a> {
    pub(crate) bridge: &'a str,
    pub(crate) subnet: Ipv4Network,
    pub(crate) gateway: Ipv4Network,
    pub(crate) leases: &'a BTreeMap<String, Lease>,
}

pub(crate) const FORWARD: &str = "net/ipv4/ip_forward";
/// Whether bridged frames pass the rules of routed ones. A task's packet to a published port of
/// its own node would then be translated on the bridge and meet the isolation of its ports.
pub(crate) const BRIDGE_RULES: &str = "net/bridge/bridge-nf-call-iptables";

/// The settings of the host that the gateway bridge needs.
pub(crate) fn settings(bridge: &str) -> [(String, &'static str); 4] {
    [
        (FORWARD.to_owned(), "1"),
        (BRIDGE_RULES.to_owned(), "0"),
        (format!("net/ipv4/conf/{bridge}/route_localnet"), "1"),
        (format!("net/ipv6/conf/{bridge}/disable_ipv6"), "1"),
    ]
}

/// What to change of what all tasks share.
pub(crate) fn host(wish: &HostWish<'_>, seen: &Host) -> Vec<Op> {
    let mut ops = bridge(wish, seen);
    for (name, value) in settings(wish.bridge) {
        // A bridge not there yet has no settings to show; they are set once it is made.
        if name == BRIDGE_RULES && seen.other_bridges {
            // Whoever made the other bridge may need it, as Docker and Kubernetes do.
            continue;
        }
        let shown = seen.settings.get(&name).and_then(Option::as_deref);
        if shown != Some(value) && (shown.is_some() || seen.bridge.is_none()) {
            ops.push(Op::Set(name, value));
        }
    }
    let index = seen.bridge.as_ref().map_or(0, |bridge| bridge.index);
    let leased: BTreeSet<String> = wish.leases.keys().map(|id| link_of(id)).collect();
    for link in seen.ports.iter().filter(|link| leased.contains(&link.name)) {
        ops.extend(port(link, index));
    }
    let mut changes = tables(wish, seen);
    changes.extend(guests(wish.bridge, &seen.foreign));
    if !changes.is_empty() {
        ops.push(Op::Tables(changes));
    }
    ops
}

fn bridge(wish: &HostWish<'_>, seen: &Host) -> Vec<Op> {
    let mut ops = Vec::new();
    match &seen.bridge {
        None => ops.push(Op::CreateBridge(names::mac(wish.gateway.ip()))),
        Some(link) if !link.up => ops.push(Op::BridgeUp),
        Some(_) => {}
    }
    let wrong = seen.addresses.iter().filter(|address| **address != wish.gateway);
    ops.extend(wrong.map(|address| Op::DeleteBridgeAddress(*address)));
    if !seen.addresses.contains(&wish.gateway) {
        ops.push(Op::AddBridgeAddress(wish.gateway));
    }
    ops
}

/// Makes a task's end a port that reaches only the host.
fn port(link: &Link, bridge: u32) -> Vec<Op> {
    let enslaved = bridge != 0 && link.master == bridge;
    let mut ops = Vec::new();
    if !enslaved {
        ops.push(Op::Enslave(link.name.clone()));
    }
    if !enslaved || !link.isolated || !link.up {
        ops.push(Op::Isolate(link.name.clone()));
    }
    ops
}

fn tables(wish: &HostWish<'_>, seen: &Host) -> Vec<Change> {
    let wanted: Vec<Element> = wish.leases.values().flat_map(table::elements).collect();
    let known = |found: &FoundChain| table::CHAINS.iter().any(|chain| is(found, chain));
    if !seen.chains.iter().all(|(chain, _)| known(chain)) {
        // Another version's chains: what is there cannot be mended by pieces.
        let mut changes = vec![Change::AddTable, Change::DeleteTable];
        changes.extend(mend(wish, &[], None, &wanted));
        return changes;
    }
    mend(wish, &seen.chains, seen.elements.as_deref(), &wanted)
}

fn is(found: &FoundChain, chain: &Chain) -> bool {
    found.name == chain.name
        && found.kind == chain.kind
        && found.hook == Some((chain.hook as u32, chain.priority))
        && !found.drops
}

fn mend(
    wish: &HostWish<'_>,
    chains: &[(FoundChain, Vec<String>)],
    elements: Option<&[Element]>,
    wanted: &[Element],
) -> Vec<Change> {
    let mut changes = Vec::new();
    if elements.is_none() {
        changes.extend([Change::AddTable, Change::AddMap]);
    }
    for chain in &table::CHAINS {
        let rules = table::rules(chain.name, wish.bridge, wish.subnet);
        let comments: Vec<String> = rules.iter().map(Rule::comment).collect();
        match chains.iter().find(|(found, _)| found.name == chain.name) {
            Some((_, found)) if *found == comments => continue,
            Some(_) => changes.push(Change::ClearChain(chain.name)),
            None => changes.push(Change::AddChain(*chain)),
        }
        changes.extend(rules.into_iter().map(|rule| Change::AddRule(chain.name, rule)));
    }
    let found = elements.unwrap_or_default();
    let (have, want): (BTreeSet<_>, BTreeSet<_>) =
        (found.iter().collect(), wanted.iter().collect());
    let surplus = found.iter().filter(|element| !want.contains(element));
    changes.extend(surplus.map(|(key, _)| Change::DeleteElement(key.clone())));
    let missing: Vec<Element> =
        wanted.iter().filter(|element| !have.contains(element)).cloned().collect();
    changes.extend(added(&missing));
    changes
}

/// Elements of one message: the kernel takes no list of more than 64 KiB.
const PART: usize = 1000;

fn added(missing: &[Element]) -> impl Iterator<Item = Change> {
    missing.chunks(PART).map(|part| Change::AddElements(part.to_vec()))
}

/// Lets our packets through `DOCKER-USER`, else through a `FORWARD` that drops.
fn guests(
    bridge: &str,
    foreign: &[(FoundChain, Vec<crate::netlink::nft::FoundRule>)],
) -> Vec<Change> {
    let docker = foreign.iter().any(|(chain, _)| chain.name == "DOCKER-USER");
    let rules = table::guest_rules(bridge);
    let comments: Vec<String> = rules.iter().map(Rule::comment).collect();
    let mut changes = Vec::new();
    for (chain, found) in foreign {
        let wanted = if docker { chain.name == "DOCKER-USER" } else { chain.drops };
        let ours: Vec<_> = found.iter().filter(|rule| Rule::is_ours(&rule.comment)).collect();
        let there = ours.len() == comments.len()
            && ours.iter().all(|rule| comments.contains(&rule.comment));
        if there == wanted && (wanted || ours.is_empty()) {
            continue;
        }
        changes
            .extend(ours.iter().map(|rule| {
                Change::Withdraw(chain.table.clone(), chain.name.clone(), rule.handle)
            }));
        if wanted {
            changes.extend(
                rules.iter().map(|rule| {
                    Change::Insert(chain.table.clone(), chain.name.clone(), rule.clone())
                }),
            );
        }
    }
    changes
}

/// What one task should have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskWish<'a> {
    pub(crate) id: &'a str,
    pub(crate) lease: &'a Lease,
    pub(crate) gateway: Ipv4Network,
    /// Published ports the task had and should not have any more.
    pub(crate) dropped: &'a [Element],
}

/// What to change of one task's network.
pub(crate) fn task(wish: &TaskWish<'_>, seen: &Task) -> Vec<Op> {
    let mut ops = Vec::new();
    if !seen.netns {
        ops.push(Op::MakeNetns);
    }
    if !seen.loopback_up {
        ops.push(Op::LoopbackUp);
    }
    match wish.lease.address {
        Some(address) => ops.extend(pair(wish, address, seen)),
        None if seen.port.is_some() => ops.push(Op::DeleteLink(link_of(wish.id))),
        None => {}
    }
    let mut changes: Vec<Change> = Vec::new();
    let mut missing = Vec::new();
    for (key, data) in table::elements(wish.lease) {
        match seen.elements.get(&key) {
            Some(found) if *found == data => continue,
            Some(_) => changes.push(Change::DeleteElement(key.clone())),
            None => {}
        }
        missing.push((key, data));
    }
    let dropped = wish.dropped.iter().filter(|(key, _)| seen.elements.contains_key(key));
    changes.extend(dropped.map(|(key, _)| Change::DeleteElement(key.clone())));
    changes.extend(added(&missing));
    if !changes.is_empty() {
        ops.push(Op::Tables(changes));
    }
    ops
}

/// The pair of links and what is set on its end inside.
fn pair(wish: &TaskWish<'_>, address: Ipv4Addr, seen: &Task) -> Vec<Op> {
    let mut ops = Vec::new();
    let mac = names::mac(address);
    let whole = seen.port.is_some() && seen.link.as_ref().is_some_and(|link| link.mac == Some(mac));
    let fresh = Task::default();
    let seen =
        if whole { seen } else { &Task { bridge: seen.bridge, port: seen.port.clone(), ..fresh } };
    if !whole {
        if seen.port.is_some() {
            ops.push(Op::DeleteLink(link_of(wish.id)));
        }
        // Before the link comes, so that it starts with them. A task may change its own later.
        for name in ["net/ipv4/conf/all/rp_filter", "net/ipv4/conf/default/rp_filter"] {
            ops.push(Op::Set(name.to_owned(), "0"));
        }
        ops.push(Op::Set("net/ipv6/conf/default/disable_ipv6".to_owned(), "1"));
        ops.push(Op::CreatePair(mac));
    }
    let created = Link { name: link_of(wish.id), master: seen.bridge, ..Link::default() };
    let end = seen.port.as_ref().filter(|_| whole).unwrap_or(&created);
    ops.extend(port(end, seen.bridge));
    let wanted = Ipv4Network::new(address, wish.gateway.prefix()).ok();
    let wrong = seen.addresses.iter().filter(|one| Some(**one) != wanted);
    ops.extend(wrong.map(|one| Op::DeleteAddress(*one)));
    ops.extend(wanted.filter(|one| !seen.addresses.contains(one)).map(Op::AddAddress));
    if !seen.link.as_ref().is_some_and(|link| link.up) {
        ops.push(Op::LinkUp);
    }
    if seen.gateway != Some(wish.gateway.ip()) {
        ops.push(Op::DefaultRoute(wish.gateway.ip()));
    }
    if !end.forwarding {
        ops.push(Op::AwaitPort(end.name.clone()));
    }
    ops
}

/// What to take away so that nothing of a task is left: ports first, so that nothing new comes.
pub(crate) fn gone(id: &str, lease: Option<&Lease>, seen: &Task) -> Vec<Op> {
    let mut ops = Vec::new();
    let elements = lease.map(table::elements).unwrap_or_default();
    // A key that leads elsewhere is another task's by now.
    let own = elements.iter().filter(|(key, data)| seen.elements.get(key) == Some(data));
    let changes: Vec<Change> = own.map(|(key, _)| Change::DeleteElement(key.clone())).collect();
    if !changes.is_empty() {
        ops.push(Op::Tables(changes));
        ops.extend(lease.filter(|lease| sticks(lease)).and_then(|it| it.address).map(Op::Forget));
    }
    if seen.port.is_some() {
        ops.push(Op::DeleteLink(link_of(id)));
    }
    ops.push(Op::RemoveNetns);
    ops
}

/// Whether clients could go on sending to an address that is gone. TCP's fail by themselves, and
/// finding what the kernel remembers of an address costs milliseconds.
fn sticks(lease: &Lease) -> bool {
    lease.ports.iter().any(|port| port.protocol != Protocol::Tcp)
}

/// What to take away of what all tasks share.
pub(crate) fn purge(bridge: &str, seen: &Host) -> Vec<Op> {
    let mut changes = Vec::new();
    if !seen.chains.is_empty() || seen.elements.is_some() {
        changes.push(Change::DeleteTable);
    }
    for (chain, rules) in &seen.foreign {
        let ours = rules.iter().filter(|rule| Rule::is_ours(&rule.comment));
        changes.extend(
            ours.map(|rule| Change::Withdraw(chain.table.clone(), chain.name.clone(), rule.handle)),
        );
    }
    let mut ops = Vec::new();
    if !changes.is_empty() {
        ops.push(Op::Tables(changes));
    }
    if seen.bridge.is_some() {
        ops.push(Op::DeleteLink(bridge.to_owned()));
    }
    ops
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;

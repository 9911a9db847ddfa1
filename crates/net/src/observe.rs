//! Reads from the kernel what [`crate::diff`] needs to know. Changes nothing, decides nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use ipnetwork::Ipv4Network;

use crate::error::NetError;
use crate::names::{INSIDE, TABLE, link as link_of};
use crate::netlink::Socket;
use crate::netlink::nft::{self, Element, Family, FoundChain, FoundRule};
use crate::netlink::route::{self, Link, Route};
use crate::{netns, sysctl, table};

/// Sockets into the host's namespace, and into one task's once its thread is there.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) route: Route,
    pub(crate) nft: Socket,
    pub(crate) inside: Option<Inside>,
}

/// One task's namespace, with a socket opened in it.
#[derive(Debug)]
pub(crate) struct Inside {
    pub(crate) netns: File,
    pub(crate) route: Route,
}

impl Kernel {
    /// Opens the host's sockets in the namespace of the calling thread.
    pub(crate) fn open() -> Result<Self, NetError> {
        let failed = |source| NetError::kernel("open netlink", source);
        let route = Route::open().map_err(failed)?;
        Ok(Self { route, nft: Socket::open().map_err(failed)?, inside: None })
    }

    /// Remembers the namespace the calling thread has just entered.
    pub(crate) fn entered(&mut self, netns: File) -> io::Result<()> {
        self.inside = Some(Inside { netns, route: self.route.again()? });
        Ok(())
    }
}

/// What all tasks share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// The bridge and the tasks' ends on this side.
    pub(crate) bridge: Option<Link>,
    pub(crate) ports: Vec<Link>,
    /// Whether there are bridges of somebody else.
    pub(crate) other_bridges: bool,
    /// Addresses of the bridge.
    pub(crate) addresses: Vec<Ipv4Network>,
    /// Settings asked about; `None` where this kernel has no such setting.
    pub(crate) settings: BTreeMap<String, Option<String>>,
    /// Chains of our table with the comments of their rules; empty without a table.
    pub(crate) chains: Vec<(FoundChain, Vec<String>)>,
    /// Elements of our map; `None` without a map.
    pub(crate) elements: Option<Vec<Element>>,
    /// Chains of others that our packets pass.
    pub(crate) foreign: Vec<(FoundChain, Vec<FoundRule>)>,
}

/// Reads what all tasks share; `settings` names what to read below `/proc/sys`.
pub(crate) fn host(
    kernel: &mut Kernel,
    bridge: &str,
    settings: impl Iterator<Item = String>,
) -> Result<Host, NetError> {
    let failed = |what: &'static str| move |source| NetError::kernel(what, source);
    let links = route::links(&mut kernel.route).map_err(failed("list links"))?;
    let found = links.iter().find(|link| link.name == bridge).cloned();
    let index = found.as_ref().map_or(0, |link| link.index);
    let addresses = route::addresses(&mut kernel.route).map_err(failed("list addresses"))?;
    Ok(Host {
        other_bridges: links.iter().any(|link| link.is_bridge && link.name != bridge),
        ports: links.into_iter().filter(|link| crate::names::is_link(&link.name)).collect(),
        addresses: addresses
            .into_iter()
            .filter(|address| address.link == index)
            .map(|address| address.network)
            .collect(),
        bridge: found,
        settings: settings.map(|name| (name.clone(), sysctl::read(&name))).collect(),
        chains: own_chains(&mut kernel.nft).map_err(failed("list nft chains"))?,
        elements: nft::elements(&mut kernel.nft, TABLE, table::PORTS)
            .map_err(failed("list nft elements"))?,
        foreign: foreign(&mut kernel.nft).map_err(failed("list other tables' chains"))?,
    })
}

fn own_chains(socket: &mut Socket) -> io::Result<Vec<(FoundChain, Vec<String>)>> {
    let chains = nft::chains(socket, Family::Inet)?;
    let mut own = Vec::new();
    for chain in chains.into_iter().filter(|chain| chain.table == TABLE) {
        let rules = nft::rules(socket, Family::Inet, TABLE, &chain.name)?;
        own.push((chain, rules.into_iter().map(|rule| rule.comment).collect()));
    }
    Ok(own)
}

/// The chains of `iptables`' filter table in which our packets could be dropped.
pub(crate) fn foreign(socket: &mut Socket) -> io::Result<Vec<(FoundChain, Vec<FoundRule>)>> {
    let chains = nft::chains(socket, Family::Ip)?;
    let mut found = Vec::new();
    let named = |chain: &FoundChain| matches!(chain.name.as_str(), "DOCKER-USER" | "FORWARD");
    for chain in chains.into_iter().filter(|chain| chain.table == "filter" && named(chain)) {
        let rules = nft::rules(socket, Family::Ip, &chain.table, &chain.name)?;
        found.push((chain, rules));
    }
    Ok(found)
}

/// What one task has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Task {
    /// Whether a namespace is bound to its file. The rest of its inside is empty without one.
    pub(crate) netns: bool,
    pub(crate) loopback_up: bool,
    pub(crate) link: Option<Link>,
    pub(crate) addresses: Vec<Ipv4Network>,
    pub(crate) gateway: Option<Ipv4Addr>,
    /// Its end on the host.
    pub(crate) port: Option<Link>,
    /// Index of the gateway bridge, 0 without one.
    pub(crate) bridge: u32,
    /// What the map says of each key asked about.
    pub(crate) elements: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Reads what `id` has, and leaves the calling thread in its namespace if there is one.
pub(crate) fn task(
    kernel: &mut Kernel,
    id: &str,
    file: &Path,
    bridge: &str,
    keys: impl Iterator<Item = Vec<u8>>,
) -> Result<Task, NetError> {
    let failed = |source| NetError::kernel(format!("read the namespace of {id}"), source);
    let mut task = outside(kernel, id, bridge, keys)?;
    if let Some(file) = netns::find(file).map_err(failed)? {
        netns::enter(&file).map_err(failed)?;
        kernel.entered(file).map_err(failed)?;
    }
    if let Some(inside) = &mut kernel.inside {
        task.netns = true;
        within(&mut inside.route, &mut task).map_err(failed)?;
    }
    Ok(task)
}

/// Reads what `id` has on the host; whether it has a namespace stays open.
pub(crate) fn outside(
    kernel: &mut Kernel,
    id: &str,
    bridge: &str,
    keys: impl Iterator<Item = Vec<u8>>,
) -> Result<Task, NetError> {
    let failed = |source| NetError::kernel(format!("read the network of {id}"), source);
    let mut task = Task {
        port: route::link(&mut kernel.route, &link_of(id)).map_err(failed)?,
        bridge: route::link(&mut kernel.route, bridge).map_err(failed)?.map_or(0, |b| b.index),
        ..Task::default()
    };
    for key in keys {
        let data = nft::element(&mut kernel.nft, TABLE, table::PORTS, &key).map_err(failed)?;
        task.elements.extend(data.map(|data| (key, data)));
    }
    Ok(task)
}

fn within(route: &mut Route, task: &mut Task) -> io::Result<()> {
    task.loopback_up = route::link(route, "lo")?.is_some_and(|link| link.up);
    task.link = route::link(route, INSIDE)?;
    let Some(index) = task.link.as_ref().map(|link| link.index) else { return Ok(()) };
    let addresses = route::addresses(route)?.into_iter();
    task.addresses =
        addresses.filter(|one| one.link == index).map(|address| address.network).collect();
    let ways = route::ways(route)?.into_iter();
    let default = |way: &route::Way| way.to.prefix() == 0 && way.link == index;
    task.gateway = ways.filter(default).find_map(|way| way.gateway);
    Ok(())
}

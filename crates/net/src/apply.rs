//! Carries out the steps of [`crate::diff`] one by one, and decides nothing.
//!
//! What is gone already counts as removed; anything else the kernel refuses ends the work there,
//! and the next comparison goes on from what is left.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::diff::{Change, Op};
use crate::error::NetError;
use crate::names::{INSIDE, TABLE, link as link_of};
use crate::netlink::nft::{self, Family};
use crate::netlink::route::{self, Pair, Route};
use crate::netlink::{Message, conntrack};
use crate::observe::{Inside, Kernel};
use crate::{netns, sysctl, table};

const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_micros(500);

/// Whose steps they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) bridge: &'a str,
    /// Id of the task; empty for what all tasks share.
    pub(crate) id: &'a str,
    /// File of the task's namespace.
    pub(crate) netns: &'a Path,
}

/// Carries out `ops` in order, up to the first that fails.
pub(crate) fn apply(kernel: &mut Kernel, scope: Scope<'_>, ops: &[Op]) -> Result<(), NetError> {
    for op in ops {
        step(kernel, scope, op).map_err(|source| {
            let whose = if scope.id.is_empty() { scope.bridge } else { scope.id };
            // A step may be thousands of changes.
            NetError::kernel(format!("{:.200} of {whose}", format!("{op:?}")), source)
        })?;
    }
    Ok(())
}

fn step(kernel: &mut Kernel, scope: Scope<'_>, op: &Op) -> io::Result<()> {
    match op {
        Op::MakeNetns => {
            let netns = netns::make(scope.netns)?;
            kernel.entered(netns)
        }
        Op::RemoveNetns => netns::remove(scope.netns),
        Op::Set(name, value) => sysctl::write(name, value),
        Op::Tables(changes) => nft::batch(&mut kernel.nft, changes.iter().map(message).collect()),
        Op::AwaitPort(link) => await_port(&mut kernel.route, link),
        Op::Forget(address) => conntrack::forget(&mut kernel.nft, *address),
        Op::LoopbackUp
        | Op::AddAddress(_)
        | Op::DeleteAddress(_)
        | Op::LinkUp
        | Op::DefaultRoute(_) => within(inside(kernel)?, op),
        _ => on_host(kernel, scope, op),
    }
}

fn on_host(kernel: &mut Kernel, scope: Scope<'_>, op: &Op) -> io::Result<()> {
    let message = match op {
        Op::CreateBridge(mac) => route::create_bridge(scope.bridge, *mac),
        Op::BridgeUp => route::set_up(scope.bridge),
        Op::AddBridgeAddress(network) => route::add_address(bridge(kernel, scope)?, *network),
        Op::DeleteBridgeAddress(network) => route::delete_address(bridge(kernel, scope)?, *network),
        Op::Enslave(link) => route::enslave(link, bridge(kernel, scope)?),
        Op::Isolate(link) => {
            if Path::new("/proc/sys/net/ipv6").exists() {
                kernel.route.send([route::without_ipv6(link)])?;
            }
            route::isolate(link)
        }
        Op::DeleteLink(link) => return absent(kernel.route.send([route::delete_link(link)])),
        Op::CreatePair(mac) => {
            let master = bridge(kernel, scope)?;
            let inside = inside(kernel)?;
            let netns = inside.netns.as_fd();
            let name = link_of(scope.id);
            let pair =
                Pair { name: &name, alias: scope.id, master, netns, inside: INSIDE, mac: *mac };
            let messages = route::create_pair(&pair);
            return kernel.route.send(messages);
        }
        _ => return Ok(()),
    };
    kernel.route.send([message])
}

fn within(inside: &mut Inside, op: &Op) -> io::Result<()> {
    let route = &mut inside.route;
    let message = match op {
        Op::LoopbackUp => route::set_up("lo"),
        Op::AddAddress(network) => route::add_address(index(route, INSIDE)?, *network),
        Op::DeleteAddress(network) => route::delete_address(index(route, INSIDE)?, *network),
        Op::DefaultRoute(gateway) => route::default_route(index(route, INSIDE)?, *gateway),
        _ => route::set_up(INSIDE),
    };
    route.send([message])
}

/// The kernel tells the bridge of a link's carrier from a work queue, mostly within a millisecond.
/// A port that takes longer than [`PATIENCE`] costs its task a repeated packet, not its life.
fn await_port(route: &mut Route, name: &str) -> io::Result<()> {
    let start = Instant::now();
    while !route::link(route, name)?.is_some_and(|link| link.forwarding) {
        if start.elapsed() > PATIENCE {
            warn!(link = name, "the bridge does not pass frames of this port yet");
            break;
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn inside(kernel: &mut Kernel) -> io::Result<&mut Inside> {
    kernel.inside.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn bridge(kernel: &mut Kernel, scope: Scope<'_>) -> io::Result<u32> {
    index(&mut kernel.route, scope.bridge)
}

fn index(route: &mut Route, name: &str) -> io::Result<u32> {
    Ok(route::link(route, name)?.ok_or(io::ErrorKind::NotFound)?.index)
}

fn message(change: &Change) -> Message {
    match change {
        Change::AddTable => nft::add_table(TABLE),
        Change::DeleteTable => nft::delete_table(TABLE),
        Change::AddMap => nft::add_map(TABLE, table::PORTS),
        Change::AddChain(chain) => nft::add_chain(TABLE, chain),
        Change::ClearChain(chain) => nft::delete_rules(Family::Inet, TABLE, chain, None),
        Change::AddRule(chain, rule) => nft::append_rule(TABLE, chain, rule),
        Change::AddElements(elements) => nft::add_elements(TABLE, table::PORTS, elements),
        Change::DeleteElement(key) => nft::delete_element(TABLE, table::PORTS, key),
        Change::Insert(table, chain, rule) => nft::insert_rule(Family::Ip, table, chain, rule),
        Change::Withdraw(table, chain, handle) => {
            nft::delete_rules(Family::Ip, table, chain, Some(*handle))
        }
    }
}

fn absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENOENT)) => Ok(()),
        other => other,
    }
}

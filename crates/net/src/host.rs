//! One host's network and its leases, on the thread of the caller. [`crate::Net`] gives the
//! threads and the turns.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipnetwork::Ipv4Network;
use tracing::{info, warn};

use crate::apply::{Scope, apply};
use crate::diff::{self, HostWish, TaskWish};
use crate::error::NetError;
use crate::lease::{Lease, Leases, file};
use crate::netlink::route;
use crate::observe::{self, Kernel};
use crate::wish::{Attached, Options, Wish};
use crate::{names, netns, ports, subnet, sysctl, table};

/// Settings of the whole host that we may change, and that a purge puts back.
const CHANGED: [&str; 2] = [diff::FORWARD, diff::BRIDGE_RULES];

#[derive(Debug)]
pub(crate) struct Host {
    bridge: String,
    /// Where namespace files are.
    namespaces: PathBuf,
    gateway: Ipv4Network,
    leases: Mutex<Leases>,
    /// Those at rest: as many as were in use at once.
    kernels: Mutex<Vec<Kernel>>,
}

impl Host {
    /// Takes over what is there, and makes what all tasks share.
    pub(crate) fn open(options: &Options) -> Result<Self, NetError> {
        let namespaces = namespaces(options);
        netns::prepare(&namespaces)?;
        let state = state(options);
        let mut kernel = Kernel::open()?;
        let routes = routes(&mut kernel)?;
        let own = index(&mut kernel, &options.bridge)?;
        let subnet = subnet::settle(&state, options.subnet, &routes, own)?;
        if subnet != options.subnet {
            info!(wished = %options.subnet, %subnet, "the gateway bridge has another subnet");
        }
        remember(&state)?;
        let mut leases = Leases::open(&state, subnet)?;
        leases.free_ports(|id| {
            let file = namespaces.join(names::netns(id));
            // What cannot be read is taken to be there: its port is nobody else's.
            netns::find(&file).map_or(true, |found| found.is_some())
        });
        let gateway = Ipv4Network::new(leases.gateway(), subnet.prefix()).unwrap_or(subnet);
        let bridge = options.bridge.clone();
        let (leases, kernels) = (Mutex::new(leases), Mutex::new(vec![kernel]));
        let host = Self { bridge, namespaces, gateway, leases, kernels };
        host.repair()?;
        Ok(host)
    }

    fn leases(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` with sockets of the host's namespace, which are opened once and used again.
    fn with<T>(
        &self,
        work: impl FnOnce(&mut Kernel) -> Result<T, NetError>,
    ) -> Result<T, NetError> {
        let resting = || self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        let found = resting().pop();
        let mut kernel = found.map_or_else(Kernel::open, Ok)?;
        // After a failure an answer may still be on its way: those sockets are not used again.
        let done = work(&mut kernel)?;
        kernel.inside = None;
        resting().push(kernel);
        Ok(done)
    }

    pub(crate) fn bridge(&self) -> &str {
        &self.bridge
    }

    pub(crate) fn subnet(&self) -> Ipv4Network {
        self.leases().subnet()
    }

    /// Brings what all tasks share to what it should be.
    pub(crate) fn repair(&self) -> Result<(), NetError> {
        self.with(|kernel| self.repair_with(kernel))
    }

    fn repair_with(&self, kernel: &mut Kernel) -> Result<(), NetError> {
        let settings = diff::settings(&self.bridge).into_iter().map(|(name, _)| name);
        let seen = observe::host(kernel, &self.bridge, settings)?;
        let ops = {
            let leases = self.leases();
            let (subnet, leases) = (leases.subnet(), leases.all());
            let wish = HostWish { bridge: &self.bridge, subnet, gateway: self.gateway, leases };
            diff::host(&wish, &seen)
        };
        if !ops.is_empty() {
            info!(bridge = self.bridge, steps = ops.len(), "repair the gateway network");
        }
        apply(kernel, self.scope("", Path::new("")), &ops)
    }

    /// The route of this host that leads into the bridge's subnet elsewhere, if one appeared.
    pub(crate) fn clash(&self) -> Result<Option<Ipv4Network>, NetError> {
        self.with(|kernel| {
            let routes = routes(kernel)?;
            Ok(subnet::clash(self.subnet(), &routes, index(kernel, &self.bridge)?))
        })
    }

    pub(crate) fn attach(&self, id: &str, wish: &Wish) -> Result<Attached, NetError> {
        let (before, lease) = {
            let mut leases = self.leases();
            let before = leases.get(id).map(table::elements).unwrap_or_default();
            (before, leases.lease(id, wish, ports::is_free)?)
        };
        let elements = table::elements(&lease);
        let dropped: Vec<_> =
            before.into_iter().filter(|(key, _)| !elements.iter().any(|(k, _)| k == key)).collect();
        let netns = self.namespaces.join(names::netns(id));
        let keys = elements.iter().chain(&dropped).map(|(key, _)| key.clone());
        self.with(|kernel| {
            let seen = observe::task(kernel, id, &netns, &self.bridge, keys)?;
            let task = TaskWish { id, lease: &lease, gateway: self.gateway, dropped: &dropped };
            apply(kernel, self.scope(id, &netns), &diff::task(&task, &seen))
        })?;
        Ok(self.attached(netns, lease))
    }

    fn attached(&self, netns: PathBuf, lease: Lease) -> Attached {
        let gateway = lease.address.map(|_| IpAddr::V4(self.gateway.ip()));
        Attached { netns, address: lease.address.map(IpAddr::V4), gateway, ports: lease.ports }
    }

    pub(crate) fn detach(&self, id: &str) -> Result<(), NetError> {
        let lease = self.leases().get(id).cloned();
        let netns = self.namespaces.join(names::netns(id));
        self.with(|kernel| clear(kernel, &self.bridge, id, &netns, lease.as_ref()))?;
        self.leases().release(id)
    }

    /// Everything that carries an id, whether whole or left by a crash.
    pub(crate) fn ids(&self) -> Result<BTreeSet<String>, NetError> {
        let mut ids: BTreeSet<String> = self.leases().all().keys().cloned().collect();
        ids.extend(self.with(|kernel| strays(kernel, &self.namespaces))?);
        Ok(ids)
    }

    fn scope<'a>(&'a self, id: &'a str, netns: &'a Path) -> Scope<'a> {
        Scope { bridge: &self.bridge, id, netns }
    }
}

/// Removes everything a node with these options ever made, and nothing else.
pub(crate) fn purge(options: &Options) -> Result<(), NetError> {
    let (namespaces, state) = (namespaces(options), state(options));
    let mut kernel = Kernel::open()?;
    for id in strays(&mut kernel, &namespaces)? {
        clear(&mut kernel, &options.bridge, &id, &namespaces.join(names::netns(&id)), None)?;
    }
    let seen = observe::host(&mut kernel, &options.bridge, std::iter::empty())?;
    let scope = Scope { bridge: &options.bridge, id: "", netns: &namespaces };
    apply(&mut kernel, scope, &diff::purge(&options.bridge, &seen))?;
    put_back(&state, &seen)?;
    netns::unprepare(&namespaces)?;
    match fs::remove_dir_all(&state) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(NetError::file("remove", state, error))
        }
        _ => Ok(()),
    }
}

/// Writes down how the host's settings were before we changed any.
fn remember(state: &Path) -> Result<(), NetError> {
    let path = state.join("settings");
    // A power loss can leave an empty file; the boot after it has set everything anew.
    if file::read(&path)?.is_some_and(|text| !text.is_empty()) {
        return Ok(());
    }
    let found = CHANGED.iter().filter_map(|name| Some((name, sysctl::read(name)?)));
    let lines: String = found.map(|(name, value)| format!("{name} {value}\n")).collect();
    file::write(&path, &lines)
}

fn put_back(state: &Path, seen: &observe::Host) -> Result<(), NetError> {
    let text = file::read(&state.join("settings"))?.unwrap_or_default();
    for (name, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        if name == diff::FORWARD && seen.other_bridges {
            // Whoever made the other bridge since, as Docker does, needs it as well.
            continue;
        }
        if CHANGED.contains(&name) && sysctl::read(name).as_deref() != Some(value) {
            sysctl::write(name, value).map_err(|source| NetError::kernel(name, source))?;
        }
    }
    Ok(())
}

/// Takes away all that one id has in the kernel.
fn clear(
    kernel: &mut Kernel,
    bridge: &str,
    id: &str,
    netns: &Path,
    lease: Option<&Lease>,
) -> Result<(), NetError> {
    let keys = lease.map(table::elements).unwrap_or_default();
    let seen = observe::outside(kernel, id, bridge, keys.into_iter().map(|(key, _)| key))?;
    apply(kernel, Scope { bridge, id, netns }, &diff::gone(id, lease, &seen))
}

/// Ids of namespace files and of links.
fn strays(kernel: &mut Kernel, namespaces: &Path) -> Result<BTreeSet<String>, NetError> {
    let files = netns::list(namespaces)?;
    let mut ids: BTreeSet<String> =
        files.iter().filter_map(|file| names::id_of_netns(file)).map(str::to_owned).collect();
    let links =
        route::links(&mut kernel.route).map_err(|source| NetError::kernel("list links", source))?;
    let ours = links.into_iter().filter(|link| names::link(&link.alias) == link.name);
    ids.extend(ours.map(|link| link.alias));
    for id in ids.iter().filter(|id| names::checked(id).is_err()) {
        warn!(id, "leave alone what carries a name that is not ours");
    }
    ids.retain(|id| names::checked(id).is_ok());
    Ok(ids)
}

fn namespaces(options: &Options) -> PathBuf {
    options.run_dir.join("netns")
}

fn state(options: &Options) -> PathBuf {
    options.state_dir.join("net")
}

/// Index of a link, one that no link has if there is none of that name.
fn index(kernel: &mut Kernel, link: &str) -> Result<u32, NetError> {
    let found = route::link(&mut kernel.route, link)
        .map_err(|source| NetError::kernel(format!("read the link {link}"), source))?;
    Ok(found.map_or(u32::MAX, |link| link.index))
}

fn routes(kernel: &mut Kernel) -> Result<Vec<route::Way>, NetError> {
    route::ways(&mut kernel.route).map_err(|source| NetError::kernel("list routes", source))
}

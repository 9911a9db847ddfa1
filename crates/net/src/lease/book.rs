//! All leases of the node, in memory as on disk.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use ipnetwork::Ipv4Network;
use swarm_types::spec::service::Protocol;
use tracing::warn;

use super::Lease;
use super::file;
use crate::error::NetError;
use crate::ports;
use crate::wish::{HostPort, Mode, Wish};

/// Addresses handed out between two writes of how far we are.
const STRIDE: u32 = 256;

/// Who has which address and port.
#[derive(Debug)]
pub(crate) struct Leases {
    dir: PathBuf,
    subnet: Ipv4Network,
    held: BTreeMap<String, Lease>,
    addresses: HashSet<Ipv4Addr>,
    /// Offset in the subnet that is tried next. It only goes up until the subnet's end, so that
    /// an address rests for as long as possible before it comes again.
    next: u32,
    /// Offset up to which `next` may go before it is written down again.
    written: u32,
}

impl Leases {
    /// Reads what `dir` holds. Leases from outside `subnet` and unreadable ones are dropped: what
    /// they stood for is found in the kernel as a stray.
    pub(crate) fn open(dir: &Path, subnet: Ipv4Network) -> Result<Self, NetError> {
        let failed = |source| NetError::file("read", dir, source);
        fs::create_dir_all(dir.join("leases"))
            .map_err(|source| NetError::file("make", dir, source))?;
        let mut leases = Self {
            dir: dir.to_owned(),
            subnet,
            held: BTreeMap::new(),
            addresses: HashSet::new(),
            next: 0,
            written: 0,
        };
        for entry in fs::read_dir(dir.join("leases")).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            leases.take_in(&path)?;
        }
        let next = file::read(&dir.join("next"))?.and_then(|text| text.trim().parse().ok());
        leases.next = next.unwrap_or_default();
        leases.written = leases.next;
        Ok(leases)
    }

    fn take_in(&mut self, path: &Path) -> Result<(), NetError> {
        let id = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(text) = file::read(path)? else { return Ok(()) };
        let lease = file::parse(&text).filter(|_| !id.ends_with('~'));
        let lease = lease.filter(|lease| {
            lease.address.is_none_or(|address| {
                self.subnet.contains(address) && self.addresses.insert(address)
            })
        });
        let Some(lease) = lease else {
            warn!(path = %path.display(), "drop a lease that means nothing");
            return file::remove(path);
        };
        self.held.insert(id.to_owned(), lease);
        Ok(())
    }

    /// Takes the ports from every lease whose task is not `there` any more, as after a reboot:
    /// a process may have them by now. They are asked for again when the task comes.
    pub(crate) fn free_ports(&mut self, there: impl Fn(&str) -> bool) {
        for (_, lease) in self.held.iter_mut().filter(|(id, _)| !there(id)) {
            lease.ports.clear();
        }
    }

    pub(crate) fn subnet(&self) -> Ipv4Network {
        self.subnet
    }

    /// The bridge's own address: the first of the subnet.
    pub(crate) fn gateway(&self) -> Ipv4Addr {
        self.address_at(1)
    }

    pub(crate) fn all(&self) -> &BTreeMap<String, Lease> {
        &self.held
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Lease> {
        self.held.get(id)
    }

    /// The lease of `id`, made to fit `wish`. What it has already it keeps, chosen ports too.
    ///
    /// `free` says whether nobody outside of this book has a port.
    pub(crate) fn lease(
        &mut self,
        id: &str,
        wish: &Wish,
        free: impl Fn(Protocol, u16) -> bool,
    ) -> Result<Lease, NetError> {
        let old = self.held.get(id).cloned();
        let had = old.clone().unwrap_or_default();
        let lease = match wish.mode {
            Mode::None => Lease::default(),
            Mode::Gateway => {
                let ports = self.choose_ports(id, &had.ports, &wish.ports, free)?;
                let address = match had.address {
                    Some(address) => address,
                    None => self.choose_address()?,
                };
                Lease { address: Some(address), ports }
            }
        };
        if old.as_ref() == Some(&lease) {
            return Ok(lease);
        }
        file::write(&self.path(id), &file::render(&lease))?;
        if let Some(address) = had.address.filter(|address| lease.address != Some(*address)) {
            self.addresses.remove(&address);
        }
        self.addresses.extend(lease.address);
        self.held.insert(id.to_owned(), lease.clone());
        Ok(lease)
    }

    /// Ends a lease. Its address comes again after all others have had their turn.
    pub(crate) fn release(&mut self, id: &str) -> Result<(), NetError> {
        file::remove(&self.path(id))?;
        if let Some(address) = self.held.remove(id).and_then(|lease| lease.address) {
            self.addresses.remove(&address);
        }
        Ok(())
    }

    fn path(&self, id: &str) -> PathBuf {
        self.dir.join("leases").join(id)
    }

    fn choose_ports(
        &self,
        id: &str,
        had: &[HostPort],
        wished: &[HostPort],
        free: impl Fn(Protocol, u16) -> bool,
    ) -> Result<Vec<HostPort>, NetError> {
        let others = self.held.iter().filter(|(other, _)| *other != id);
        let taken: BTreeMap<(Protocol, u16), &str> = others
            .flat_map(|(other, lease)| {
                lease.ports.iter().map(|port| ((port.protocol, port.published), other.as_str()))
            })
            .collect();
        let mut chosen: Vec<HostPort> = Vec::with_capacity(wished.len());
        for wish in wished {
            let port = match had.iter().find(|port| fits(port, wish) && !chosen.contains(port)) {
                Some(kept) => *kept,
                None => HostPort {
                    published: choose_port(wish, &chosen, wished, &taken, &free)?,
                    ..*wish
                },
            };
            chosen.push(port);
        }
        Ok(chosen)
    }

    fn choose_address(&mut self) -> Result<Ipv4Addr, NetError> {
        // The network's own address, ours and the broadcast address are nobody's.
        let last = self.subnet.size().saturating_sub(2);
        for _ in 2..=last {
            if !(2..=last).contains(&self.next) {
                (self.next, self.written) = (2, 0);
            }
            let address = self.address_at(self.next);
            self.next += 1;
            if self.next > self.written {
                self.written = self.next + STRIDE;
                file::write(&self.dir.join("next"), &self.written.to_string())?;
            }
            if !self.addresses.contains(&address) {
                return Ok(address);
            }
        }
        Err(NetError::NoAddressLeft(self.subnet))
    }

    fn address_at(&self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.subnet.network().to_bits().wrapping_add(offset))
    }
}

/// Whether a port already held is what is wished for.
fn fits(held: &HostPort, wish: &HostPort) -> bool {
    let published = wish.published == 0 || wish.published == held.published;
    held.protocol == wish.protocol && held.target == wish.target && published
}

fn choose_port(
    wish: &HostPort,
    chosen: &[HostPort],
    wished: &[HostPort],
    taken: &BTreeMap<(Protocol, u16), &str>,
    free: impl Fn(Protocol, u16) -> bool,
) -> Result<u16, NetError> {
    let protocol = wish.protocol;
    if wish.published != 0 {
        let port = wish.published;
        if let Some(owner) = taken.get(&(protocol, port)) {
            return Err(NetError::taken(protocol, port, format!("task {owner}")));
        }
        let twice = chosen.iter().any(|one| (one.protocol, one.published) == (protocol, port));
        return match (twice, free(protocol, port)) {
            (true, _) => Err(NetError::taken(protocol, port, "the same task")),
            (_, false) => Err(NetError::taken(protocol, port, "a process of this host")),
            (false, true) => Ok(port),
        };
    }
    let own: BTreeSet<u16> = chosen
        .iter()
        .chain(wished)
        .filter(|one| one.protocol == protocol)
        .map(|one| one.published)
        .collect();
    let unused = |port: &u16| !own.contains(port) && !taken.contains_key(&(protocol, *port));
    ports::candidates().filter(unused).find(|port| free(protocol, *port)).ok_or(
        NetError::NoPortLeft {
            protocol: protocol.as_str(),
            first: ports::FIRST,
            last: ports::LAST,
        },
    )
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

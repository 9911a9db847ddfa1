//! Addresses and host ports of this node's tasks: who has what, and what is free.
//!
//! A lease is a file of its own, written before anything is made in the kernel and removed after
//! everything is gone from it: no address or port has two owners, whenever the daemon dies. Files
//! are renamed into place, not synced: what a power loss takes are tasks it took as well.

mod book;
pub(crate) mod file;

pub(crate) use book::Leases;

use std::net::Ipv4Addr;

use crate::wish::HostPort;

/// What one task holds.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Lease {
    /// `None` for a task with loopback only.
    pub(crate) address: Option<Ipv4Addr>,
    /// In the order of the wish; none is 0.
    pub(crate) ports: Vec<HostPort>,
}

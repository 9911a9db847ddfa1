//! What a task wants from the network, and what it got.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnetwork::Ipv4Network;
use swarm_types::spec::service::Protocol;

/// Where a node keeps its network, and what it is called.
#[derive(Clone, Debug)]
pub struct Options {
    /// Namespace files are bound in `netns` below it, as `sw-ID`. Lost at a reboot, as they are.
    pub run_dir: PathBuf,
    /// The chosen subnet and the leases of addresses and ports, in `net` below it.
    pub state_dir: PathBuf,
    /// Name of the gateway bridge, at most 15 bytes; `swarm0`.
    pub bridge: String,
    /// Subnet of the bridge wished for. If a route of the host overlaps it when the node first
    /// opens, the next clear one is taken, and kept from then on.
    pub subnet: Ipv4Network,
}

/// What one task wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// How the task reaches the world.
    pub mode: Mode,
    /// Ports of the host that lead to the task. Only [`Mode::Gateway`] can have any.
    pub ports: Vec<HostPort>,
}

/// How a task reaches the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// An address on the gateway bridge, translated to the node's when it leaves.
    Gateway,
    /// Loopback only.
    None,
}

/// One port of this host that leads to one port of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// Protocol of both.
    pub protocol: Protocol,
    /// Port the task listens on.
    pub target: u16,
    /// Port of the host; 0 in a wish asks for any free one, and is never in an answer.
    pub published: u16,
}

/// What one task has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The namespace, for the container to join.
    pub netns: PathBuf,
    /// The task's address on the gateway bridge; `None` with [`Mode::None`].
    pub address: Option<IpAddr>,
    /// Where its default route leads; `None` with [`Mode::None`].
    pub gateway: Option<IpAddr>,
    /// The ports in the order of the wish, chosen ones filled in.
    pub ports: Vec<HostPort>,
}

//! A network of the cluster.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::{Annotations, Driver};

/// What a user asks a network to be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NetworkSpec {
    /// Name and labels.
    pub annotations: Annotations,
    /// Driver and its options; an empty name means `overlay`.
    pub driver: Driver,
    /// Gives endpoints IPv6 addresses too.
    pub ipv6: bool,
    /// Cuts the network off from the outside.
    pub internal: bool,
    /// Lets containers outside of services join.
    pub attachable: bool,
    /// Makes it the network of the routing mesh.
    pub ingress: bool,
    /// Address management; `None` means all defaults.
    pub ipam: Option<IpamSpec>,
    /// Takes the node-local settings from the config network of that name.
    pub config_from: Option<String>,
}

/// How addresses are managed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IpamSpec {
    /// IPAM driver; an empty name means the built-in one.
    pub driver: Driver,
    /// Subnets; empty means one is chosen.
    pub configs: Vec<IpamConfig>,
}

/// One subnet of a network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IpamConfig {
    /// The subnet.
    pub subnet: IpNetwork,
    /// Part of the subnet that addresses are taken from.
    pub range: Option<IpNetwork>,
    /// The gateway's address.
    pub gateway: Option<IpAddr>,
    /// Addresses that are never handed out, by name.
    pub reserved: BTreeMap<String, IpAddr>,
}

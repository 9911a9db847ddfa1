//! A network of the cluster.

use std::collections::BTreeMap;

use super::Meta;
use crate::NetworkId;
use crate::spec::network::{IpamConfig, NetworkSpec};

/// A network of the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
    /// Versions and times.
    pub meta: Meta,
    /// What it should be.
    pub spec: NetworkSpec,
    /// Subnets that were worked out, none of them open.
    pub ipam: Vec<IpamConfig>,
    /// VXLAN network identifiers, one per IPv4 subnet.
    pub vnis: Vec<u32>,
    /// Further options its driver worked out.
    pub driver_options: BTreeMap<String, String>,
}

//! The one object that stands for the whole cluster.

use std::time::Duration;

use ipnetwork::IpNetwork;

use super::Meta;
use crate::spec::cluster::ClusterSpec;
use crate::{ClusterId, NodeId, Sensitive, Timestamp};

/// The whole cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cluster {
    /// Its id; also the organisation in every certificate.
    pub id: ClusterId,
    /// Versions and times.
    pub meta: Meta,
    /// Its settings.
    pub spec: ClusterSpec,
    /// The certificate authority.
    pub root_ca: RootCa,
    /// Grows with every forced new cluster; requests of another epoch are refused.
    pub epoch: u64,
    /// Level at which changes are written; every member supports it.
    pub level: u32,
    /// Pools overlay networks are cut from.
    pub address_pools: Vec<IpNetwork>,
    /// Prefix length of a subnet cut from a pool.
    pub subnet_size: u8,
    /// UDP port of VXLAN.
    pub data_path_port: u16,
    /// First VXLAN network identifier that is handed out.
    pub vni_base: u32,
    /// Keys of the data path, oldest first.
    pub data_path_keys: Vec<DataPathKey>,
    /// Clock of the keys' generations.
    pub key_clock: u64,
    /// Key that unlocks managers; empty without autolock.
    pub unlock_key: Sensitive,
    /// Certificates of removed nodes, refused until they expire.
    pub removed_nodes: Vec<RemovedNode>,
}

/// The cluster's certificate authority.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RootCa {
    /// PEM of the root certificate; the trust bundle.
    pub cert: String,
    /// PEM of its key; empty when an external authority signs.
    pub key: Sensitive,
    /// Digest of the certificate in the join tokens, base 36.
    pub digest: String,
    /// Token with which a worker joins.
    pub worker_token: Sensitive,
    /// Token with which a manager joins.
    pub manager_token: Sensitive,
    /// The root being rotated to.
    pub rotation: Option<RootRotation>,
    /// `force_rotate` of the spec when the root was last changed.
    pub last_forced_rotation: u64,
}

/// A root being rotated to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RootRotation {
    /// PEM of the next root.
    pub cert: String,
    /// PEM of its key.
    pub key: Sensitive,
    /// PEM of the next root, signed by the present one.
    pub cross_signed: String,
}

/// A key of the data path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataPathKey {
    /// The key.
    pub key: Sensitive,
    /// Its generation.
    pub generation: u64,
}

/// A node that was removed while its certificate is still valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RemovedNode {
    /// The node.
    pub node: NodeId,
    /// When the entry can be forgotten.
    pub until: Timestamp,
}

impl Cluster {
    /// Overlap of a node's certificate with the clocks of others.
    pub const CERT_BACKDATE: Duration = Duration::from_secs(3600);
}

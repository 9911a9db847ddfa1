//! A cluster volume (CSI).

use std::collections::BTreeMap;

use super::node::Availability;
use super::{Annotations, Driver};
use crate::SecretId;

/// What a user asks a cluster volume to be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VolumeSpec {
    /// Name and labels.
    pub annotations: Annotations,
    /// Volumes of one group can stand in for each other.
    pub group: String,
    /// The CSI plug-in and its parameters.
    pub driver: Driver,
    /// Who may use it at once, and how.
    pub access: AccessMode,
    /// Secrets passed to the plug-in, by its key.
    pub secrets: BTreeMap<String, SecretId>,
    /// Topologies the volume must be reachable from.
    pub requisite: Vec<Topology>,
    /// Topologies it should be reachable from, best first.
    pub preferred: Vec<Topology>,
    /// At least that many bytes; 0 means no demand.
    pub required_bytes: i64,
    /// At most that many bytes; 0 means no limit.
    pub limit_bytes: i64,
    /// Whether tasks may use it.
    pub availability: Availability,
}

/// A place in the sense of a CSI plug-in.
pub type Topology = BTreeMap<String, String>;

/// Who may use a volume at once, and how.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AccessMode {
    /// On several nodes at once.
    pub multi_node: bool,
    /// By several tasks at once.
    pub sharing: Sharing,
    /// A file system or a block device.
    pub access: VolumeAccess,
}

/// How tasks share a volume.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sharing {
    /// One task.
    #[default]
    None,
    /// Many readers.
    ReadOnly,
    /// One writer, many readers.
    OneWriter,
    /// Many writers.
    All,
}

/// What a volume appears as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VolumeAccess {
    /// A mounted file system.
    Mount {
        /// Its type; empty means the plug-in's default.
        fs_type: String,
        /// Mount flags.
        flags: Vec<String>,
    },
    /// A block device.
    Block,
}

impl Default for VolumeAccess {
    fn default() -> Self {
        Self::Mount { fs_type: String::new(), flags: Vec::new() }
    }
}

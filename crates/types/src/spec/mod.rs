//! What users ask for. The system never rewrites a spec: what it works out goes into the
//! object beside it.

pub mod cluster;
pub mod container;
pub mod mount;
pub mod network;
pub mod node;
pub mod secret;
pub mod service;
pub mod task;
pub mod volume;

use std::collections::BTreeMap;

/// Name and labels, part of every spec.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Annotations {
    /// Unique per kind, compared in ASCII lower case; nodes may leave it empty.
    pub name: String,
    /// Free key-value pairs.
    pub labels: BTreeMap<String, String>,
}

/// A named plug-in with options: log, volume, network, IPAM and secret drivers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Driver {
    /// The driver's name; empty means the default of the place it stands in.
    pub name: String,
    /// Passed to the driver as they are.
    pub options: BTreeMap<String, String>,
}

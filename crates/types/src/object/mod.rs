//! What the cluster holds: a spec, what the system worked out beside it, and what was observed.

pub mod cluster;
pub mod network;
pub mod node;
pub mod resource;
pub mod secret;
pub mod service;
pub mod task;
pub mod volume;

use crate::Timestamp;

/// Versions and times of an object. A version is the index of the log entry that wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Meta {
    /// Last write of any kind; what users see.
    pub version: u64,
    /// Last write of the spec; what a user's update is checked against.
    pub spec_version: u64,
    /// Last write by a decision of a manager; what a plan is checked against.
    pub decided_version: u64,
    /// When the object was created.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

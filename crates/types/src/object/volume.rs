//! A cluster volume (CSI).

use std::collections::BTreeMap;

use super::Meta;
use crate::spec::volume::{Topology, VolumeSpec};
use crate::{NodeId, VolumeId};

/// A cluster volume.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Volume {
    /// Its id.
    pub id: VolumeId,
    /// Versions and times.
    pub meta: Meta,
    /// What it should be.
    pub spec: VolumeSpec,
    /// Where it is published, and how far that went.
    pub publish: Vec<PublishStatus>,
    /// What the plug-in said when it made the volume.
    pub info: Option<VolumeInfo>,
    /// The user removed it; the plug-in has not yet.
    pub pending_delete: bool,
}

/// A volume on one node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublishStatus {
    /// The node.
    pub node: NodeId,
    /// How far it came.
    pub state: PublishState,
    /// What the controller passes to the node.
    pub context: BTreeMap<String, String>,
    /// What went wrong, for people.
    pub message: String,
}

/// How far the publication of a volume on a node came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PublishState {
    /// The controller has to publish it.
    #[default]
    PendingPublish,
    /// The node may use it.
    Published,
    /// The node has to give it up.
    PendingNodeUnpublish,
    /// The controller has to take it back.
    PendingUnpublish,
}

/// What a plug-in said of a volume.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VolumeInfo {
    /// Its size in bytes; 0 when unknown.
    pub capacity_bytes: i64,
    /// Passed back to the plug-in.
    pub context: BTreeMap<String, String>,
    /// The plug-in's id of the volume.
    pub volume_id: String,
    /// Where it can be reached from.
    pub accessible: Vec<Topology>,
}

//! Cluster volumes.

use swarm_types::Volume;
use swarm_types::object::volume::{PublishState, PublishStatus, VolumeInfo};
use swarm_types::spec::volume::{AccessMode, Sharing, Topology, VolumeAccess, VolumeSpec};

use crate::codec::{mirror, words};
use crate::v1::volume_access as wire;
use crate::{DecodeError, v1};

words! {
    Sharing { None, ReadOnly, OneWriter, All }
    PublishState { PendingPublish, Published, PendingNodeUnpublish, PendingUnpublish }
}

mirror!(VolumeSpec {
    annotations: need,
    group: same,
    driver: need,
    access: need,
    secrets: id_map,
    requisite: list,
    preferred: list,
    required_bytes: same,
    limit_bytes: same,
    availability: word,
});
mirror!(AccessMode { multi_node: same, sharing: word, access: need });
mirror!(Volume {
    id: id,
    meta: need,
    spec: need,
    publish: list,
    info: maybe,
    pending_delete: same,
});
mirror!(PublishStatus { node: id, state: word, context: same, message: same });
mirror!(VolumeInfo { capacity_bytes: same, context: same, volume_id: same, accessible: list });

impl From<&Topology> for v1::Topology {
    fn from(it: &Topology) -> Self {
        Self { segments: it.clone() }
    }
}

impl TryFrom<v1::Topology> for Topology {
    type Error = DecodeError;
    fn try_from(it: v1::Topology) -> Result<Self, DecodeError> {
        Ok(it.segments)
    }
}

impl From<&VolumeAccess> for v1::VolumeAccess {
    fn from(it: &VolumeAccess) -> Self {
        let access = match it {
            VolumeAccess::Mount { fs_type, flags } => {
                wire::Access::Mount(wire::Mount { fs_type: fs_type.clone(), flags: flags.clone() })
            }
            VolumeAccess::Block => wire::Access::Block(wire::Block {}),
        };
        Self { access: Some(access) }
    }
}

impl TryFrom<v1::VolumeAccess> for VolumeAccess {
    type Error = DecodeError;
    fn try_from(it: v1::VolumeAccess) -> Result<Self, DecodeError> {
        Ok(match it.access.ok_or_else(|| DecodeError::missing("access"))? {
            wire::Access::Mount(it) => Self::Mount { fs_type: it.fs_type, flags: it.flags },
            wire::Access::Block(_) => Self::Block,
        })
    }
}

//! Cluster volumes: users write the spec, managers where a volume is published.

use swarm_types::spec::volume::VolumeSpec;
use swarm_types::{ObjectId, Refusal, Volume, VolumeId};

use super::{Txn, Writer};

impl Txn {
    pub(super) fn create_volume(&mut self, volume: &Volume) -> Result<(), Refusal> {
        self.need_secrets(&volume.spec)?;
        self.create(volume.clone())
    }

    /// Which versions grow follows from what differs.
    pub(super) fn set_volume(&mut self, new: &Volume) -> Result<(), Refusal> {
        let old = self.need::<Volume>(new.id)?;
        self.need_secrets(&new.spec)?;
        let beside = Volume { meta: old.meta, spec: old.spec.clone(), ..new.clone() } != **old;
        let writer = match (new.spec != old.spec, beside) {
            (false, false) => return Ok(()),
            (true, false) => Writer::User,
            (false, true) => Writer::Planner,
            (true, true) => Writer::Both,
        };
        self.update(Volume { meta: old.meta, ..new.clone() }, writer)
    }

    pub(super) fn remove_volume(&mut self, id: VolumeId) -> Result<(), Refusal> {
        let volume = self.need::<Volume>(id)?;
        if let Some(published) = volume.publish.first() {
            let user = ObjectId::Node(published.node).to_string();
            return Err(Refusal::InUse { object: ObjectId::Volume(id), user });
        }
        self.need_unused(ObjectId::Volume(id))?;
        self.remove::<Volume>(id)
    }

    fn need_secrets(&self, spec: &VolumeSpec) -> Result<(), Refusal> {
        let secrets: Vec<_> = spec.secrets.values().map(|id| ObjectId::Secret(*id)).collect();
        self.need_all(&secrets)
    }
}

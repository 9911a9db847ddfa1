//! Opaque objects of users: extensions name kinds, resources are of one.

use swarm_types::{Extension, ObjectId, Refusal, Resource, ResourceId};

use super::{Txn, Writer, invalid};
use crate::index::{Claim, NameOf};

impl Txn {
    /// Kinds are compared as names are, in ASCII lower case.
    pub(super) fn remove_extension(&mut self, id: ResourceId) -> Result<(), Refusal> {
        let name = &self.need::<Extension>(id)?.annotations.name;
        let of_kind = |it: &Resource| it.kind.eq_ignore_ascii_case(name);
        let user = (&self.tables.resources).into_iter().find(|(_, it)| of_kind(it));
        let user = user.map(|(user, _)| ObjectId::Resource(*user).to_string());
        match user {
            Some(user) => Err(Refusal::InUse { object: ObjectId::Extension(id), user }),
            None => self.remove::<Extension>(id),
        }
    }

    pub(super) fn create_resource(&mut self, resource: &Resource) -> Result<(), Refusal> {
        self.need_kind(&resource.kind)?;
        self.create(resource.clone())
    }

    pub(super) fn set_resource(&mut self, new: &Resource) -> Result<(), Refusal> {
        let old = self.need::<Resource>(new.id)?;
        self.need_kind(&new.kind)?;
        self.update(Resource { meta: old.meta, ..new.clone() }, Writer::User)
    }

    pub(super) fn remove_resource(&mut self, id: ResourceId) -> Result<(), Refusal> {
        self.need::<Resource>(id)?;
        self.remove::<Resource>(id)
    }

    fn need_kind(&self, kind: &str) -> Result<(), Refusal> {
        if self.tables.claims.get(&Claim::name(NameOf::Extension, kind)).is_some() {
            return Ok(());
        }
        invalid(format!("there is no extension named {kind:?}"))
    }
}

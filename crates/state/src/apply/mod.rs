//! The rules: one change after the other, each on the result of those before it.
//!
//! A change checks everything before its first write. Who writes decides which versions grow:
//! see [`Writer`]. Whole groups, retries and panics are [`crate::State`]'s business.

mod cluster;
mod network;
mod node;
mod open;
mod secret;
mod service;
mod session;
mod slot;
mod task;
mod user;
mod volume;

use std::any::Any;
use std::sync::Arc;

use swarm_types::{
    Change, Cluster, Config, Expect, Expected, Extension, Group, Meta, Network, Node, ObjectId,
    Refusal, Resource, Secret, Service, Task, Timestamp, Volume,
};

use crate::event::Event;
use crate::index::Tables;
use crate::kind::Stored;
use open::Open;

/// The tables while an entry is applied, and what happened to them so far.
pub(crate) struct Txn {
    pub(crate) tables: Tables,
    pub(crate) events: Vec<Event>,
    pub(crate) index: u64,
    pub(crate) at: Timestamp,
    /// None once a group is through.
    open: Option<Open>,
}

/// Who writes an object, which says the versions that grow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    /// A user wrote the spec.
    User,
    /// A manager decided.
    Planner,
    /// A user asked and a manager decides with the same write: all three grow.
    Both,
    /// Something was observed, or followed from another object's change.
    Report,
}

/// Applies a group: first its expectations, then its changes.
pub(crate) fn group(txn: &mut Txn, group: &Group) -> Result<(), Refusal> {
    group.expect.iter().try_for_each(|expect| txn.expect(expect))?;
    group.changes.iter().try_for_each(|change| {
        txn.turn_to(change);
        txn.change(change)
    })?;
    txn.close();
    Ok(())
}

/// What a panic in a group becomes. Reported here, once per replica.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Refusal {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    tracing::error!(panic = %text, "applying a group panicked; the group is refused");
    Refusal::Panicked(text)
}

/// A refusal by a rule of the state.
fn invalid<T>(text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Invalid(text.into()))
}

/// Versions and times of the object, `None` when there is none.
fn meta<'a>(tables: &'a Tables, object: &ObjectId) -> Option<&'a Meta> {
    match object {
        ObjectId::Cluster(id) => Cluster::find(tables, *id).map(|it| &it.meta),
        ObjectId::Node(id) => Node::find(tables, *id).map(|it| &it.meta),
        ObjectId::Service(id) => Service::find(tables, *id).map(|it| &it.meta),
        ObjectId::Task(id) => Task::find(tables, *id).map(|it| &it.meta),
        ObjectId::Network(id) => Network::find(tables, *id).map(|it| &it.meta),
        ObjectId::Secret(id) => Secret::find(tables, *id).map(|it| &it.meta),
        ObjectId::Config(id) => Config::find(tables, *id).map(|it| &it.meta),
        ObjectId::Volume(id) => Volume::find(tables, *id).map(|it| &it.meta),
        ObjectId::Extension(id) => Extension::find(tables, *id).map(|it| &it.meta),
        ObjectId::Resource(id) => Resource::find(tables, *id).map(|it| &it.meta),
    }
}

/// True when there is such an object.
pub(crate) fn exists(tables: &Tables, object: &ObjectId) -> bool {
    meta(tables, object).is_some()
}

impl Txn {
    pub(crate) fn new(tables: Tables, index: u64, at: Timestamp) -> Self {
        Self { tables, events: Vec::new(), index, at, open: None }
    }

    /// Goes back to the tables before a group, and to as many events.
    pub(crate) fn go_back(&mut self, tables: Tables, events: usize) {
        (self.tables, self.open) = (tables, None);
        self.events.truncate(events);
    }

    fn expect(&self, expect: &Expect) -> Result<(), Refusal> {
        let object = expect.object;
        let found = meta(&self.tables, &object);
        let same = |expected: u64, version: fn(&Meta) -> u64| {
            let found = version(found.ok_or(Refusal::NotFound(object))?);
            if found == expected { Ok(()) } else { Err(Refusal::Stale { object, expected, found }) }
        };
        match expect.what {
            Expected::Absent if found.is_some() => Err(Refusal::Exists(object)),
            Expected::Absent => Ok(()),
            Expected::Version(expected) => same(expected, |meta| meta.version),
            Expected::SpecVersion(expected) => same(expected, |meta| meta.spec_version),
            Expected::Decided(expected) => same(expected, |meta| meta.decided_version),
        }
    }

    /// The object of that id.
    fn need<T: Stored>(&self, id: T::Id) -> Result<&Arc<T>, Refusal> {
        T::find(&self.tables, id).ok_or(Refusal::NotFound(T::object_id(id)))
    }

    /// Refuses when one of the objects is not there.
    fn need_all(&self, objects: &[ObjectId]) -> Result<(), Refusal> {
        let missing = objects.iter().find(|object| !exists(&self.tables, object));
        missing.map_or(Ok(()), |object| Err(Refusal::NotFound(*object)))
    }

    fn need_absent<T: Stored>(&self, id: T::Id) -> Result<(), Refusal> {
        match T::find(&self.tables, id) {
            Some(_) => Err(Refusal::Exists(T::object_id(id))),
            None => Ok(()),
        }
    }

    /// Refuses while anything refers to the object.
    fn need_unused(&self, object: ObjectId) -> Result<(), Refusal> {
        match self.tables.user_of(object) {
            Some(user) => Err(Refusal::InUse { object, user: self.describe(user) }),
            None => Ok(()),
        }
    }

    /// An object for people.
    fn describe(&self, object: ObjectId) -> String {
        match object {
            ObjectId::Service(id) => {
                self.tables.services.get(&id).map_or(object.to_string(), |it| {
                    format!("service {}", it.spec.annotations.name)
                })
            }
            other => other.to_string(),
        }
    }

    /// Stores a new object with fresh versions and times.
    fn create<T: Stored>(&mut self, mut object: T) -> Result<(), Refusal> {
        let id = object.id();
        self.need_absent::<T>(id)?;
        self.stamp_new(object.meta());
        let object = Arc::new(object);
        self.tables.set(id, Some(&object))?;
        self.events.push(Event::Created(T::object(object)));
        Ok(())
    }

    /// Replaces an object that is there; versions and times are stamped here.
    fn update<T: Stored>(&mut self, mut object: T, writer: Writer) -> Result<(), Refusal> {
        let id = object.id();
        self.stamp(object.meta(), writer);
        let new = Arc::new(object);
        if let Some(old) = self.tables.set(id, Some(&new))? {
            self.events.push(Event::Updated { old: T::object(old), new: T::object(new) });
        }
        Ok(())
    }

    fn stamp_new(&self, meta: &mut Meta) {
        let (index, at) = (self.index, self.at);
        *meta = Meta {
            version: index,
            spec_version: index,
            decided_version: index,
            created_at: at,
            updated_at: at,
        };
    }

    fn stamp(&self, meta: &mut Meta, writer: Writer) {
        let index = self.index;
        (meta.version, meta.updated_at) = (index, self.at);
        if matches!(writer, Writer::User | Writer::Both) {
            meta.spec_version = index;
        }
        if matches!(writer, Writer::Planner | Writer::Both) {
            meta.decided_version = index;
        }
    }

    /// Drops an object that is there.
    fn remove<T: Stored>(&mut self, id: T::Id) -> Result<(), Refusal> {
        if let Some(old) = self.tables.set::<T>(id, None)? {
            self.events.push(Event::Removed(T::object(old)));
        }
        Ok(())
    }

    fn change(&mut self, change: &Change) -> Result<(), Refusal> {
        match change {
            Change::CreateCluster(cluster) => self.create_cluster(cluster),
            Change::UpdateCluster(spec) => self.update_cluster(spec),
            Change::SetCluster(cluster) => self.set_cluster(cluster),
            Change::CreateNode(node) => self.create_node(node),
            Change::UpdateNode(id, spec) => self.update_node(*id, spec),
            Change::RemoveNode { node, refuse_until } => self.remove_node(*node, *refuse_until),
            Change::OpenSession(open) => self.open_session(open),
            Change::NodeDown { node, session, message } => self.node_down(*node, *session, message),
            Change::SetNodeRole(id, role) => self.set_node_role(*id, *role),
            Change::SetNodeKey(id, fingerprint) => self.set_node_key(*id, fingerprint),
            Change::CreateService(service) => self.create_service(service),
            Change::UpdateService(id, spec) => self.update_service(*id, spec),
            Change::RollbackService(id, status) => self.rollback_service(*id, status),
            Change::RemoveService(id) => self.remove_service(*id),
            Change::SetUpdateStatus(id, status) => self.set_update_status(*id, status),
            Change::SetEndpoint(id, endpoint) => self.set_endpoint(*id, endpoint),
            Change::CreateTask(_)
            | Change::AssignTask(_)
            | Change::SetTaskPending(..)
            | Change::ExplainTask(..)
            | Change::SetDesired { .. }
            | Change::EndTask { .. }
            | Change::RemoveTask(_)
            | Change::ObserveTask(_) => self.change_task(change),
            Change::CreateNetwork(network) => self.create_network(network),
            Change::SetNetwork { network, ipam, vnis } => self.set_network(*network, ipam, vnis),
            Change::RemoveNetwork(id) => self.remove_network(*id),
            Change::CreateSecret(secret) => self.create_secret(secret),
            Change::UpdateSecret(id, spec) => self.update_secret(*id, spec),
            Change::RemoveSecret(id) => self.remove_secret(*id),
            Change::CreateConfig(config) => self.create_config(config),
            Change::UpdateConfig(id, spec) => self.update_config(*id, spec),
            Change::RemoveConfig(id) => self.remove_config(*id),
            Change::CreateVolume(volume) => self.create_volume(volume),
            Change::SetVolume(volume) => self.set_volume(volume),
            Change::RemoveVolume(id) => self.remove_volume(*id),
            Change::CreateExtension(extension) => self.create((**extension).clone()),
            Change::RemoveExtension(id) => self.remove_extension(*id),
            Change::CreateResource(resource) => self.create_resource(resource),
            Change::SetResource(resource) => self.set_resource(resource),
            Change::RemoveResource(id) => self.remove_resource(*id),
        }
    }
}

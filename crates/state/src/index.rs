//! The tables and everything that is looked up in them.
//!
//! One function writes: [`Tables::set`]. It keeps every index in step with the table, and refuses
//! what two objects cannot both hold ([`Claim`]) or publish, before it writes anything. The state
//! hash follows once a group is through, see [`Tables::account`]. All maps are persistent: a
//! clone is O(1) and shares what is not written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use immutable_chunkmap::map::Map;
use immutable_chunkmap::set::Set;
use swarm_types::spec::service::{PortConfig, Protocol, PublishMode};
use swarm_types::{
    Cluster, Config, ConfigId, Extension, Network, NetworkId, Node, NodeId, ObjectId, Refusal,
    Resource, ResourceId, Secret, SecretId, Service, ServiceId, Task, TaskId, TaskState, Template,
    Volume, VolumeId,
};

use crate::event::Event;
use crate::hash::Sum;
use crate::kind::{Holdings, Stored, digest};
use crate::range::range;

/// Elements per chunk: small enough that the copy a write needs is cheap, large enough that the
/// tree above is shallow. Found by `examples/state-bench.rs`.
const CHUNK: usize = 32;

pub(crate) type Table<K, V> = Map<K, Arc<V>, CHUNK>;
pub(crate) type Keys<K> = Set<K, CHUNK>;

/// The replicated tables with their indexes and hash.
#[derive(Clone, Default)]
pub(crate) struct Tables {
    pub(crate) cluster: Option<Arc<Cluster>>,
    pub(crate) nodes: Table<NodeId, Node>,
    pub(crate) services: Table<ServiceId, Service>,
    pub(crate) tasks: Table<TaskId, Task>,
    pub(crate) networks: Table<NetworkId, Network>,
    pub(crate) secrets: Table<SecretId, Secret>,
    pub(crate) configs: Table<ConfigId, Config>,
    pub(crate) volumes: Table<VolumeId, Volume>,
    pub(crate) extensions: Table<ResourceId, Extension>,
    pub(crate) resources: Table<ResourceId, Resource>,
    /// Templates in use, by service and spec version.
    pub(crate) templates: Map<TemplateKey, SharedTemplate, CHUNK>,
    /// What only one object may hold, and which one does.
    pub(crate) claims: Map<Claim, ObjectId, CHUNK>,
    /// (what is referred to, what refers to it).
    pub(crate) links: Keys<(ObjectId, ObjectId)>,
    /// Published ports of services.
    pub(crate) ports: Keys<PortKey>,
    /// Tasks of services, in the order of their slots.
    pub(crate) slots: Keys<SlotKey>,
    /// Tasks that have a node.
    pub(crate) placed: Keys<PlaceKey>,
    /// Tasks below ASSIGNED.
    pub(crate) unassigned: Keys<TaskId>,
    /// Hash of all objects and templates.
    pub(crate) sum: Sum,
}

/// Service and version of its spec.
pub(crate) type TemplateKey = (ServiceId, u64);

/// A template and the number of tasks that have it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SharedTemplate {
    pub(crate) template: Arc<Template>,
    pub(crate) tasks: u64,
}

/// What only one object may hold.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Claim {
    /// A name within a kind, in ASCII lower case.
    Name(NameOf, String),
    /// An address on a network.
    Address(NetworkId, IpAddr),
    /// A VXLAN network identifier.
    Vni(u32),
    /// Being the network of the routing mesh.
    Ingress,
}

/// Kinds whose names are unique.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum NameOf {
    Service,
    Network,
    Secret,
    Config,
    Volume,
    Extension,
    Resource,
}

impl NameOf {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Network => "network",
            Self::Secret => "secret",
            Self::Config => "config",
            Self::Volume => "volume",
            Self::Extension => "extension",
            Self::Resource => "resource",
        }
    }
}

impl Claim {
    /// The claim on a name.
    pub(crate) fn name(kind: NameOf, name: &str) -> Self {
        Self::Name(kind, name.to_ascii_lowercase())
    }

    fn refusal(&self, owner: ObjectId) -> Refusal {
        match self {
            Self::Name(kind, name) => {
                Refusal::NameTaken { kind: kind.as_str().to_owned(), name: name.clone() }
            }
            Self::Address(network, address) => Refusal::Invalid(format!(
                "address {address} of network {network} is held by {owner}"
            )),
            Self::Vni(vni) => {
                Refusal::Invalid(format!("VXLAN network identifier {vni} is held by {owner}"))
            }
            Self::Ingress => {
                Refusal::Invalid(format!("ingress network is already present: {owner}"))
            }
        }
    }
}

/// A port a service publishes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct PortKey {
    pub(crate) protocol: Protocol,
    pub(crate) published: u16,
    pub(crate) mode: PublishMode,
    pub(crate) service: ServiceId,
}

impl PortKey {
    pub(crate) fn of(service: ServiceId, port: &PortConfig) -> Self {
        let PortConfig { protocol, published, mode, .. } = *port;
        Self { protocol, published, mode, service }
    }
}

/// A task in its slot; the newest of a slot comes last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct SlotKey {
    pub(crate) service: ServiceId,
    pub(crate) slot: u64,
    pub(crate) created: u64,
    pub(crate) task: TaskId,
}

impl SlotKey {
    const fn first(service: ServiceId, slot: u64) -> Self {
        Self { service, slot, created: 0, task: TaskId::MIN }
    }

    const fn last(service: ServiceId, slot: u64) -> Self {
        Self { service, slot, created: u64::MAX, task: TaskId::MAX }
    }
}

/// A task on its node; the newest of a service comes last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct PlaceKey {
    pub(crate) node: NodeId,
    pub(crate) service: Option<ServiceId>,
    pub(crate) created: u64,
    pub(crate) task: TaskId,
}

impl PlaceKey {
    const fn first(node: NodeId, service: Option<ServiceId>) -> Self {
        Self { node, service, created: 0, task: TaskId::MIN }
    }

    const fn last(node: NodeId, service: Option<ServiceId>) -> Self {
        Self { node, service, created: u64::MAX, task: TaskId::MAX }
    }

    fn of(task: &Task) -> Option<Self> {
        let (service, created) = (task.service(), created(task));
        task.node.map(|node| Self { node, service, created, task: task.id })
    }
}

/// Index of the entry that created a task: tasks never have their spec written again.
pub(crate) const fn created(task: &Task) -> u64 {
    task.meta.spec_version
}

impl Tables {
    /// Tasks of a service within a range of slots: by slot, then age.
    pub(crate) fn in_slots(
        &self,
        service: ServiceId,
        first: u64,
        last: u64,
    ) -> impl Iterator<Item = &SlotKey> {
        let (first, last) = (SlotKey::first(service, first), SlotKey::last(service, last));
        range(self.slots.root(), first, last).map(|(key, ())| key)
    }

    /// Tasks on a node, of one service or of all (`None`); of one service, the newest last.
    pub(crate) fn on_node(
        &self,
        node: NodeId,
        service: Option<ServiceId>,
    ) -> impl Iterator<Item = &PlaceKey> {
        let last = service.unwrap_or(ServiceId::MAX);
        let (first, last) = (PlaceKey::first(node, service), PlaceKey::last(node, Some(last)));
        range(self.placed.root(), first, last).map(|(key, ())| key)
    }

    /// Something that refers to the object.
    pub(crate) fn user_of(&self, object: ObjectId) -> Option<ObjectId> {
        let first = ObjectId::Cluster(swarm_types::ClusterId::MIN);
        let last = ObjectId::Resource(ResourceId::MAX);
        let mut users = range(self.links.root(), (object, first), (object, last));
        users.next().map(|((_, user), ())| *user)
    }

    /// Something that holds an address on the network.
    pub(crate) fn address_holder(&self, network: NetworkId) -> Option<ObjectId> {
        let first = Claim::Address(network, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let last = Claim::Address(network, IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)));
        range(self.claims.root(), first, last).next().map(|(_, holder)| *holder)
    }

    /// Writes (`Some`) or drops (`None`) an object and returns the one before.
    ///
    /// # Errors
    ///
    /// When another object holds what this one claims, or publishes a port that conflicts.
    /// Nothing was written then.
    pub(crate) fn set<T: Stored>(
        &mut self,
        id: T::Id,
        new: Option<&Arc<T>>,
    ) -> Result<Option<Arc<T>>, Refusal> {
        if let Some(new) = new {
            self.check(T::object_id(id), &new.holdings())?;
        }
        Ok(self.put(id, new))
    }

    /// Writes or drops an object that was checked.
    pub(crate) fn put<T: Stored>(&mut self, id: T::Id, new: Option<&Arc<T>>) -> Option<Arc<T>> {
        let me = T::object_id(id);
        let old = T::find(self, id).cloned();
        let held = old.as_ref().map(|old| old.holdings()).unwrap_or_default();
        let wanted = new.map(|new| new.holdings()).unwrap_or_default();
        if held != wanted {
            self.release(me, &held);
            self.take(me, wanted);
        }
        T::reindex(self, old.as_deref(), new.map(|new| &**new));
        T::place(self, id, new.cloned());
        old
    }

    /// Brings the state hash in step with what these events, a group's, wrote. An object that was
    /// written several times in a row counts once: what it was in between cancels out.
    pub(crate) fn account(&mut self, events: &[Event]) {
        for run in events.chunk_by(|a, b| a.object() == b.object()) {
            if let Some(old) = run.first().and_then(Event::before) {
                self.sum.subtract(digest(old));
            }
            if let Some(new) = run.last().and_then(Event::after) {
                self.sum.add(digest(new));
            }
        }
    }

    /// Refuses what another object holds, or a port that conflicts.
    pub(crate) fn check(&self, me: ObjectId, wanted: &Holdings) -> Result<(), Refusal> {
        for claim in &wanted.claims {
            match self.claims.get(claim) {
                Some(owner) if *owner != me => return Err(claim.refusal(*owner)),
                _ => {}
            }
        }
        wanted.ports.iter().try_for_each(|port| self.check_port(port))
    }

    /// A port of the routing mesh excludes every other use; ports of single nodes are sorted
    /// out by the scheduler.
    fn check_port(&self, port: &PortKey) -> Result<(), Refusal> {
        let first = PortKey { mode: PublishMode::Ingress, service: ServiceId::MIN, ..*port };
        let last = PortKey { mode: PublishMode::Host, service: ServiceId::MAX, ..*port };
        let mut held = range(self.ports.root(), first, last).map(|(other, ())| other);
        let conflict = held.find(|other| {
            let mesh = [port.mode, other.mode].contains(&PublishMode::Ingress);
            other.service != port.service && mesh
        });
        let Some(other) = conflict else { return Ok(()) };
        let mode = if other.mode == PublishMode::Ingress { "ingress" } else { "host-published" };
        let name = self.services.get(&other.service).map_or("", |it| &it.spec.annotations.name);
        Err(Refusal::Invalid(format!(
            "port '{}' is already in use by service '{name}' ({}) as an {mode} port",
            port.published, other.service
        )))
    }

    fn release(&mut self, me: ObjectId, held: &Holdings) {
        for claim in &held.claims {
            self.claims.remove_cow(claim);
        }
        for target in &held.links {
            self.links.remove_cow(&(*target, me));
        }
        for port in &held.ports {
            self.ports.remove_cow(port);
        }
    }

    fn take(&mut self, me: ObjectId, wanted: Holdings) {
        for claim in wanted.claims {
            self.claims.insert_cow(claim, me);
        }
        for target in wanted.links {
            self.links.insert_cow((target, me));
        }
        for port in wanted.ports {
            self.ports.insert_cow(port);
        }
    }

    /// The indexes only tasks have. Slot and template of a task never change.
    pub(crate) fn reindex_task(&mut self, old: Option<&Task>, new: Option<&Task>) {
        match (old, new) {
            (None, Some(task)) => self.enter_task(task),
            (Some(task), None) => self.leave_task(task),
            _ => {}
        }
        let (before, after) = (old.and_then(PlaceKey::of), new.and_then(PlaceKey::of));
        if before != after {
            before.map(|key| self.placed.remove_cow(&key));
            after.map(|key| self.placed.insert_cow(key));
        }
        let waits = |task: &&Task| task.status.state < TaskState::Assigned;
        match (old.filter(waits), new.filter(waits)) {
            (None, Some(task)) => _ = self.unassigned.insert_cow(task.id),
            (Some(task), None) => _ = self.unassigned.remove_cow(&task.id),
            _ => {}
        }
    }

    fn enter_task(&mut self, task: &Task) {
        let Some(service) = task.service() else { return };
        self.slots.insert_cow(slot_key(service, task));
        let key = (service, task.spec_version());
        if let Some(shared) = self.templates.get_mut_cow(&key) {
            shared.tasks += 1;
        } else {
            let template = Arc::clone(&task.template);
            self.sum.add(Sum::of(TEMPLATE, &template));
            self.templates.insert_cow(key, SharedTemplate { template, tasks: 1 });
        }
    }

    fn leave_task(&mut self, task: &Task) {
        let Some(service) = task.service() else { return };
        self.slots.remove_cow(&slot_key(service, task));
        let key = (service, task.spec_version());
        let Some(shared) = self.templates.get_mut_cow(&key) else { return };
        shared.tasks -= 1;
        if shared.tasks == 0 {
            self.sum.subtract(Sum::of(TEMPLATE, &task.template));
            self.templates.remove_cow(&key);
        }
    }
}

/// Kind of a template in the state hash.
const TEMPLATE: u8 = 32;

fn slot_key(service: ServiceId, task: &Task) -> SlotKey {
    SlotKey { service, slot: task.slot, created: created(task), task: task.id }
}

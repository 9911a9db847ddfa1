//! A consistent view of the whole state after one entry. Taking, cloning and keeping it is
//! O(1); it never changes and never blocks the writer.

use std::fmt;
use std::sync::Arc;

use swarm_types::spec::service::ServiceSpec;
use swarm_types::{
    Cluster, Config, ConfigId, Extension, Network, NetworkId, Node, NodeId, Object, ObjectId,
    Record, RememberedRequest, RequestId, Resource, ResourceId, Secret, SecretId, Service,
    ServiceId, SnapshotHeader, Task, TaskId, TaskState, Template, Timestamp, Volume, VolumeId,
};

use crate::apply::exists;
use crate::hash::Sum;
use crate::index::{Claim, NameOf, Tables};
use crate::kind::service_references;
use crate::request::Requests;

/// A consistent view of the whole state after one entry.
#[derive(Clone)]
pub struct Snapshot(Arc<View>);

pub(crate) struct View {
    pub(crate) tables: Tables,
    pub(crate) requests: Requests,
    pub(crate) applied: u64,
    pub(crate) at: Timestamp,
}

/// The hash of the whole state: objects, templates, requests and clock.
pub(crate) fn state_hash(tables: &Tables, requests: &Requests, at: Timestamp) -> [u8; 32] {
    const CLOCK: u8 = 34;
    let mut sum = Sum::of(CLOCK, &at);
    sum.add(tables.sum);
    sum.add(requests.sum());
    sum.bytes()
}

macro_rules! kinds {
    ($($one:ident, $all:ident, $kind:ident, $id:ident, $what:literal;)*) => {$(
        #[doc = concat!("The ", $what, " of that id.")]
        #[must_use]
        pub fn $one(&self, id: &$id) -> Option<&Arc<$kind>> {
            self.0.tables.$all.get(id)
        }

        #[doc = concat!("Every ", $what, ", ordered by id.")]
        pub fn $all(&self) -> impl Iterator<Item = &Arc<$kind>> {
            self.0.tables.$all.into_iter().map(|(_, object)| object)
        }
    )*};
}

macro_rules! names {
    ($($by_name:ident, $one:ident, $kind:ident, $what:literal;)*) => {$(
        #[doc = concat!("The ", $what, " of that name, in any ASCII case.")]
        #[must_use]
        pub fn $by_name(&self, name: &str) -> Option<&Arc<$kind>> {
            match self.0.tables.claims.get(&Claim::name(NameOf::$kind, name))? {
                ObjectId::$kind(id) => self.$one(id),
                _ => None,
            }
        }
    )*};
}

impl Snapshot {
    pub(crate) fn new(view: View) -> Self {
        Self(Arc::new(view))
    }

    /// Index of the last entry applied; 0 before the first.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.0.applied
    }

    /// The state's clock: the largest `Entry.at` seen.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.0.at
    }

    /// Hash of objects, templates, remembered requests and clock. Replicas that applied the
    /// same entries have the same one.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        state_hash(&self.0.tables, &self.0.requests, self.0.at)
    }

    /// The cluster; `None` before it is founded.
    #[must_use]
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.0.tables.cluster.as_ref()
    }

    kinds! {
        node, nodes, Node, NodeId, "node";
        service, services, Service, ServiceId, "service";
        task, tasks, Task, TaskId, "task";
        network, networks, Network, NetworkId, "network";
        secret, secrets, Secret, SecretId, "secret";
        config, configs, Config, ConfigId, "config";
        volume, volumes, Volume, VolumeId, "volume";
        extension, extensions, Extension, ResourceId, "extension";
        resource, resources, Resource, ResourceId, "resource";
    }

    names! {
        service_by_name, service, Service, "service";
        network_by_name, network, Network, "network";
        secret_by_name, secret, Secret, "secret";
        config_by_name, config, Config, "config";
        volume_by_name, volume, Volume, "volume";
        extension_by_name, extension, Extension, "extension";
        resource_by_name, resource, Resource, "resource";
    }

    /// The network of the routing mesh.
    #[must_use]
    pub fn ingress(&self) -> Option<&Arc<Network>> {
        match self.0.tables.claims.get(&Claim::Ingress)? {
            ObjectId::Network(id) => self.network(id),
            _ => None,
        }
    }

    /// True when every object the spec refers to is there: a service can be given it.
    #[must_use]
    pub fn has_references(&self, spec: &ServiceSpec) -> bool {
        service_references(spec).iter().all(|object| exists(&self.0.tables, object))
    }

    /// Tasks of a service, ordered by slot, index of the creating entry, and id. Tasks outlive
    /// their service.
    pub fn tasks_of_service(&self, service: &ServiceId) -> impl Iterator<Item = &Arc<Task>> {
        let keys = self.0.tables.in_slots(*service, 0, u64::MAX);
        keys.filter_map(|key| self.task(&key.task))
    }

    /// Tasks of one slot, oldest first. For global services the slot is 0 and holds the tasks
    /// of all nodes; see [`Snapshot::tasks_of_service_on_node`].
    pub fn tasks_in_slot(
        &self,
        service: &ServiceId,
        slot: u64,
    ) -> impl Iterator<Item = &Arc<Task>> {
        self.tasks_in_slots(service, slot, slot)
    }

    /// Tasks of the slots from `first` to `last`, by slot and oldest first.
    pub fn tasks_in_slots(
        &self,
        service: &ServiceId,
        first: u64,
        last: u64,
    ) -> impl Iterator<Item = &Arc<Task>> {
        let keys = self.0.tables.in_slots(*service, first, last);
        keys.filter_map(|key| self.task(&key.task))
    }

    /// Tasks on a node, also ended ones: ordered by service, index of the creating entry, and
    /// id; attachments of unmanaged containers come first.
    pub fn tasks_on_node(&self, node: &NodeId) -> impl Iterator<Item = &Arc<Task>> {
        let keys = self.0.tables.on_node(*node, None);
        keys.filter_map(|key| self.task(&key.task))
    }

    /// Tasks of a service on a node, also ended ones, oldest first.
    pub fn tasks_of_service_on_node(
        &self,
        service: &ServiceId,
        node: &NodeId,
    ) -> impl Iterator<Item = &Arc<Task>> {
        let keys = self.0.tables.on_node(*node, Some(*service));
        keys.filter_map(|key| self.task(&key.task))
    }

    /// Tasks below ASSIGNED that are wanted to run or to complete, ordered by id.
    pub fn unassigned(&self) -> impl Iterator<Item = &Arc<Task>> {
        let tasks = self.0.tables.unassigned.into_iter().filter_map(|id| self.task(id));
        tasks.filter(|task| task.desired <= TaskState::Complete)
    }

    /// The template shared by the tasks of a service at that version of its spec; `None` when
    /// there is no such task.
    #[must_use]
    pub fn template(&self, service: &ServiceId, spec_version: u64) -> Option<Arc<Template>> {
        let shared = self.0.tables.templates.get(&(*service, spec_version))?;
        Some(Arc::clone(&shared.template))
    }

    /// What is remembered of a request; `None` when it is unknown or forgotten.
    #[must_use]
    pub fn request(&self, id: &RequestId) -> Option<&RememberedRequest> {
        self.0.requests.get(id).map(|remembered| &**remembered)
    }

    /// Everything, for writing it down: the header, then objects, then requests. Made one by
    /// one while the iterator runs; objects are shared, not copied.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let Self(view) = self;
        let header = SnapshotHeader { applied: view.applied, at: view.at, hash: self.hash() };
        let requests = view.requests.iter().map(|it| Record::Request((**it).clone()));
        let objects = self.objects().map(Record::Object);
        std::iter::once(Record::Header(header)).chain(objects).chain(requests)
    }

    fn objects(&self) -> impl Iterator<Item = Object> {
        let nodes = self.nodes().map(|it| Object::Node(Arc::clone(it)));
        let services = self.services().map(|it| Object::Service(Arc::clone(it)));
        let tasks = self.tasks().map(|it| Object::Task(Arc::clone(it)));
        let networks = self.networks().map(|it| Object::Network(Arc::clone(it)));
        let secrets = self.secrets().map(|it| Object::Secret(Arc::clone(it)));
        let configs = self.configs().map(|it| Object::Config(Arc::clone(it)));
        let volumes = self.volumes().map(|it| Object::Volume(Arc::clone(it)));
        let extensions = self.extensions().map(|it| Object::Extension(Arc::clone(it)));
        let resources = self.resources().map(|it| Object::Resource(Arc::clone(it)));
        let cluster = self.cluster().map(|it| Object::Cluster(Arc::clone(it)));
        let few = cluster.into_iter().chain(nodes).chain(networks).chain(secrets).chain(configs);
        few.chain(volumes).chain(extensions).chain(resources).chain(services).chain(tasks)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("applied", &self.0.applied).finish_non_exhaustive()
    }
}

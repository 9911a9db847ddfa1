//! What the kinds of objects have in common, and what each of them holds.

use std::sync::Arc;

use swarm_types::spec::service::ServiceSpec;
use swarm_types::spec::task::{NetworkTarget, ResourceReference, TaskSpec};
use swarm_types::{
    Cluster, ClusterId, Config, ConfigId, Extension, Meta, Network, NetworkId, Node, NodeId,
    Object, ObjectId, Resource, ResourceId, Secret, SecretId, Service, ServiceId, Task, TaskId,
    Volume, VolumeId,
};

use crate::canon::Canon;
use crate::hash::Sum;
use crate::index::{Claim, NameOf, PortKey, Tables};

/// What an object holds beside its place in its table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Holdings {
    /// What only one object may hold.
    pub(crate) claims: Vec<Claim>,
    /// What it refers to; none of that may be removed.
    pub(crate) links: Vec<ObjectId>,
    /// What it publishes.
    pub(crate) ports: Vec<PortKey>,
}

impl Holdings {
    fn named(kind: NameOf, name: &str) -> Self {
        Self { claims: vec![Claim::name(kind, name)], ..Self::default() }
    }
}

/// An object of one kind, as the tables store it.
pub(crate) trait Stored: Canon + Clone + 'static {
    type Id: Copy;
    /// Number of the kind in the state hash.
    const KIND: u8;

    fn id(&self) -> Self::Id;
    fn object_id(id: Self::Id) -> ObjectId;
    fn object(this: Arc<Self>) -> Object;
    fn meta(&mut self) -> &mut Meta;
    fn find(tables: &Tables, id: Self::Id) -> Option<&Arc<Self>>;
    /// Writes the table only; [`Tables::set`] does the rest.
    fn place(tables: &mut Tables, id: Self::Id, new: Option<Arc<Self>>);
    fn holdings(&self) -> Holdings;
    /// Indexes of this kind alone.
    fn reindex(_: &mut Tables, _old: Option<&Self>, _new: Option<&Self>) {}
}

macro_rules! stored {
    ($($kind:ident $id:ident $table:ident $number:literal { $($more:item)* })*) => {$(
        impl Stored for $kind {
            type Id = $id;
            const KIND: u8 = $number;

            fn id(&self) -> $id {
                self.id
            }
            fn object_id(id: $id) -> ObjectId {
                ObjectId::$kind(id)
            }
            fn object(this: Arc<Self>) -> Object {
                Object::$kind(this)
            }
            fn meta(&mut self) -> &mut Meta {
                &mut self.meta
            }
            fn find(tables: &Tables, id: $id) -> Option<&Arc<Self>> {
                tables.$table.get(&id)
            }
            fn place(tables: &mut Tables, id: $id, new: Option<Arc<Self>>) {
                match new {
                    Some(new) => tables.$table.insert_cow(id, new),
                    None => tables.$table.remove_cow(&id),
                };
            }
            $($more)*
        }
    )*};
}

stored! {
    Node NodeId nodes 1 {
        fn holdings(&self) -> Holdings {
            let claim = |it: &swarm_types::object::node::NodeAttachment| {
                Claim::Address(it.network, it.address.ip())
            };
            let claims = self.attachments.iter().map(claim).collect();
            Holdings { claims, ..Holdings::default() }
        }
    }
    Service ServiceId services 2 {
        fn holdings(&self) -> Holdings {
            service_holdings(self)
        }
    }
    Task TaskId tasks 3 {
        fn holdings(&self) -> Holdings {
            task_holdings(self)
        }
        fn reindex(tables: &mut Tables, old: Option<&Self>, new: Option<&Self>) {
            tables.reindex_task(old, new);
        }
    }
    Network NetworkId networks 4 {
        fn holdings(&self) -> Holdings {
            let mut holdings = Holdings::named(NameOf::Network, &self.spec.annotations.name);
            holdings.claims.extend(self.vnis.iter().map(|vni| Claim::Vni(*vni)));
            holdings.claims.extend(self.spec.ingress.then_some(Claim::Ingress));
            holdings
        }
    }
    Secret SecretId secrets 5 {
        fn holdings(&self) -> Holdings {
            Holdings::named(NameOf::Secret, &self.spec.annotations.name)
        }
    }
    Config ConfigId configs 6 {
        fn holdings(&self) -> Holdings {
            Holdings::named(NameOf::Config, &self.spec.annotations.name)
        }
    }
    Volume VolumeId volumes 7 {
        fn holdings(&self) -> Holdings {
            let links = self.spec.secrets.values().map(|id| ObjectId::Secret(*id)).collect();
            Holdings { links, ..Holdings::named(NameOf::Volume, &self.spec.annotations.name) }
        }
    }
    Extension ResourceId extensions 8 {
        fn holdings(&self) -> Holdings {
            Holdings::named(NameOf::Extension, &self.annotations.name)
        }
    }
    Resource ResourceId resources 9 {
        fn holdings(&self) -> Holdings {
            Holdings::named(NameOf::Resource, &self.annotations.name)
        }
    }
}

impl Stored for Cluster {
    type Id = ClusterId;
    const KIND: u8 = 10;

    fn id(&self) -> ClusterId {
        self.id
    }
    fn object_id(id: ClusterId) -> ObjectId {
        ObjectId::Cluster(id)
    }
    fn object(this: Arc<Self>) -> Object {
        Object::Cluster(this)
    }
    fn meta(&mut self) -> &mut Meta {
        &mut self.meta
    }
    fn find(tables: &Tables, id: ClusterId) -> Option<&Arc<Self>> {
        tables.cluster.as_ref().filter(|cluster| cluster.id == id)
    }
    fn place(tables: &mut Tables, _: ClusterId, new: Option<Arc<Self>>) {
        tables.cluster = new;
    }
    fn holdings(&self) -> Holdings {
        Holdings::default()
    }
}

/// The digest of an object, as the state hash adds it up.
pub(crate) fn digest(object: &Object) -> Sum {
    match object {
        Object::Cluster(it) => Sum::of(Cluster::KIND, it),
        Object::Node(it) => Sum::of(Node::KIND, it),
        Object::Service(it) => Sum::of(Service::KIND, it),
        Object::Task(it) => Sum::of(Task::KIND, it),
        Object::Network(it) => Sum::of(Network::KIND, it),
        Object::Secret(it) => Sum::of(Secret::KIND, it),
        Object::Config(it) => Sum::of(Config::KIND, it),
        Object::Volume(it) => Sum::of(Volume::KIND, it),
        Object::Extension(it) => Sum::of(Extension::KIND, it),
        Object::Resource(it) => Sum::of(Resource::KIND, it),
    }
}

fn service_holdings(service: &Service) -> Holdings {
    let spec = &service.spec;
    let fixed = spec.endpoint.ports.iter().filter(|port| port.published != 0);
    let ports = fixed.chain(&service.endpoint.ports);
    let address = |vip: &swarm_types::object::service::VirtualIp| {
        Claim::Address(vip.network, vip.address.ip())
    };
    let mut claims = vec![Claim::name(NameOf::Service, &spec.annotations.name)];
    claims.extend(service.endpoint.virtual_ips.iter().map(address));
    Holdings {
        claims,
        links: service_references(spec),
        ports: ports.map(|port| PortKey::of(service.id, port)).collect(),
    }
}

/// A task holds its addresses until its end is known, not until it is wanted.
fn task_holdings(task: &Task) -> Holdings {
    if task.status.state.is_terminal() {
        return Holdings::default();
    }
    let addresses = task.networks.iter().flat_map(|attachment| {
        attachment.addresses.iter().map(|it| Claim::Address(attachment.network, it.ip()))
    });
    let mut links: Vec<_> = task.volumes.iter().map(|it| ObjectId::Volume(it.volume)).collect();
    if task.service().is_none() {
        links.extend(networks_of(task.spec()).map(ObjectId::Network));
    }
    Holdings { claims: addresses.collect(), links, ports: Vec::new() }
}

/// The cluster's networks a task spec names.
pub(crate) fn networks_of(spec: &TaskSpec) -> impl Iterator<Item = NetworkId> + '_ {
    spec.networks.iter().filter_map(|network| match network.target {
        NetworkTarget::Network(id) => Some(id),
        NetworkTarget::Host | NetworkTarget::None => None,
    })
}

/// Everything a service's spec refers to.
pub(crate) fn service_references(spec: &ServiceSpec) -> Vec<ObjectId> {
    let mut all: Vec<_> = networks_of(&spec.task).map(ObjectId::Network).collect();
    if let Some(container) = spec.task.container() {
        all.extend(container.secrets.iter().map(|it| ObjectId::Secret(it.id)));
        all.extend(container.configs.iter().map(|it| ObjectId::Config(it.id)));
    }
    all.extend(spec.task.references.iter().map(|it| match it {
        ResourceReference::Secret(id) => ObjectId::Secret(*id),
        ResourceReference::Config(id) => ObjectId::Config(*id),
    }));
    all
}

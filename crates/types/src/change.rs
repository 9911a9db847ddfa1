//! Proposals: what may happen to the replicated state, and on which condition.
//!
//! A [`Group`] is the unit. It is applied whole or not at all, carries what it was decided on as
//! [`Expect`]s, and a request id under which its first result is remembered. Many groups share
//! one [`Entry`] of the log.
//!
//! Everything here is stored resolved: ids are chosen, defaults filled in, specs validated.
//! Applying a change needs no clock, no randomness and no setting.

use std::sync::Arc;

use crate::object::cluster::Cluster;
use crate::object::network::Network;
use crate::object::node::{Node, NodeDescription};
use crate::object::resource::{Extension, Resource};
use crate::object::secret::{Config, Secret};
use crate::object::service::{Endpoint, Service, UpdateStatus};
use crate::object::task::{NetworkAttachment, Task, TaskStatus, VolumeAttachment};
use crate::object::volume::Volume;
use crate::spec::cluster::ClusterSpec;
use crate::spec::network::IpamConfig;
use crate::spec::node::{NodeRole, NodeSpec};
use crate::spec::secret::{ConfigSpec, SecretSpec};
use crate::spec::service::ServiceSpec;
use crate::spec::task::{GenericResource, TaskSpec};
use crate::{
    ClusterId, ConfigId, NetworkId, NodeId, RequestId, ResourceId, SecretId, ServiceId, SessionId,
    TaskId, TaskState, Timestamp, VolumeId,
};

/// One entry of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Level the changes are written at. A replica that does not know it stops.
    pub level: u32,
    /// The proposer's clock.
    pub at: Timestamp,
    /// Applied in order, each on the result of those before it.
    pub groups: Vec<Arc<Group>>,
    /// State hash the proposer had after an earlier entry; a replica that differs halts.
    pub check: Option<HashCheck>,
}

/// The level this version writes and understands.
pub const LEVEL: u32 = 1;

/// A state hash at a point of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashCheck {
    /// Index of the entry after which the hash was taken.
    pub index: u64,
    /// The hash.
    pub hash: [u8; 32],
}

/// Changes that happen together or not at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// Chosen once; retries carry the same one and get the first result.
    pub request: RequestId,
    /// What must hold for the changes to happen.
    pub expect: Vec<Expect>,
    /// In order.
    pub changes: Vec<Change>,
}

/// A condition on an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expect {
    /// The object.
    pub object: ObjectId,
    /// What must hold of it.
    pub what: Expected,
}

/// What must hold of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expected {
    /// There is no such object.
    Absent,
    /// Nothing wrote it since.
    Version(u64),
    /// Its spec was not written since. What a user's update states.
    SpecVersion(u64),
    /// No manager's decision wrote it since. What a plan states.
    Decided(u64),
}

/// An object of any kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ObjectId {
    /// The cluster.
    Cluster(ClusterId),
    /// A node.
    Node(NodeId),
    /// A service.
    Service(ServiceId),
    /// A task.
    Task(TaskId),
    /// A network.
    Network(NetworkId),
    /// A secret.
    Secret(SecretId),
    /// A config.
    Config(ConfigId),
    /// A cluster volume.
    Volume(VolumeId),
    /// An extension.
    Extension(ResourceId),
    /// A resource.
    Resource(ResourceId),
}

/// One change. `Create*` carry whole objects whose `meta` is ignored; `apply` stamps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Founds the cluster; refused when there is one.
    CreateCluster(Box<Cluster>),
    /// A user changes the cluster's settings.
    UpdateCluster(Box<ClusterSpec>),
    /// A manager replaces what it owns of the cluster: CA, keys, tokens, epoch, level.
    /// Its `spec` and `id` must equal the stored ones.
    SetCluster(Box<Cluster>),

    /// A node joins.
    CreateNode(Box<Node>),
    /// A user changes a node.
    UpdateNode(NodeId, NodeSpec),
    /// A user removes a node: its tasks are orphaned, its certificate is refused until then.
    RemoveNode {
        /// The node.
        node: NodeId,
        /// When its certificate has expired for certain.
        refuse_until: Timestamp,
    },
    /// A node opens a session: it is ready, and older sessions of it are superseded.
    OpenSession(Box<OpenSession>),
    /// The leader has not heard the node's session for too long. Loses to a newer session.
    NodeDown {
        /// The node.
        node: NodeId,
        /// The session that went silent; `None` for a node that never opened one.
        session: Option<SessionId>,
        /// Why, for people.
        message: String,
    },
    /// The cluster certifies another role.
    SetNodeRole(NodeId, NodeRole),
    /// The node's key changed with its certificate.
    SetNodeKey(NodeId, Vec<u8>),

    /// A user creates a service.
    CreateService(Box<Service>),
    /// A user changes a service; the spec before it can be rolled back to.
    UpdateService(ServiceId, Box<ServiceSpec>),
    /// Returns to the spec before; the two change places.
    RollbackService(ServiceId, Box<UpdateStatus>),
    /// A user removes a service; the planner ends its tasks.
    RemoveService(ServiceId),
    /// The planner says where an update stands.
    SetUpdateStatus(ServiceId, Box<UpdateStatus>),
    /// The allocator found ports and addresses.
    SetEndpoint(ServiceId, Box<Endpoint>),

    /// The planner fills a slot.
    CreateTask(Box<CreateTask>),
    /// The scheduler chose a node (or confirmed it): the task becomes ASSIGNED.
    AssignTask(Box<AssignTask>),
    /// The allocator is done: the task becomes PENDING.
    SetTaskPending(TaskId, Vec<NetworkAttachment>),
    /// The scheduler says why a task still waits.
    ExplainTask(TaskId, String),
    /// The planner wants more of a task. Never less: a lower state is refused.
    SetDesired {
        /// The task.
        task: TaskId,
        /// What is wanted.
        desired: TaskState,
        /// Why, for people.
        reason: String,
    },
    /// A manager ends a task that no agent will report: SHUTDOWN when it was never assigned,
    /// ORPHANED when its node is gone for good.
    EndTask {
        /// The task.
        task: TaskId,
        /// SHUTDOWN or ORPHANED.
        state: TaskState,
        /// Why, for people.
        message: String,
    },
    /// The reaper drops a task that has ended.
    RemoveTask(TaskId),
    /// An agent reports. Ignored when it says nothing new, refused from a superseded session.
    ObserveTask(Box<ObserveTask>),

    /// A user creates a network.
    CreateNetwork(Box<Network>),
    /// The allocator found subnets and identifiers.
    SetNetwork {
        /// The network.
        network: NetworkId,
        /// Its subnets.
        ipam: Vec<IpamConfig>,
        /// Its VXLAN network identifiers.
        vnis: Vec<u32>,
    },
    /// A user removes a network; refused while anything uses it.
    RemoveNetwork(NetworkId),

    /// A user creates a secret.
    CreateSecret(Box<Secret>),
    /// A user changes a secret; only its labels may differ.
    UpdateSecret(SecretId, Box<SecretSpec>),
    /// A user removes a secret; refused while a service refers to it.
    RemoveSecret(SecretId),
    /// A user creates a config.
    CreateConfig(Box<Config>),
    /// A user changes a config; only its labels may differ.
    UpdateConfig(ConfigId, Box<ConfigSpec>),
    /// A user removes a config; refused while a service refers to it.
    RemoveConfig(ConfigId),

    /// A user creates a cluster volume.
    CreateVolume(Box<Volume>),
    /// A user changes a volume, or a manager its publication; the id must exist.
    SetVolume(Box<Volume>),
    /// The volume is gone; refused while it is published anywhere.
    RemoveVolume(VolumeId),

    /// A user names a kind of resource.
    CreateExtension(Box<Extension>),
    /// Refused while there are resources of that kind.
    RemoveExtension(ResourceId),
    /// A user stores an opaque object.
    CreateResource(Box<Resource>),
    /// A user replaces it.
    SetResource(Box<Resource>),
    /// A user removes it.
    RemoveResource(ResourceId),
}

/// Part of [`Change::OpenSession`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenSession {
    /// The node.
    pub node: NodeId,
    /// The session, chosen by the manager that carries it.
    pub session: SessionId,
    /// That manager.
    pub manager: NodeId,
    /// The machine's boot id.
    pub boot_id: String,
    /// What the node says of itself.
    pub description: Box<NodeDescription>,
    /// The address the manager sees.
    pub addr: String,
}

/// Part of [`Change::CreateTask`]. The template is looked up, not carried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreateTask {
    /// The new task.
    pub id: TaskId,
    /// What it runs.
    pub template: NewTemplate,
    /// Its slot; for global services 0, the node names the place.
    pub slot: u64,
    /// Preset for global services and attachments.
    pub node: Option<NodeId>,
    /// READY, RUNNING or COMPLETE.
    pub desired: TaskState,
    /// The newest task of the slot the planner saw. A slot that has a newer one refuses.
    pub replaces: Option<TaskId>,
    /// When desired READY may be raised at the earliest.
    pub start_after: Timestamp,
    /// Iteration of the job.
    pub job_iteration: Option<u64>,
}

/// What a new task runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NewTemplate {
    /// The spec the service has, or had before the last update, at that version.
    Service {
        /// The service.
        service: ServiceId,
        /// Version of its spec.
        spec_version: u64,
    },
    /// An unmanaged container that joins a network.
    Attachment(Box<TaskSpec>),
}

/// Part of [`Change::AssignTask`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AssignTask {
    /// The task.
    pub task: TaskId,
    /// Its node.
    pub node: NodeId,
    /// User-defined resources taken from the node.
    pub generic: Vec<GenericResource>,
    /// Cluster volumes chosen for it.
    pub volumes: Vec<VolumeAttachment>,
    /// How it came about, for people.
    pub message: String,
}

/// Part of [`Change::ObserveTask`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObserveTask {
    /// The task.
    pub task: TaskId,
    /// The reporting node; must be the task's.
    pub node: NodeId,
    /// Its session; must be the node's present one.
    pub session: SessionId,
    /// What it saw. `applied_at` is ignored; `apply` stamps it.
    pub status: TaskStatus,
}

/// An object of any kind, as snapshots store it and watchers see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Object {
    /// The cluster.
    Cluster(Arc<Cluster>),
    /// A node.
    Node(Arc<Node>),
    /// A service.
    Service(Arc<Service>),
    /// A task.
    Task(Arc<Task>),
    /// A network.
    Network(Arc<Network>),
    /// A secret.
    Secret(Arc<Secret>),
    /// A config.
    Config(Arc<Config>),
    /// A cluster volume.
    Volume(Arc<Volume>),
    /// An extension.
    Extension(Arc<Extension>),
    /// A resource.
    Resource(Arc<Resource>),
}

impl Object {
    /// The object's kind and id.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        match self {
            Self::Cluster(it) => ObjectId::Cluster(it.id),
            Self::Node(it) => ObjectId::Node(it.id),
            Self::Service(it) => ObjectId::Service(it.id),
            Self::Task(it) => ObjectId::Task(it.id),
            Self::Network(it) => ObjectId::Network(it.id),
            Self::Secret(it) => ObjectId::Secret(it.id),
            Self::Config(it) => ObjectId::Config(it.id),
            Self::Volume(it) => ObjectId::Volume(it.id),
            Self::Extension(it) => ObjectId::Extension(it.id),
            Self::Resource(it) => ObjectId::Resource(it.id),
        }
    }
}

/// Why a group did not happen. It left no trace.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// An object moved on since the proposer read it. Read again, then decide again.
    #[error(
        "{object} is at version {found}, the change expects {expected}: update out of sequence"
    )]
    Stale {
        /// The object.
        object: ObjectId,
        /// What the proposer saw.
        expected: u64,
        /// What is stored.
        found: u64,
    },
    /// There is no such object.
    #[error("{0} not found")]
    NotFound(ObjectId),
    /// There is such an object already.
    #[error("{0} already exists")]
    Exists(ObjectId),
    /// Another object of the kind has that name.
    #[error("name conflicts with an existing object: {kind} {name} already exists")]
    NameTaken {
        /// Kind of the objects.
        kind: String,
        /// The name.
        name: String,
    },
    /// Something still refers to the object.
    #[error("{object} is in use by {user}")]
    InUse {
        /// The object.
        object: ObjectId,
        /// What refers to it, for people.
        user: String,
    },
    /// The report comes from a session that a newer one replaced.
    #[error("session {0} was superseded")]
    Superseded(SessionId),
    /// The change breaks a rule of the state; the text says which, and what to do.
    #[error("{0}")]
    Invalid(String),
    /// Applying it failed in a way that should not happen; reported, not retried.
    #[error("internal error while applying the change: {0}")]
    Panicked(String),
}

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cluster(id) => write!(f, "cluster {id}"),
            Self::Node(id) => write!(f, "node {id}"),
            Self::Service(id) => write!(f, "service {id}"),
            Self::Task(id) => write!(f, "task {id}"),
            Self::Network(id) => write!(f, "network {id}"),
            Self::Secret(id) => write!(f, "secret {id}"),
            Self::Config(id) => write!(f, "config {id}"),
            Self::Volume(id) => write!(f, "volume {id}"),
            Self::Extension(id) => write!(f, "extension {id}"),
            Self::Resource(id) => write!(f, "resource {id}"),
        }
    }
}

//! The words of Swarm: ids, specs, objects, task states, and the changes that can happen to them.
//!
//! Nothing here decides or acts. Specs ([`spec`]) are what users ask for; objects ([`object`])
//! are what the cluster holds; a [`Group`] of [`Change`]s is how one becomes the other.
//! [`resolve()`] turns what a user typed into a [`Resolved`] spec, complete and allowed, or says
//! which rules it breaks; [`unsupported`] names what this version does not serve yet.

#![warn(missing_docs)]

mod change;
pub mod constraint;
pub mod defaults;
mod id;
pub mod image;
pub mod log;
pub mod object;
mod record;
pub mod resolve;
mod sensitive;
pub mod signal;
pub mod spec;
mod task_state;
pub mod text;
mod time;
pub mod unsupported;
pub mod update;

pub use change::{
    AssignTask, Change, CreateTask, Entry, Expect, Expected, Group, HashCheck, LEVEL, NewTemplate,
    Object, ObjectId, ObserveTask, OpenSession, Refusal,
};
pub use id::{
    ClusterId, ConfigId, FreshId, ID_LEN, IdSource, InvalidId, NetworkId, NodeId, RequestId,
    ResourceId, SecretId, ServiceId, SessionId, TaskId, VolumeId,
};
pub use object::Meta;
pub use object::cluster::Cluster;
pub use object::network::Network;
pub use object::node::Node;
pub use object::resource::{Extension, Resource};
pub use object::secret::{Config, Secret};
pub use object::service::Service;
pub use object::task::{ContainerRef, Task, TaskStatus, Template};
pub use object::volume::Volume;
pub use record::{Record, RememberedRequest, SnapshotHeader};
pub use resolve::{Invalid, Resolved, resolve};
pub use sensitive::Sensitive;
pub use task_state::TaskState;
pub use time::Timestamp;

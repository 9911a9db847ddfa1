//! A cluster on one machine: each node is a network namespace on a private bridge, with a daemon
//! and a containerd of its own. What `swarm dev` does.
//!
//! Everything a cluster has follows from its [`record`], which is on disk before anything is
//! made, and from its name: whatever was left by a crash or a reboot is found again and removed
//! ([`sweep`]), or brought back by another `up`. Nothing here runs on between two commands but
//! the nodes themselves.
//!
//! - `place`: where files are; `lock`: one command at a time per cluster.
//! - `underlay`: namespaces, bridge and links, over `links`; `partition`: who hears whom.
//! - `become`: how a process turns into one of a node; `process`, `cgroup`: how it is found again.
//! - `node` starts and ends one node; `rig` puts it together; `form` makes nodes a cluster.

mod r#become;
mod cgroup;
mod containerd;
mod error;
mod form;
mod keeper;
mod links;
mod lock;
mod node;
mod partition;
mod place;
mod process;
mod record;
mod rig;
mod status;
mod sweep;
mod underlay;
mod wait;

pub use r#become::Part;
pub use error::DevError;
pub use keeper::keep_log;
pub use partition::Direction;
pub use record::{Role, Shape};
pub use rig::{Rig, Victim};
pub use status::{NodeState, NodeStatus};

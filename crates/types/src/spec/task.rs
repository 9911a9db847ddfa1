//! The template of a task.

use std::time::Duration;

use std::collections::BTreeMap;

use super::Driver;
use super::container::ContainerSpec;
use crate::{ConfigId, ContainerRef, NetworkId, SecretId};

/// What a task runs, with what resources, where, and what happens when it ends.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TaskSpec {
    /// The kind of thing that runs.
    pub runtime: TaskRuntime,
    /// Limits and reservations.
    pub resources: Resources,
    /// What to do when the task ends.
    pub restart: RestartPolicy,
    /// Where it may run.
    pub placement: Placement,
    /// Networks it is attached to, in order.
    pub networks: Vec<NetworkAttachmentConfig>,
    /// Log driver; `None` means the cluster's default.
    pub log_driver: Option<Driver>,
    /// Counter that makes tasks dirty without any other difference.
    pub force_update: u64,
    /// Secrets and configs to ship besides those the container mounts.
    pub references: Vec<ResourceReference>,
}

/// The kind of thing a task runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TaskRuntime {
    /// A container.
    Container(Box<ContainerSpec>),
    /// A container made by someone else, attached to an attachable network.
    Attachment(ContainerRef),
    /// Something only a plug-in understands.
    Generic {
        /// Names the plug-in.
        kind: String,
        /// Passed to it as it is.
        payload: Vec<u8>,
    },
}

impl Default for TaskRuntime {
    fn default() -> Self {
        Self::Container(Box::default())
    }
}

impl TaskSpec {
    /// The container to run, `None` for the other runtimes.
    #[must_use]
    pub fn container(&self) -> Option<&ContainerSpec> {
        match &self.runtime {
            TaskRuntime::Container(container) => Some(container),
            TaskRuntime::Attachment(_) | TaskRuntime::Generic { .. } => None,
        }
    }
}

/// A secret or config a task needs without mounting it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResourceReference {
    /// A secret.
    Secret(SecretId),
    /// A config.
    Config(ConfigId),
}

/// Limits a task may not exceed and reservations the scheduler counts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resources {
    /// Upper bounds the kernel enforces.
    pub limits: Limits,
    /// What the scheduler sets aside on the node.
    pub reservations: Reservations,
    /// Memory plus swap in bytes; -1 means unlimited, `None` the kernel's default.
    pub swap_bytes: Option<i64>,
    /// 0-100; -1 or `None` means the kernel's default.
    pub memory_swappiness: Option<i64>,
}

/// Upper bounds; 0 means none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// Billionths of a CPU.
    pub nano_cpus: i64,
    /// Bytes.
    pub memory_bytes: i64,
    /// Processes.
    pub pids: i64,
}

/// Amounts set aside; 0 means none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reservations {
    /// Billionths of a CPU.
    pub nano_cpus: i64,
    /// Bytes.
    pub memory_bytes: i64,
    /// Amounts of user-defined resources.
    pub generic: Vec<GenericResource>,
}

/// A user-defined resource such as a GPU.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GenericResource {
    /// One named unit.
    Named {
        /// The resource's kind.
        kind: String,
        /// The unit's name.
        value: String,
    },
    /// A number of equal units.
    Discrete {
        /// The resource's kind.
        kind: String,
        /// How many.
        value: i64,
    },
}

/// What happens when a task ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestartPolicy {
    /// Which ends are followed by a replacement.
    pub condition: RestartCondition,
    /// Pause before the replacement starts.
    pub delay: Duration,
    /// Replacements per slot within `window`; 0 means unlimited.
    pub max_attempts: u64,
    /// Window in which attempts count; zero means all of them.
    pub window: Duration,
}

/// Which ends of a task are followed by a replacement.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RestartCondition {
    /// None.
    None,
    /// Only failures.
    OnFailure,
    /// All of them.
    #[default]
    Any,
}

/// Where a task may run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Placement {
    /// Expressions that must all hold, such as `node.role==worker`.
    pub constraints: Vec<String>,
    /// Soft preferences, most important first.
    pub preferences: Vec<PlacementPreference>,
    /// At most that many tasks of the service per node; 0 means unlimited.
    pub max_replicas: u64,
    /// Platforms the image supports; empty means any.
    pub platforms: Vec<Platform>,
}

/// A soft preference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PlacementPreference {
    /// Spread evenly over the values of a label, such as `node.labels.rack`.
    Spread {
        /// The label.
        descriptor: String,
    },
}

/// Operating system and processor; an empty field matches all.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Platform {
    /// As `uname -m` or as OCI says it.
    pub architecture: String,
    /// Such as `linux`.
    pub os: String,
}

/// A wish to be attached to a network.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NetworkAttachmentConfig {
    /// Which network.
    pub target: NetworkTarget,
    /// Further names of the task on that network.
    pub aliases: Vec<String>,
    /// Fixed addresses, only for attachments of unmanaged containers.
    pub addresses: Vec<String>,
    /// Options for the network's driver.
    pub driver_options: BTreeMap<String, String>,
}

/// A network as a task names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum NetworkTarget {
    /// The host's own network namespace.
    #[default]
    Host,
    /// Loopback only.
    None,
    /// A network of the cluster.
    Network(NetworkId),
}

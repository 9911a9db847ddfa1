//! A service: a task template, how many, how updates roll, and what is published.

use std::time::Duration;

use super::Annotations;
use super::task::TaskSpec;

/// What a user asks a service to be. Defaults are resolved before it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ServiceSpec {
    /// Name and labels.
    pub annotations: Annotations,
    /// What each task runs.
    pub task: TaskSpec,
    /// How many tasks, and where.
    pub mode: ServiceMode,
    /// How a change of the task template rolls out; `None` for jobs.
    pub update: Option<UpdateConfig>,
    /// How a roll-back rolls out; `None` for jobs.
    pub rollback: Option<UpdateConfig>,
    /// How clients reach the service.
    pub endpoint: EndpointSpec,
}

/// How many tasks a service has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServiceMode {
    /// That many slots, numbered from 1.
    Replicated {
        /// Wanted number of slots.
        replicas: u64,
    },
    /// One task on every fitting node.
    Global,
    /// Runs until that many tasks have completed.
    ReplicatedJob {
        /// At most that many at once.
        max_concurrent: u64,
        /// Completions wanted.
        total_completions: u64,
    },
    /// One completed task on every fitting node.
    GlobalJob,
}

impl Default for ServiceMode {
    fn default() -> Self {
        Self::Replicated { replicas: 1 }
    }
}

impl ServiceMode {
    /// True for the modes whose tasks are meant to end.
    #[must_use]
    pub const fn is_job(self) -> bool {
        matches!(self, Self::ReplicatedJob { .. } | Self::GlobalJob)
    }
}

/// How an update or a roll-back proceeds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpdateConfig {
    /// Slots changed at a time; 0 means all at once.
    pub parallelism: u64,
    /// Pause between slots.
    pub delay: Duration,
    /// What to do when too many tasks fail.
    pub failure_action: FailureAction,
    /// How long a new task is watched after it runs.
    pub monitor: Duration,
    /// Share of failed tasks that is tolerated, in millionths (1,000,000 = all).
    pub max_failure_millionths: u32,
    /// Whether the old task stops before the new one starts.
    pub order: UpdateOrder,
}

/// What an update does when too many of its tasks fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FailureAction {
    /// Stop here and leave the rest as it is.
    #[default]
    Pause,
    /// Go on regardless.
    Continue,
    /// Return to the previous spec.
    Rollback,
}

/// Order of stop and start in one slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum UpdateOrder {
    /// Stop the old task, then start the new one.
    #[default]
    StopFirst,
    /// Start the new task, stop the old one when it runs.
    StartFirst,
}

/// How clients inside and outside reach a service.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EndpointSpec {
    /// Virtual address or DNS round robin.
    pub mode: EndpointMode,
    /// Published ports.
    pub ports: Vec<PortConfig>,
}

/// What a service's name resolves to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EndpointMode {
    /// One virtual address for the service.
    #[default]
    Vip,
    /// The addresses of its tasks.
    DnsRr,
}

/// A published port.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PortConfig {
    /// Optional name.
    pub name: String,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Port inside the container, 1-65535.
    pub target: u16,
    /// Port outside; 0 means one is chosen.
    pub published: u16,
    /// On every node, or on the task's node only.
    pub mode: PublishMode,
}

/// Transport protocol of a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The word the API shows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// Where a port is published.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum PublishMode {
    /// On every node, through the routing mesh.
    #[default]
    Ingress,
    /// On the node that runs the task.
    Host,
}

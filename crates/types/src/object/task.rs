//! A task: one run of a service's template on one node. It never moves; what replaces it is
//! another task in the same slot.

use std::sync::Arc;

use ipnetwork::IpNetwork;

use super::Meta;
use crate::spec::Annotations;
use crate::spec::service::{EndpointSpec, PortConfig};
use crate::spec::task::{GenericResource, TaskSpec};
use crate::{NetworkId, NodeId, ServiceId, TaskId, TaskState, Timestamp, VolumeId};

/// One run of a service's template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Task {
    /// Its id; also the id of its container.
    pub id: TaskId,
    /// Versions and times.
    pub meta: Meta,
    /// What it runs, shared by all tasks of the same service and spec version.
    pub template: Arc<Template>,
    /// 1 and up for replicated services, 0 and up for replicated jobs, 0 for global services.
    pub slot: u64,
    /// Its node once chosen; set from the start for global services.
    pub node: Option<NodeId>,
    /// What the managers want of it; never decreases.
    pub desired: TaskState,
    /// Why they want that, for people.
    pub desired_reason: String,
    /// What was observed; never decreases.
    pub status: TaskStatus,
    /// The task whose place this one takes.
    pub replaces: Option<TaskId>,
    /// When the planner may raise desired READY to RUNNING at the earliest; 0 means at once.
    pub start_after: Timestamp,
    /// When it was first reported RUNNING, on the proposer's clock; 0 while it never was. How
    /// long it ran tells an update whether its end speaks against the new spec.
    pub ran_at: Timestamp,
    /// Addresses.
    pub networks: Vec<NetworkAttachment>,
    /// User-defined resources given to it.
    pub generic: Vec<GenericResource>,
    /// Iteration of the job it belongs to.
    pub job_iteration: Option<u64>,
    /// Cluster volumes given to it.
    pub volumes: Vec<VolumeAttachment>,
}

/// What tasks of one service and spec version have in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    /// The service; `None` for attachments of unmanaged containers.
    pub service: Option<ServiceId>,
    /// Version of the service's spec; 0 without a service.
    pub spec_version: u64,
    /// The service's name and labels.
    pub service_annotations: Annotations,
    /// The service's wish for its endpoint.
    pub endpoint: EndpointSpec,
    /// True when the service runs a task on every node.
    pub global: bool,
    /// What runs.
    pub spec: TaskSpec,
}

impl Task {
    /// The service it belongs to.
    #[must_use]
    pub fn service(&self) -> Option<ServiceId> {
        self.template.service
    }

    /// Version of the service's spec it was made from.
    #[must_use]
    pub fn spec_version(&self) -> u64 {
        self.template.spec_version
    }

    /// What it runs.
    #[must_use]
    pub fn spec(&self) -> &TaskSpec {
        &self.template.spec
    }

    /// True while the managers want it to run, or to be ready to.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.desired <= TaskState::Running
    }

    /// True while a container of it may exist that runs: assigned, and not known to have ended.
    #[must_use]
    pub fn may_run(&self) -> bool {
        self.status.state >= TaskState::Assigned && !self.status.state.is_terminal()
    }

    /// `SERVICE.SLOT.ID`, or `SERVICE.NODE.ID` for global services; also the container's name.
    #[must_use]
    pub fn name(&self) -> String {
        let service = &self.template.service_annotations.name;
        match self.node {
            Some(node) if self.template.global => format!("{service}.{node}.{}", self.id),
            _ => format!("{service}.{}.{}", self.slot, self.id),
        }
    }
}

/// What was observed of a task.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TaskStatus {
    /// How far it came.
    pub state: TaskState,
    /// When, on the observer's clock.
    pub at: Timestamp,
    /// What happened, for people.
    pub message: String,
    /// What went wrong; empty when nothing did.
    pub err: String,
    /// Its container, once there is one.
    pub container: Option<ContainerStatus>,
    /// Host-mode ports as they were bound.
    pub ports: Vec<PortConfig>,
    /// When it entered the replicated state, on the proposer's clock.
    pub applied_at: Timestamp,
}

/// A task's container.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ContainerStatus {
    /// The container's id.
    pub id: String,
    /// Process id of its first process; 0 before the start.
    pub pid: u32,
    /// How it ended; `None` while it has not.
    pub exit_code: Option<i32>,
}

/// A container made by someone else.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ContainerRef {
    /// The container's id.
    pub id: String,
}

/// A task's addresses on a network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkAttachment {
    /// The network.
    pub network: NetworkId,
    /// One address per family.
    pub addresses: Vec<IpNetwork>,
    /// Further names on that network.
    pub aliases: Vec<String>,
}

/// A cluster volume given to a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VolumeAttachment {
    /// The volume.
    pub volume: VolumeId,
    /// Source as the mount names it.
    pub source: String,
    /// Path in the container.
    pub target: String,
}

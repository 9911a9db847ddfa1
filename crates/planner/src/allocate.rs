//! Gives tasks what they need from cluster-wide pools, and passes them on to the scheduler.
//!
//! A task that uses no network of the cluster needs nothing. One that does stays NEW: cluster
//! networks are refused at the API until there is an allocator for them.

use std::sync::Arc;

use swarm_types::spec::task::{NetworkTarget, TaskSpec};
use swarm_types::{Change, Task, TaskId, TaskState};

use crate::Reason;
use crate::draft::{Draft, Place, Waiting};

/// Allocates for the tasks of a service that are NEW.
pub(crate) fn service(draft: &mut Draft<'_>, tasks: &[Arc<Task>]) {
    for new in tasks {
        task(draft, new);
    }
}

/// Allocates for a task if it is NEW.
pub(crate) fn task(draft: &mut Draft<'_>, task: &Task) {
    let due = task.status.state == TaskState::New && task.desired <= TaskState::Complete;
    if !due || draft.touched(task.id) {
        return;
    }
    let Some(pending) = pending(task.id, task.spec()) else { return };
    let group = draft.decide_on(task, Reason::Allocated, Vec::new(), vec![pending]);
    if let Some(group) = group {
        draft.wait(Waiting::of(task, Place::Existing(group)));
    }
}

/// The change that passes the task on to the scheduler; `None` while it must wait.
pub(crate) fn pending(task: TaskId, spec: &TaskSpec) -> Option<Change> {
    let in_cluster = |target: &NetworkTarget| matches!(target, NetworkTarget::Network(_));
    let waits = spec.networks.iter().any(|network| in_cluster(&network.target));
    (!waits).then(|| Change::SetTaskPending(task, Vec::new()))
}

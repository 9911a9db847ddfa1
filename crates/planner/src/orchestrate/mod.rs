//! Decides which tasks a service has.
//!
//! A task never moves and never comes back: what takes its place is another task in the same
//! slot. Where tasks run is the scheduler's business.

mod replicated;
mod restart;
mod slot;
mod start;
mod victims;

use std::sync::Arc;

use swarm_types::spec::service::ServiceMode;
use swarm_types::{Change, Expect, Expected, ObjectId, ServiceId, Task, TaskState};

use crate::Reason;
use crate::draft::Draft;
use crate::reap::{drop_changes, is_over};

/// Plans one service, or the end of one that was removed. `tasks` are all of its tasks, by slot
/// and then oldest first.
pub(crate) fn service(draft: &mut Draft<'_>, id: ServiceId, tasks: &[Arc<Task>]) {
    let Some(service) = draft.view.service(&id).cloned() else {
        let gone = Expect { object: ObjectId::Service(id), what: Expected::Absent };
        for task in tasks {
            remove(draft, task, Reason::ServiceRemoved, vec![gone]);
        }
        return;
    };
    if let ServiceMode::Replicated { replicas } = service.spec.mode {
        replicated::service(draft, &service, replicas, tasks);
    }
}

/// Wants a task removed, and drops it at once when nothing of it runs.
fn remove(draft: &mut Draft<'_>, task: &Task, reason: Reason, expect: Vec<Expect>) {
    if task.desired >= TaskState::Remove || draft.touched(task.id) {
        return;
    }
    let mut changes = vec![Change::SetDesired {
        task: task.id,
        desired: TaskState::Remove,
        reason: reason.to_string(),
    }];
    if is_over(task) {
        changes.extend(drop_changes(task));
    }
    draft.decide_on(task, reason, expect, changes);
}

//! Drops the objects of tasks that are over.
//!
//! A task goes when it is to be removed and nothing of it runs, or when its slot keeps more
//! tasks than the history limit. The newest task of a slot is never dropped as history: it says
//! whether the slot may be filled again.
//!
//! What a node has is ended by that node only, unless it was down for [`ORPHAN_AFTER`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use swarm_types::object::node::NodeState;
use swarm_types::{Change, NodeId, Task, TaskId, TaskState, Timestamp, defaults};

use crate::Reason;
use crate::draft::Draft;
use crate::orchestrate::kept_by_update;

/// How long a node is down before nobody waits for its tasks any more.
const ORPHAN_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Reaps the tasks of one service, oldest first within each slot, and takes those that go out
/// of `tasks`: the later stages do not see them, except for the newest of each slot.
pub(crate) fn service(draft: &mut Draft<'_>, tasks: &mut Vec<Arc<Task>>) {
    tasks.iter().for_each(|task| wake_to_orphan(draft, task));
    let mut dropped = BTreeSet::new();
    let service = tasks.first().and_then(|task| draft.view.service(&task.service()?).cloned());
    let all = by_place(tasks);
    for slot in all.chunk_by(|left, right| place(left) == place(right)) {
        // Most slots: nothing in them is over, and nothing is to go.
        if let [only] = slot
            && only.wanted()
        {
            continue;
        }
        let kept = service.as_ref().map(|it| kept_by_update(it, slot)).unwrap_or_default();
        dropped.extend(reap_slot(draft, slot, kept));
        // What comes after the newest names it, and cannot before it is gone.
        slot.last().map(|newest| dropped.remove(&newest.id));
    }
    tasks.retain(|task| !dropped.contains(&task.id));
}

/// Reaps a task whose service is gone, or that never had one.
pub(crate) fn loose(draft: &mut Draft<'_>, task: &Task) {
    wake_to_orphan(draft, task);
    if is_removable(task) || task.status.state == TaskState::Orphaned {
        drop_task(draft, task, Reason::Removable);
    }
}

fn wake_to_orphan(draft: &mut Draft<'_>, task: &Task) {
    let wake = orphan(draft, task);
    if let (Some(at), Some(service)) = (wake, task.service()) {
        draft.wake(service, at);
    }
}

/// Ends a task whose node is down for good; else says when it would be. Any change a manager or
/// a user makes to the node begins the time anew.
fn orphan(draft: &mut Draft<'_>, task: &Task) -> Option<Timestamp> {
    let node = task.node.filter(|_| task.may_run()).and_then(|node| draft.view.node(&node))?;
    if node.status.state != NodeState::Down {
        return None;
    }
    let due = node.meta.updated_at.after(ORPHAN_AFTER);
    if due > draft.now {
        return Some(due);
    }
    let end = Change::EndTask {
        task: task.id,
        state: TaskState::Orphaned,
        message: "the node was down for 24 hours".to_owned(),
    };
    let still_down = draft.unchanged(node.id);
    draft.decide_on(task, Reason::Orphaned, vec![still_down], vec![end]);
    None
}

/// True when nothing of the task runs or will run: it ended, or no node ever had it.
pub(crate) fn is_over(task: &Task) -> bool {
    task.status.state.is_terminal() || task.status.state < TaskState::Assigned
}

fn is_removable(task: &Task) -> bool {
    task.desired == TaskState::Remove && is_over(task)
}

/// The tasks of each place next to each other, oldest first; those of replicated services come
/// in that order.
fn by_place(tasks: &[Arc<Task>]) -> Vec<&Task> {
    let mut tasks: Vec<&Task> = tasks.iter().map(Arc::as_ref).collect();
    tasks.sort_by_key(|task| place(task));
    tasks
}

/// A slot, or the node that stands for it in a global service.
fn place(task: &Task) -> (u64, Option<NodeId>) {
    (task.slot, if task.template.global { task.node } else { None })
}

fn reap_slot(draft: &mut Draft<'_>, slot: &[&Task], by_update: [Option<TaskId>; 2]) -> Vec<TaskId> {
    let mut dropped = Vec::new();
    let (removable, kept): (Vec<&Task>, Vec<&Task>) =
        slot.iter().partition(|task| is_removable(task));
    for task in removable {
        dropped.extend(drop_task(draft, task, Reason::Removable));
    }
    let surplus = surplus(draft, &kept);
    for task in surplus.into_iter().filter(|task| !by_update.contains(&Some(task.id))) {
        dropped.extend(drop_task(draft, task, Reason::History));
    }
    for task in kept.iter().filter(|task| !dropped.contains(&task.id)) {
        end_unassigned(draft, task);
    }
    dropped
}

/// Tasks beyond the history limit, oldest first. Jobs keep theirs.
fn surplus<'t>(draft: &Draft<'_>, slot: &[&'t Task]) -> Vec<&'t Task> {
    let Some((newest, older)) = slot.split_last() else { return Vec::new() };
    if newest.job_iteration.is_some() {
        return Vec::new();
    }
    let Some(limit) = history_limit(draft, newest) else { return Vec::new() };
    let over = |task: &&&Task| is_over(task) && !task.wanted();
    older.iter().filter(over).take(slot.len().saturating_sub(limit)).copied().collect()
}

/// Tasks kept per slot, the live one included; `None` keeps all. Limited restarts keep what is
/// needed to count them.
fn history_limit(draft: &Draft<'_>, newest: &Task) -> Option<usize> {
    let limit = match draft.view.cluster() {
        Some(cluster) => cluster.spec.task_history_limit,
        None => defaults::TASK_HISTORY_LIMIT,
    };
    let limit = usize::try_from(limit).ok()?;
    match newest.spec().restart.max_attempts {
        0 => Some(limit),
        attempts => Some(usize::try_from(attempts).unwrap_or(usize::MAX).saturating_add(1)),
    }
}

/// Ends a task that is to end and that no agent will report on.
fn end_unassigned(draft: &mut Draft<'_>, task: &Task) {
    if task.desired == TaskState::Shutdown {
        let end = end(task);
        if !end.is_empty() {
            draft.decide_on(task, Reason::NeverAssigned, Vec::new(), end);
        }
    }
}

fn drop_task(draft: &mut Draft<'_>, task: &Task, reason: Reason) -> Option<TaskId> {
    draft.decide_on(task, reason, Vec::new(), drop_changes(task)).map(|_| task.id)
}

/// What drops a task of which nothing runs.
pub(crate) fn drop_changes(task: &Task) -> Vec<Change> {
    let mut changes = end(task);
    changes.push(Change::RemoveTask(task.id));
    changes
}

/// What ends a task that no node has; nothing for any other.
fn end(task: &Task) -> Vec<Change> {
    let unassigned = task.status.state < TaskState::Assigned;
    let end = unassigned.then(|| Change::EndTask {
        task: task.id,
        state: TaskState::Shutdown,
        message: "shut down before it was assigned".to_owned(),
    });
    end.into_iter().collect()
}

//! One round of planning: every stage once, in a fixed order, over what is marked.

use std::sync::Arc;

use swarm_state::Snapshot;
use swarm_types::{IdSource, ServiceId, Task, TaskId, Timestamp};

use crate::dirty::Work;
use crate::draft::Draft;
use crate::{Dirty, Plan, Scope, allocate, orchestrate, reap, schedule};

/// Plans a part of the cluster from nothing but a snapshot.
///
/// The costs grow with the whole cluster as soon as a task has to be placed; a driver that
/// follows the events calls [`round`] instead.
#[must_use]
pub fn plan(view: &Snapshot, scope: Scope, ids: &mut IdSource, now: Timestamp) -> Plan {
    let mut dirty = Dirty::default();
    dirty.mark(scope);
    round(view, &mut dirty, ids, now)
}

/// Plans what is marked, and takes the marks away.
///
/// `view` must hold every batch that `dirty` has noted; `now` is the leader's wall clock and is
/// what delays are counted from. The caller proposes the groups, notes the batches that come of
/// it, marks refused groups by [`Dirty::retry`], and calls again until the plan is empty.
#[must_use]
pub fn round(view: &Snapshot, dirty: &mut Dirty, ids: &mut IdSource, now: Timestamp) -> Plan {
    let work = dirty.take(view, now);
    let mut draft = Draft::new(view, ids, now);
    let mut rest = Work::default();
    for task in work.loose {
        if !draft.fits(|draft| plan_loose(draft, task)) {
            rest.loose.insert(task);
        }
    }
    for service in work.services {
        if !draft.fits(|draft| plan_service(draft, service)) {
            rest.services.insert(service);
        }
    }
    if work.room {
        view.unassigned().for_each(|task| schedule::enqueue(&mut draft, task));
    }
    let waiting = draft.take_waiting();
    if !waiting.is_empty() {
        let (books, counted) = dirty.books(view);
        draft.examined += counted + waiting.len();
        schedule::place(&mut draft, books, waiting);
    }
    rest.loose.extend(draft.take_left());
    let (mut plan, wakes) = draft.finish();
    dirty.keep(rest, wakes);
    plan.wake_at = plan.wake_at.into_iter().chain(dirty.wake_at()).min();
    plan
}

fn plan_service(draft: &mut Draft<'_>, service: ServiceId) {
    let mut tasks: Vec<Arc<Task>> = draft.view.tasks_of_service(&service).cloned().collect();
    draft.examined += 1 + tasks.len();
    reap::service(draft, &mut tasks);
    allocate::service(draft, &tasks);
    orchestrate::service(draft, service, &tasks);
    for task in &tasks {
        schedule::enqueue(draft, task);
    }
}

fn plan_loose(draft: &mut Draft<'_>, task: TaskId) {
    let Some(task) = draft.view.task(&task) else { return };
    draft.examined += 1;
    reap::loose(draft, task);
    allocate::task(draft, task);
    schedule::enqueue(draft, task);
}

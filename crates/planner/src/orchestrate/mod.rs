//! Decides which tasks a service has.
//!
//! A task never moves and never comes back: what takes its place is another task in the same
//! place. Where the tasks of replicated services run is the scheduler's business.

mod birth;
mod fill;
mod global;
mod place;
mod replicated;
mod restart;
mod start;
mod tend;
mod update;
mod victims;
mod wish;

pub(crate) use fill::{Fill, Filled, resume};
pub(crate) use update::{is_updating, kept as kept_by_update};

use std::sync::Arc;

use swarm_types::spec::node::Availability;
use swarm_types::spec::service::ServiceMode;
use swarm_types::{Change, Expect, Expected, NodeId, ObjectId, ServiceId, Task, TaskState};

use self::birth::Birth;
use self::place::Place;
use self::tend::Turn;
use self::update::Rollout;
use self::wish::Wish;
use crate::Reason;
use crate::draft::Draft;
use crate::reap::{drop_changes, is_over};
use crate::schedule::constraint;

/// Plans one service. `tasks` are all of its tasks, by slot and then oldest first; or, of a
/// global service, those on the node `only`.
pub(crate) fn service(
    draft: &mut Draft<'_>,
    id: ServiceId,
    only: Option<NodeId>,
    tasks: &[Arc<Task>],
) {
    let Some(service) = draft.view.service(&id).cloned() else { return };
    let wish = Wish::of(&service, tasks);
    match service.spec.mode {
        ServiceMode::Replicated { replicas } => {
            replicated::service(draft, &wish, replicas, tasks);
        }
        ServiceMode::Global => global::service(draft, &wish, only, tasks),
        ServiceMode::ReplicatedJob { .. } | ServiceMode::GlobalJob => {}
    }
}

/// Plans a task whose service was removed. It asks for no look at the others: a service of many
/// tasks ends in as many steps as it has tasks.
pub(crate) fn left_over(draft: &mut Draft<'_>, service: ServiceId, task: &Task) {
    let gone = Expect { object: ObjectId::Service(service), what: Expected::Absent };
    remove(draft, task, Reason::ServiceRemoved, vec![gone]);
}

/// What became of the places of a service.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Served {
    /// Each is decided on.
    Places,
    /// Those that stay, and so many of those that have nothing yet; then the plan was full.
    Part(usize),
    /// The update went on to another state, so the service is decided on in the next round.
    Advanced,
}

/// Plans the places a service has (`stay`) and those that have nothing yet (`fill`). `rollout` is
/// the update of the former, when there is one to take on.
fn serve(
    draft: &mut Draft<'_>,
    wish: &Wish<'_>,
    rollout: Option<Rollout>,
    (stay, fill): (&[Place<'_>], &[Place<'_>]),
) -> Served {
    if rollout.as_ref().is_some_and(|rollout| rollout.advance(draft, wish)) {
        return Served::Advanced;
    }
    let turns = rollout.map(|rollout| rollout.turns(draft, wish)).unwrap_or_default();
    for (index, place) in stay.iter().enumerate() {
        let turn = turns.get(index).copied().unwrap_or(Turn::Wait);
        tend::place(draft, wish, place, turn);
    }
    for (index, place) in fill.iter().enumerate() {
        if place.newest().is_some_and(|newest| draft.touched(newest.id)) {
            continue;
        }
        let birth = Birth { wish, place, beside: None };
        let was_full = draft.is_full();
        birth.plan(draft, Reason::SlotEmpty, Default::default(), Default::default());
        if draft.is_full() {
            return if was_full { Served::Places } else { Served::Part(index) };
        }
    }
    Served::Places
}

/// Why the task cannot stay on its node; `None` when it can.
fn displaced(draft: &Draft<'_>, wish: &Wish<'_>, task: &Task) -> Option<Reason> {
    let id = task.node?;
    if draft.is_invalid(id) {
        return Some(Reason::NodeInvalid);
    }
    let node = draft.view.node(&id)?;
    if node.spec.availability != Availability::Active {
        return None;
    }
    // A service that got other constraints exchanges its tasks by an update; here a node changed.
    let own = &task.spec().placement.constraints;
    let unfit = !wish.constraints.met_by(node) && !constraint::met(own, node);
    (unfit || draft.is_evicted(task.id)).then_some(Reason::NodeUnfit)
}

/// Wants a task ended that gets no replacement by this.
fn stop(draft: &mut Draft<'_>, task: &Task, reason: Reason, expect: Vec<Expect>) {
    if draft.touched(task.id) {
        return;
    }
    let stop = Change::SetDesired {
        task: task.id,
        desired: TaskState::Shutdown,
        reason: reason.to_string(),
    };
    draft.decide_on(task, reason, expect, vec![stop]);
}

/// Wants a task removed, and drops it at once when nothing of it runs.
fn remove(draft: &mut Draft<'_>, task: &Task, reason: Reason, expect: Vec<Expect>) {
    if task.desired >= TaskState::Remove || draft.touched(task.id) {
        return;
    }
    draft.decide_on(task, reason, expect, removal(task, reason));
}

fn removal(task: &Task, reason: Reason) -> Vec<Change> {
    let mut changes = vec![Change::SetDesired {
        task: task.id,
        desired: TaskState::Remove,
        reason: reason.to_string(),
    }];
    if is_over(task) {
        changes.extend(drop_changes(task));
    }
    changes
}

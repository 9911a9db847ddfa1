//! When a task may start: the gate between two tasks of a slot.
//!
//! A replacement is prepared at once (desired READY) and raised to RUNNING when its delay has
//! passed and nothing of its predecessors runs any more. A predecessor whose node is down or
//! gone is not waited for, and one that does not end is given up on after [`patience`].

use std::time::Duration;

use swarm_types::{Expect, Task, Timestamp};

use crate::draft::Draft;

/// Shortest time a predecessor is waited for.
const MIN_PATIENCE: Duration = Duration::from_secs(60);
/// What is granted beyond the grace period between stop signal and SIGKILL.
const STOP_MARGIN: Duration = Duration::from_secs(10);

/// Furthest that the clocks of two managers are taken to differ.
const SKEW: Duration = Duration::from_secs(60);

/// When the delay of a task is over; `slot` has all tasks of its slot.
///
/// A time further ahead than the delays of the slot reach was set by a clock that has been put
/// back since. Nobody knows what is left of the delay: it counts as over.
pub(super) fn delay_ends(task: &Task, slot: &[&Task], now: Timestamp) -> Timestamp {
    let longest = slot.iter().map(|task| task.spec().restart.delay).max().unwrap_or_default();
    if task.start_after > now.after(longest.saturating_add(SKEW)) { now } else { task.start_after }
}

/// When a task that exists since `since` may start at the latest, if none of its predecessors
/// ends before: not before `start_after`.
pub(super) fn opens<'t>(
    draft: &Draft<'_>,
    predecessors: impl IntoIterator<Item = &'t Task>,
    since: Timestamp,
    start_after: Timestamp,
) -> Timestamp {
    predecessors
        .into_iter()
        .filter(|task| task.may_run() && task.node.is_some_and(|node| !draft.is_lost(node)))
        .map(|task| since.after(patience(task)))
        .fold(start_after, Timestamp::max)
}

/// What a start that did not wait for some predecessors rests on: their nodes are lost still.
pub(super) fn not_waited_for(draft: &Draft<'_>, predecessors: &[&Task]) -> Vec<Expect> {
    let nodes = predecessors.iter().filter(|task| task.may_run()).filter_map(|task| task.node);
    nodes.filter(|node| draft.is_lost(*node)).map(|node| draft.unchanged(node)).collect()
}

/// How long a task may take to end.
fn patience(task: &Task) -> Duration {
    let grace = task.spec().container().map_or(Duration::ZERO, |it| it.stop_grace_period);
    MIN_PATIENCE.max(grace.saturating_add(STOP_MARGIN))
}

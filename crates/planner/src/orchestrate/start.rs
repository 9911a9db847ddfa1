//! When a task may start: the gate between two tasks of a slot.
//!
//! A replacement is prepared at once (desired READY) and raised to RUNNING when its delay has
//! passed and nothing of its predecessors runs any more. A predecessor whose node is down or
//! gone is not waited for, and one that does not end is given up on after [`patience`].

use std::time::Duration;

use swarm_types::{Task, Timestamp};

use crate::draft::Draft;

/// Shortest time a predecessor is waited for.
const MIN_PATIENCE: Duration = Duration::from_secs(60);
/// What is granted beyond the grace period between stop signal and SIGKILL.
const STOP_MARGIN: Duration = Duration::from_secs(10);

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

/// How long a task may take to end.
fn patience(task: &Task) -> Duration {
    let grace = task.spec().container().map_or(Duration::ZERO, |it| it.stop_grace_period);
    MIN_PATIENCE.max(grace.saturating_add(STOP_MARGIN))
}

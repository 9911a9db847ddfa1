//! What happens when a task ends, or its node is lost: the restart policy.
//!
//! The attempts are not counted anywhere: they are the tasks of the slot, of which
//! [`reap`](crate::reap) keeps as many as the policy needs.

use swarm_types::spec::task::RestartCondition;
use swarm_types::{Task, TaskState, Timestamp};

/// Says whether `task` may be followed by another one in its slot.
///
/// `slot` has all tasks of the slot, oldest first. Every task of the same spec version but the
/// first is a restart. With a window, only restarts made within it before the task's end count;
/// a task that has not ended ends at `now`, or when it was told to.
pub(super) fn allowed(task: &Task, slot: &[&Task], now: Timestamp) -> bool {
    let policy = &task.spec().restart;
    let after_this_end = match policy.condition {
        RestartCondition::None => false,
        RestartCondition::OnFailure => task.status.state != TaskState::Complete,
        RestartCondition::Any => true,
    };
    if policy.max_attempts == 0 || !after_this_end {
        return after_this_end;
    }
    let ended = match task.status.state.is_terminal() {
        true => task.status.applied_at,
        false if task.wanted() => now,
        false => task.meta.updated_at,
    };
    let counts = |restart: &&&Task| {
        let made = restart.meta.created_at;
        policy.window.is_zero() || (made <= ended && ended.since(made) <= policy.window)
    };
    let same_spec = slot.iter().filter(|other| other.spec_version() == task.spec_version());
    let restarts = same_spec.skip(1).filter(counts).count();
    u64::try_from(restarts).is_ok_and(|restarts| restarts < policy.max_attempts)
}

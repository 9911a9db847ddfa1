//! Slots: the places of a replicated service, numbered from 1.

use std::sync::Arc;

use swarm_types::{Task, TaskState, Timestamp};

use super::restart;

/// All tasks of one slot.
pub(super) struct Slot<'t> {
    /// Its number.
    pub(super) number: u64,
    /// Its tasks, oldest first; never empty.
    pub(super) tasks: Vec<&'t Task>,
}

impl<'t> Slot<'t> {
    /// The newest task.
    pub(super) fn newest(&self) -> Option<&'t Task> {
        self.tasks.last().copied()
    }

    /// The tasks that should run or be ready to.
    pub(super) fn wanted(&self) -> impl Iterator<Item = &'t Task> {
        self.tasks.iter().copied().filter(|task| task.wanted())
    }

    /// True when the slot counts as one of the service's: a task is wanted in it, or the last
    /// one ended for good and its restart policy allows no other.
    pub(super) fn is_held(&self, now: Timestamp) -> bool {
        self.wanted().next().is_some() || self.is_exhausted(now)
    }

    fn is_exhausted(&self, now: Timestamp) -> bool {
        self.newest().is_some_and(|newest| {
            newest.desired < TaskState::Remove && !restart::allowed(newest, &self.tasks, now)
        })
    }

    /// The task that stands for a held slot; `None` when there is not exactly one.
    pub(super) fn only(&self) -> Option<&'t Task> {
        let mut wanted = self.wanted();
        match (wanted.next(), wanted.next()) {
            (None, _) => self.newest(),
            (only, None) => only,
            _ => None,
        }
    }
}

/// The slots of a service by number. `tasks` come by slot, oldest first within one.
pub(super) fn slots(tasks: &[Arc<Task>]) -> Vec<Slot<'_>> {
    tasks
        .chunk_by(|left, right| left.slot == right.slot)
        .map(|tasks| Slot {
            number: tasks.first().map_or(0, |task| task.slot),
            tasks: tasks.iter().map(Arc::as_ref).collect(),
        })
        .collect()
}

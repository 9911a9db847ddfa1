//! Places: what a service has a task for. A slot of a replicated service, numbered from 1, or a
//! node of a global one.

use std::collections::BTreeMap;
use std::sync::Arc;

use swarm_types::{NodeId, Task, TaskState, Timestamp};

use super::restart;

/// All tasks of one place.
pub(super) struct Place<'t> {
    /// Number of the slot; 0 in a global service.
    pub(super) slot: u64,
    /// The node of a global service's place.
    pub(super) node: Option<NodeId>,
    /// Its tasks, oldest first.
    pub(super) tasks: Vec<&'t Task>,
}

impl<'t> Place<'t> {
    /// A slot that never had a task.
    pub(super) const fn slot(slot: u64) -> Self {
        Self { slot, node: None, tasks: Vec::new() }
    }

    /// A node that never had a task of the service.
    pub(super) const fn on(node: NodeId) -> Self {
        Self { slot: 0, node: Some(node), tasks: Vec::new() }
    }

    /// The newest task.
    pub(super) fn newest(&self) -> Option<&'t Task> {
        self.tasks.last().copied()
    }

    /// The tasks that should run or be ready to.
    pub(super) fn wanted(&self) -> impl Iterator<Item = &'t Task> {
        self.tasks.iter().copied().filter(|task| task.wanted())
    }

    /// True when nothing is to be made for the place: a task is wanted in it, or the last one
    /// ended for good and its restart policy allows no other.
    pub(super) fn is_held(&self, now: Timestamp) -> bool {
        self.wanted().next().is_some() || self.is_exhausted(now)
    }

    fn is_exhausted(&self, now: Timestamp) -> bool {
        use TaskState::{Complete, Failed, Rejected};
        self.newest().is_some_and(|newest| {
            // A global service's task that was told to end says nothing of the next one: its
            // node was drained, down or unfit meanwhile.
            let by_itself = matches!(newest.status.state, Complete | Failed | Rejected);
            let counts = self.node.is_none() || by_itself;
            let kept = newest.desired < TaskState::Remove;
            kept && counts && !restart::allowed(newest, &self.tasks, now)
        })
    }

    /// The task that stands for a held place; `None` when there is not exactly one.
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
pub(super) fn slots(tasks: &[Arc<Task>]) -> Vec<Place<'_>> {
    tasks
        .chunk_by(|left, right| left.slot == right.slot)
        .map(|tasks| Place {
            slot: tasks.first().map_or(0, |task| task.slot),
            node: None,
            tasks: tasks.iter().map(Arc::as_ref).collect(),
        })
        .collect()
}

/// The places of a global service by node. `tasks` come oldest first.
pub(super) fn nodes(tasks: &[Arc<Task>]) -> BTreeMap<NodeId, Place<'_>> {
    let mut places = BTreeMap::new();
    for task in tasks {
        let Some(node) = task.node else { continue };
        places.entry(node).or_insert_with(|| Place::on(node)).tasks.push(task);
    }
    places
}

//! Keeps what the managers still have to hear about this node's tasks.
//!
//! One entry per task, its latest status, so that memory is bounded by the tasks of the node. A
//! status counts as told once a manager acknowledged it, which means it is committed; until then
//! it is in every batch. A new session tells everything again: the manager may have lost what
//! the one before it acknowledged to nobody but itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use swarm_types::{TaskId, TaskStatus};
use tokio::sync::Notify;

/// Statuses in one report at most; the rest follows in the next.
const BATCH: usize = 500;

/// The statuses of this node's tasks; clones share them.
#[derive(Clone, Default, Debug)]
pub(crate) struct Reporter(Arc<Shared>);

#[derive(Default, Debug)]
struct Shared {
    latest: Mutex<BTreeMap<TaskId, Latest>>,
    changed: Notify,
}

#[derive(Debug)]
struct Latest {
    status: TaskStatus,
    told: bool,
}

/// What one report says.
pub(crate) type Batch = Vec<(TaskId, TaskStatus)>;

impl Reporter {
    /// Takes a status to be told. One that is not further than what is kept is ignored.
    pub(crate) fn observe(&self, task: TaskId, status: TaskStatus) {
        let mut latest = self.latest();
        if latest.get(&task).is_some_and(|kept| kept.status.state >= status.state) {
            return;
        }
        latest.insert(task, Latest { status, told: false });
        drop(latest);
        self.0.changed.notify_one();
    }

    /// Drops what is kept of a task the managers gave up.
    pub(crate) fn forget(&self, task: TaskId) {
        self.latest().remove(&task);
    }

    /// Drops what is kept of every task but those.
    pub(crate) fn forget_all_but(&self, kept: &BTreeSet<TaskId>) {
        self.latest().retain(|task, _| kept.contains(task));
    }

    /// Counts nothing as told any more; for a new session.
    pub(crate) fn tell_all_again(&self) {
        self.latest().values_mut().for_each(|kept| kept.told = false);
        self.0.changed.notify_one();
    }

    /// Waits until something is untold, and returns some of it. The same again until it is
    /// [acknowledged](Self::acknowledge).
    pub(crate) async fn untold(&self) -> Batch {
        loop {
            let changed = self.0.changed.notified();
            let batch = self.pending();
            if !batch.is_empty() {
                return batch;
            }
            changed.await;
        }
    }

    /// Counts as told what of `batch` was not overtaken meanwhile.
    pub(crate) fn acknowledge(&self, batch: &[(TaskId, TaskStatus)]) {
        let mut latest = self.latest();
        for (task, status) in batch {
            if let Some(kept) = latest.get_mut(task)
                && kept.status.state == status.state
            {
                kept.told = true;
            }
        }
    }

    /// The latest status of a task.
    #[cfg(test)]
    pub(crate) fn status(&self, task: TaskId) -> Option<TaskStatus> {
        self.latest().get(&task).map(|kept| kept.status.clone())
    }

    /// The status of a task once it came that far; stands in for a session.
    #[cfg(test)]
    pub(crate) async fn reached(&self, task: TaskId, state: swarm_types::TaskState) -> TaskStatus {
        let reaching = async {
            loop {
                match self.status(task) {
                    Some(status) if status.state >= state => return status,
                    _ => self.acknowledge(&self.untold().await),
                }
            }
        };
        let reached = tokio::time::timeout(std::time::Duration::from_secs(20), reaching).await;
        reached.unwrap_or_else(|_| panic!("not {state}: {:?}", self.status(task)))
    }

    fn pending(&self) -> Batch {
        let latest = self.latest();
        let untold = latest.iter().filter(|(_, kept)| !kept.told);
        untold.take(BATCH).map(|(task, kept)| (*task, kept.status.clone())).collect()
    }

    fn latest(&self) -> MutexGuard<'_, BTreeMap<TaskId, Latest>> {
        self.0.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use proptest::prelude::*;
    use proptest::sample::select;
    use swarm_types::{IdSource, TaskState};

    use super::*;

    fn status(state: TaskState) -> TaskStatus {
        TaskStatus { state, ..TaskStatus::default() }
    }

    fn untold(reporter: &Reporter) -> Batch {
        reporter.untold().now_or_never().unwrap_or_default()
    }

    #[test]
    fn an_overtaken_report_is_not_acknowledged() {
        let (reporter, task) = (Reporter::default(), IdSource::seeded(1).draw());
        reporter.observe(task, status(TaskState::Running));
        let sent = untold(&reporter);
        reporter.observe(task, status(TaskState::Failed));

        reporter.acknowledge(&sent);

        assert_eq!(untold(&reporter), [(task, status(TaskState::Failed))]);
    }

    #[test]
    fn a_new_session_hears_everything_again() {
        let (reporter, mut ids) = (Reporter::default(), IdSource::seeded(1));
        let tasks: Vec<TaskId> = (0..3).map(|_| ids.draw()).collect();
        tasks.iter().for_each(|task| reporter.observe(*task, status(TaskState::Running)));
        reporter.acknowledge(&untold(&reporter));
        assert_eq!(untold(&reporter), []);

        reporter.tell_all_again();
        reporter.forget(tasks[0]);

        assert_eq!(untold(&reporter).len(), 2);
    }

    proptest! {
        /// However observations and acknowledgements interleave, the last batches hold the
        /// furthest state of each task, and a batch never shows a task further back than before.
        #[test]
        fn nothing_is_told_backwards_or_lost(
            turns in prop::collection::vec((0usize..3, select(TaskState::ALL.to_vec()), any::<bool>()), 1..50),
        ) {
            let mut ids = IdSource::seeded(1);
            let tasks: Vec<TaskId> = (0..3).map(|_| ids.draw()).collect();
            let reporter = Reporter::default();
            let (mut furthest, mut told) = (BTreeMap::new(), BTreeMap::new());
            let mut hear = |batch: &Batch| {
                for (task, status) in batch {
                    let before = told.insert(*task, status.state);
                    assert!(before.is_none_or(|before| before <= status.state));
                }
            };
            for (task, state, acknowledged) in turns {
                let best = furthest.entry(tasks[task]).or_insert(state);
                *best = state.max(*best);
                reporter.observe(tasks[task], status(state));
                let batch = untold(&reporter);
                hear(&batch);
                if acknowledged {
                    reporter.acknowledge(&batch);
                }
            }
            hear(&untold(&reporter));
            prop_assert_eq!(told, furthest);
            reporter.acknowledge(&untold(&reporter));
            prop_assert_eq!(untold(&reporter), []);
        }
    }
}

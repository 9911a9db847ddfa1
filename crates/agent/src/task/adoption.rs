//! Says when a fresh agent watches again what the one before it ran.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use swarm_types::TaskId;
use tracing::info;

/// The tasks an agent started with that had not ended; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Adoption {
    count: usize,
    left: Arc<Mutex<BTreeSet<TaskId>>>,
}

impl Adoption {
    /// Of these tasks.
    pub(crate) fn of(tasks: BTreeSet<TaskId>) -> Self {
        Self { count: tasks.len(), left: Arc::new(Mutex::new(tasks)) }
    }

    /// Takes that `task` is looked after. With the last one, that is told.
    pub(crate) fn done(&self, task: TaskId) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.remove(&task) && left.is_empty() {
            info!("adopted {} tasks", self.count);
        }
    }

    /// How many are not looked after yet.
    #[cfg(test)]
    pub(crate) fn left(&self) -> usize {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

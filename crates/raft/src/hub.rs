//! Where the state is published: one snapshot per entry, and what each entry changed.
//!
//! Publishing and subscribing exclude each other, so a subscriber misses nothing and sees
//! nothing twice. A watcher that falls behind by more than the bound is told, not fed gaps.

use std::sync::{Arc, PoisonError, RwLock};

use swarm_state::{Batch, Snapshot};
use swarm_types::HashCheck;
use tokio::sync::broadcast::{self, error::RecvError};

use crate::error::StopReason;
use crate::fault::Fault;

#[derive(Debug)]
pub(crate) struct Hub {
    current: RwLock<Current>,
    backlog: usize,
    fault: Fault,
}

#[derive(Debug)]
struct Current {
    snapshot: Snapshot,
    check: Option<HashCheck>,
    batches: broadcast::Sender<Arc<Batch>>,
}

impl Hub {
    /// Watchers may fall behind by `backlog` entries.
    pub(crate) fn new(snapshot: Snapshot, backlog: usize, fault: Fault) -> Self {
        let batches = broadcast::Sender::new(backlog.max(1));
        Self { current: RwLock::new(Current { snapshot, check: None, batches }), backlog, fault }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.current.read().unwrap_or_else(PoisonError::into_inner).snapshot.clone()
    }

    /// The newest state hash that other replicas can compare.
    pub(crate) fn check(&self) -> Option<HashCheck> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).check
    }

    /// The state after one more entry.
    pub(crate) fn publish(&self, snapshot: Snapshot, batch: Arc<Batch>, check: Option<HashCheck>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        (current.snapshot, current.check) = (snapshot, check);
        // An error means that nobody watches.
        let _ = current.batches.send(batch);
    }

    /// Another state altogether: every watcher has to begin again.
    pub(crate) fn replace(&self, snapshot: Snapshot) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current =
            Current { snapshot, check: None, batches: broadcast::Sender::new(self.backlog.max(1)) };
    }

    pub(crate) fn watch(self: &Arc<Self>) -> (Snapshot, Watch) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let batches = current.batches.subscribe();
        (current.snapshot.clone(), Watch { batches, fault: self.fault.clone() })
    }
}

/// A subscription to what entries change; begins right after the snapshot it came with.
#[derive(Debug)]
pub struct Watch {
    batches: broadcast::Receiver<Arc<Batch>>,
    fault: Fault,
}

/// Why a watch yields nothing more. It does not recover: watch again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WatchError {
    /// Entries were missed: the watcher is too slow, or the state was replaced by a snapshot.
    #[error("the watcher fell behind and missed changes")]
    Lagged,
    /// The store has stopped.
    #[error(transparent)]
    Stopped(#[from] StopReason),
}

impl Watch {
    /// What the next entry changed; waits for it. Safe to drop and call again.
    ///
    /// # Errors
    ///
    /// [`WatchError`]; after it, begin again with a new watch and its snapshot.
    pub async fn next(&mut self) -> Result<Arc<Batch>, WatchError> {
        tokio::select! {
            biased;
            batch = self.batches.recv() => match batch {
                Ok(batch) => Ok(batch),
                Err(RecvError::Lagged(_) | RecvError::Closed) => Err(WatchError::Lagged),
            },
            reason = self.fault.raised() => Err(reason.into()),
        }
    }
}

//! When to write a snapshot, and how much log to drop after it.
//!
//! By bytes, not by entries: a snapshot is due when the log after the last one outweighs both a
//! fixed amount and that snapshot, so that writing snapshots never costs more than writing the
//! log did. A fixed amount of log stays, for members that are a little behind.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::log::Log;
use crate::options::Limits;
use crate::snapshot::Snapshots;
use crate::type_config::Types;

/// How long a snapshot may take before another one is asked for; raft ignores that while it is
/// still being written.
const PATIENCE: Duration = Duration::from_secs(600);

/// Keeps the log bounded.
pub(crate) struct Compactor {
    pub(crate) raft: openraft::Raft<Types>,
    pub(crate) log: Log,
    pub(crate) snapshots: Snapshots,
    pub(crate) limits: Limits,
    /// Held while a snapshot is made, or put into use for another member: raft takes the end of
    /// the one for the end of the other.
    pub(crate) turn: Arc<Mutex<()>>,
}

impl Compactor {
    /// Runs until raft ends; the owner drops it to stop it.
    pub(crate) async fn run(self) {
        loop {
            let due = self.limits.snapshot_after.max(self.snapshots.size());
            self.log.outgrown(due).await;
            let _turn = self.turn.lock().await;
            if self.compact().await.is_none() {
                return;
            }
        }
    }

    /// `None` when raft has ended.
    async fn compact(&self) -> Option<()> {
        let mut metrics = self.raft.metrics();
        let before = metrics.borrow_and_update().snapshot;
        self.raft.trigger().snapshot().await.ok()?;
        let written = metrics.wait_for(|now| now.snapshot > before || now.running_state.is_err());
        let Ok(written) = timeout(PATIENCE, written).await else { return Some(()) };
        let reaches = written.ok().filter(|now| now.running_state.is_ok())?.snapshot?.index;
        // Whoever is being sent a snapshot goes on with the log after it; the next one purges.
        let purgeable = !self.snapshots.is_sending();
        if let Some(point) = self.log.purge_point(self.limits.keep_log).filter(|_| purgeable) {
            self.raft.trigger().purge_log(point.min(reaches)).await.ok()?;
        }
        Some(())
    }
}

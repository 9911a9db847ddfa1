//! Another key for the store, while it is in use.
//!
//! Entries are never sealed anew: tags chain them by their sealed bytes. They go, all that may be
//! under the older key, once a snapshot under the new one holds them. What sled keeps of them in
//! parts of its file that it has not used again is under the older key, and nobody opens it.

use std::time::Duration;

use swarm_crypto::seal::Sealer;
use tokio::time::timeout;

use crate::error::StopReason;
use crate::raft::Raft;

/// How long a step may take before it is asked for again: raft does not begin a second snapshot
/// while it writes one, and purges nothing that it is sending.
const PATIENCE: Duration = Duration::from_secs(1);

impl Raft {
    /// Seals everything with the newest key of `with` from here on, and returns once nothing in
    /// the store needs an older one; then that may be dropped. Takes as long as it takes for all
    /// entries that are here to be committed. To be called again after a start that finds a
    /// rotation begun; cancelling it leaves the store readable with both keys.
    ///
    /// # Errors
    ///
    /// [`StopReason`] when the store has stopped.
    pub async fn reseal(&self, with: &Sealer) -> Result<(), StopReason> {
        let (log, snapshots) = (&self.0.log, self.snapshots());
        let sealer = snapshots.sealer();
        sealer.follow(with);
        let last = log.reseal().await?;
        let mut metrics = self.0.raft.metrics();
        let applied = metrics.wait_for(|now| now.last_applied >= last);
        tokio::select! {
            applied = applied => drop(applied.map_err(|_| self.0.fault.stopped())?),
            reason = self.0.fault.raised() => return Err(reason),
        }
        loop {
            // No snapshot under the older key comes into use while this is held.
            let turn = self.installing().lock_owned().await;
            let trigger = self.0.raft.trigger();
            let (written, dropped) = (snapshots.changed(), log.changed());
            if !snapshots.reaches(last, sealer.key_id()) {
                let asked = trigger.snapshot().await;
                asked.map_err(|error| self.0.stopped_by(&error))?;
                self.pause(written).await?;
            } else if log.floor() >= last {
                sealer.forget_older();
                return Ok(());
            } else {
                // raft drops what it knows to be in the snapshot, and hears of that after us.
                let known = metrics.wait_for(|now| now.snapshot >= last);
                self.pause(async { drop(known.await) }).await?;
                // Whoever is being sent a snapshot goes on with the log after it.
                if let Some(to) = last.filter(|_| !snapshots.is_sending()) {
                    let asked = trigger.purge_log(to.index).await;
                    asked.map_err(|error| self.0.stopped_by(&error))?;
                }
                drop(turn);
                self.pause(dropped).await?;
            }
        }
    }

    /// Waits for that, not long.
    async fn pause(&self, event: impl Future<Output = ()>) -> Result<(), StopReason> {
        tokio::select! {
            _ = timeout(PATIENCE, event) => Ok(()),
            reason = self.0.fault.raised() => Err(reason),
        }
    }
}

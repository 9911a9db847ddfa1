//! The raft log: openraft's view of it, over one thread that owns sled and the mark.
//!
//! openraft calls in one order and awaits each call, so a request is handed to the thread and
//! its answer awaited; nothing here touches a file. Positions and recent entries are answered
//! from memory ([`positions`]). [`writer`] is the thread, [`open`] decides whether what is found
//! on disk can be trusted, [`force`] cuts it off from the other members, [`table`] is the tree.
//!
//! After the first error the thread is gone and every call fails: a failed sync is not retried.

mod force;
mod open;
mod positions;
mod table;
mod writer;

use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openraft::storage::RaftLogStorage;
use openraft::{AnyError, LogState, OptionalSend, RaftLogReader};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, mpsc, oneshot};

pub(crate) use self::open::{Found, Founding, clear_unfinished, create, open, open_alone};
use self::positions::Positions;
pub(crate) use self::table::Seal;
use self::writer::Request;
use crate::error::StopReason;
use crate::fault::Fault;
use crate::figures::Figures;
use crate::mark::SnapshotRef;
use crate::pace::Pace;
use crate::type_config::{LogEntry, LogFlushed, LogId, StorageError, StorageIoError, Types, Vote};

/// Bytes of entries one AppendEntries carries at most: it is cancelled after a heartbeat, so a
/// bigger one would never arrive over a slow link.
const BATCH: u64 = 512 << 10;

/// Cheap handle on the log.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    requests: mpsc::Sender<Request>,
    shared: Arc<Shared>,
    fault: Fault,
}

#[derive(Debug, Default)]
struct Shared {
    positions: Mutex<Positions>,
    figures: Figures,
    pace: Mutex<Pace>,
    /// Told whenever entries came, or were dropped in favor of a snapshot.
    changed: Notify,
}

impl Shared {
    fn positions(&self) -> MutexGuard<'_, Positions> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// Hands a request to the thread and awaits its answer.
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, StopReason> {
        let (answer, answered) = oneshot::channel();
        let sent = self.requests.send(request(answer)).await;
        sent.map_err(|_| self.fault.stopped())?;
        answered.await.map_err(|_| self.fault.stopped())
    }

    /// Puts a snapshot that is complete and durable into use.
    pub(crate) async fn use_snapshot(&self, snapshot: SnapshotRef) -> Result<(), StopReason> {
        self.ask(|answer| Request::UseSnapshot { snapshot, answer }).await
    }

    /// Says which complete, durable snapshot from elsewhere raft is about to be given: a purge
    /// that only it covers makes it the one in use, in the same step.
    pub(crate) fn expect_snapshot(&self, snapshot: Option<SnapshotRef>) {
        self.shared.positions().expected = snapshot;
    }

    /// Notes that founding or joining is complete.
    pub(crate) async fn complete(&self) -> Result<(), StopReason> {
        self.ask(|answer| Request::Complete { answer }).await
    }

    /// Closes the files. Resolves when they are free to be opened again.
    pub(crate) async fn close(&self) {
        // An error means that the thread is gone already, and its files with it.
        let _ = self.ask(|answer| Request::Close { answer }).await;
    }

    /// What is counted of this store.
    pub(crate) fn figures(&self) -> &Figures {
        &self.shared.figures
    }

    /// What appending takes here at present; `None` until that is known.
    pub(crate) fn pace(&self) -> Option<Duration> {
        self.shared.pace().median()
    }

    /// Bytes of all entries.
    pub(crate) fn bytes(&self) -> u64 {
        self.shared.positions().bytes()
    }

    /// Id of the last entry.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.shared.positions().last
    }

    /// The highest index that may be dropped so that `keep` bytes of log stay.
    pub(crate) fn purge_point(&self, keep: u64) -> Option<u64> {
        self.shared.positions().purge_point(keep)
    }

    /// Resolves once the log after the snapshot has more than `bytes`.
    pub(crate) async fn outgrown(&self, bytes: u64) {
        loop {
            let changed = self.changed();
            if self.shared.positions().since_snapshot > bytes {
                return;
            }
            changed.await;
        }
    }

    /// Seals anew, with the key that seals now, what the store keeps about itself. Returns the
    /// last entry that may be sealed with another one.
    pub(crate) async fn reseal(&self) -> Result<Option<LogId>, StopReason> {
        self.ask(|answer| Request::Reseal { answer }).await
    }

    /// The last entry that was dropped.
    pub(crate) fn floor(&self) -> Option<LogId> {
        self.shared.positions().floor
    }

    /// Resolves once entries came or were dropped after this call.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.shared.changed.notified()
    }

    async fn read(&self, from: u64, to: u64) -> Result<Vec<LogEntry>, StopReason> {
        if let Some(cached) = self.shared.positions().cached(from, to) {
            return Ok(cached);
        }
        self.ask(|answer| Request::Read { from, to, answer }).await
    }
}

fn write_error(reason: StopReason) -> StorageError {
    StorageIoError::write_logs(AnyError::new(&reason)).into()
}

fn read_error(reason: StopReason) -> StorageError {
    StorageIoError::read_logs(AnyError::new(&reason)).into()
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<LogEntry>, StorageError> {
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(last) => last + 1,
            Bound::Excluded(to) => *to,
            Bound::Unbounded => u64::MAX,
        };
        self.read(from, to).await.map_err(read_error)
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<LogEntry>, StorageError> {
        let end = if start < end {
            self.shared.positions().limited(start, end, BATCH)
        } else {
            return Ok(Vec::new());
        };
        self.read(start, end).await.map_err(read_error)
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let positions = self.shared.positions();
        Ok(LogState { last_purged_log_id: positions.floor, last_log_id: positions.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let vote = *vote;
        let saved = self.ask(|answer| Request::SaveVote { vote, answer }).await;
        saved.map_err(|reason| StorageIoError::write_vote(AnyError::new(&reason)).into())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.shared.positions().vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        // Rides with the next batch: after a crash a quorum tells it again.
        self.shared.positions().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        Ok(self.shared.positions().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<LogEntry> = entries.into_iter().collect();
        {
            let mut positions = self.shared.positions();
            entries.iter().cloned().for_each(|entry| positions.push(entry));
        }
        let sent = self.requests.send(Request::Append { entries, callback }).await;
        sent.map_err(|_| write_error(self.fault.stopped()))
    }

    async fn truncate(&mut self, since: LogId) -> Result<(), StorageError> {
        let index = since.index;
        self.ask(|answer| Request::Truncate { index, answer }).await.map_err(write_error)
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        self.ask(|answer| Request::Purge { upto, answer }).await.map_err(write_error)
    }
}

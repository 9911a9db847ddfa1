//! What is in the log, in memory: where it begins and ends, who wrote what, how big it is.
//!
//! Shared by openraft's side, which asks, and the log's thread, which writes. Recent entries
//! stay here decoded, so that committing and sending them does not read the disk, also after a
//! restart: reading goes through the thread that writes, and elections would wait for it.

use std::collections::VecDeque;

use crate::mark::{Anchor, SnapshotRef};
use crate::type_config::{LeaderId, LogEntry, LogId, Vote};

/// Encoded size up to which recent entries are kept.
const CACHE: u64 = 8 << 20;

#[derive(Debug, Default)]
pub(crate) struct Positions {
    pub(crate) vote: Option<Vote>,
    /// Known to be committed; becomes durable with the next batch.
    pub(crate) committed: Option<LogId>,
    pub(crate) floor: Option<LogId>,
    /// A snapshot from elsewhere that is complete and durable, and not in use yet.
    pub(crate) expected: Option<SnapshotRef>,
    /// Last entry handed to us, durable or about to be.
    pub(crate) last: Option<LogId>,
    /// Sizes of the durable entries after the floor, oldest first.
    sizes: VecDeque<u32>,
    first: u64,
    total: u64,
    /// Bytes of the entries the snapshot in use does not hold.
    pub(crate) since_snapshot: u64,
    /// Where each leader's entries begin.
    leaders: Vec<(u64, LeaderId)>,
    cache: VecDeque<LogEntry>,
    cached: u64,
}

impl Positions {
    /// Takes note of an entry, before it is written or as it is found, so that it can be read at
    /// once.
    pub(crate) fn push(&mut self, entry: LogEntry) {
        self.extend(entry.log_id);
        self.cache.push_back(entry);
    }

    fn extend(&mut self, id: LogId) {
        if self.leaders.last().is_none_or(|(_, leader)| *leader != id.leader_id) {
            self.leaders.push((id.index, id.leader_id));
        }
        if self.sizes.is_empty() && self.cache.is_empty() {
            self.first = id.index;
        }
        self.last = Some(id);
    }

    /// The next entry is durable and takes that many bytes.
    pub(crate) fn durable(&mut self, size: u32) {
        self.sizes.push_back(size);
        self.total += u64::from(size);
        self.since_snapshot += u64::from(size);
        self.cached += u64::from(size);
        while self.cached > CACHE && self.cache.len() > 1 {
            let Some(oldest) = self.cache.pop_front() else { break };
            self.cached -= u64::from(self.size(oldest.log_id.index));
        }
    }

    fn size(&self, index: u64) -> u32 {
        let at = index.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.sizes.get(at)).copied().unwrap_or(0)
    }

    /// Drops the entries from `index` on. `last` is the one before.
    pub(crate) fn truncate(&mut self, index: u64, last: Option<LogId>) {
        while self.cache.back().is_some_and(|entry| entry.log_id.index >= index) {
            self.cache.pop_back();
        }
        while self.first + self.sizes.len() as u64 > index {
            let Some(size) = self.sizes.pop_back() else { break };
            self.total -= u64::from(size);
            self.since_snapshot = self.since_snapshot.saturating_sub(u64::from(size));
        }
        self.leaders.retain(|(from, _)| *from < index);
        self.recount();
        self.last = last;
    }

    /// Drops the entries up to and with `upto`, also when the log does not reach that far.
    pub(crate) fn purge(&mut self, upto: LogId) {
        while self.cache.front().is_some_and(|entry| entry.log_id.index <= upto.index) {
            self.cache.pop_front();
        }
        while self.first <= upto.index {
            let Some(size) = self.sizes.pop_front() else { break };
            self.total -= u64::from(size);
            self.first += 1;
        }
        if self.sizes.is_empty() {
            self.first = upto.index + 1;
        }
        let gone = self.leaders.iter().take_while(|(from, _)| *from <= upto.index).count();
        self.leaders.drain(..gone.saturating_sub(1));
        self.recount();
        self.floor = self.floor.max(Some(upto));
        if self.last.is_none_or(|last| last.index < upto.index) {
            self.last = Some(upto);
        }
    }

    fn recount(&mut self) {
        self.cached = self.cache.iter().map(|it| u64::from(self.size(it.log_id.index))).sum();
    }

    /// The full id of an entry that is in the log.
    pub(crate) fn id_at(&self, index: u64) -> Option<LogId> {
        let inside = self.first <= index && self.last.is_some_and(|last| index <= last.index);
        let run = self.leaders.partition_point(|(from, _)| *from <= index);
        let leader = run.checked_sub(1).and_then(|run| self.leaders.get(run));
        leader.filter(|_| inside).map(|(_, leader)| LogId::new(*leader, index))
    }

    /// The entries of `from..to` when all that exist of them are cached.
    pub(crate) fn cached(&self, from: u64, to: u64) -> Option<Vec<LogEntry>> {
        let end = self.last.map_or(0, |last| last.index + 1).min(to);
        if from >= end {
            return Some(Vec::new());
        }
        let first = self.cache.front()?.log_id.index;
        let from = from.max(self.floor.map_or(0, |floor| floor.index + 1));
        let skip = usize::try_from(from.checked_sub(first)?).ok()?;
        let take = usize::try_from(end.saturating_sub(from)).ok()?;
        Some(self.cache.iter().skip(skip).take(take).cloned().collect())
    }

    /// End of the longest run from `from` that has at most `limit` bytes, or one entry.
    pub(crate) fn limited(&self, from: u64, to: u64, limit: u64) -> u64 {
        let mut bytes = 0;
        let within = |index: &u64| {
            bytes += u64::from(self.size(*index));
            bytes <= limit
        };
        (from..to).take_while(within).last().map_or(to.min(from + 1), |last| last + 1)
    }

    /// A snapshot up to and with `index` came into use.
    pub(crate) fn snapshot_taken(&mut self, index: u64) {
        let held = usize::try_from((index + 1).saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.since_snapshot = self.sizes.iter().skip(held).map(|size| u64::from(*size)).sum();
    }

    /// The highest index that may be dropped so that `keep` bytes stay.
    pub(crate) fn purge_point(&self, keep: u64) -> Option<u64> {
        let mut kept = 0;
        let stay = self.sizes.iter().rev().take_while(|size| {
            kept += u64::from(**size);
            kept <= keep
        });
        let gone = self.sizes.len().checked_sub(stay.count()).filter(|gone| *gone > 0)?;
        Some(self.first + gone as u64 - 1)
    }

    /// Bytes of all entries.
    pub(crate) fn bytes(&self) -> u64 {
        self.total
    }

    /// Begins at the floor of the mark.
    pub(crate) fn begin(&mut self, floor: Option<Anchor>) {
        self.floor = floor.map(|floor| floor.id);
        self.last = self.floor;
        self.first = self.floor.map_or(0, |floor| floor.index + 1);
    }
}

//! The thread that owns the tree and the mark, and the order in which it makes them durable.
//!
//! - Append: entries into the tree, flush, sync; the mark, sync; then the callback.
//! - Truncate and purge: the mark first, since the tree may hold more than the mark says but
//!   never less.
//! - Vote: tree and mark, as an append.
//! - Purged entries leave the tree piece by piece while nobody asks for anything, so that
//!   no commit waits for them.
//!
//! An error or a panic ends the thread: whoever waits gets nothing, and [`Fault`] says why.

use std::any::Any;
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use prost::Message;
use sled::Batch;
use tokio::sync::{mpsc, mpsc::error::TryRecvError, oneshot};

use super::Shared;
use super::table::{Fact, Table};
use crate::disk::{Disk, Step};
use crate::error::{OpenError, StopReason};
use crate::fault::{Fault, panic_message};
use crate::mark::{Anchor, MarkFile, SnapshotRef};
use crate::record::{PositionRecord, Tag, VoteRecord, decode_entry};
use crate::type_config::{LogEntry, LogFlushed, LogId, Vote};

/// What the thread is asked to do.
pub(super) enum Request {
    Append { entries: Vec<LogEntry>, callback: LogFlushed },
    SaveVote { vote: Vote, answer: oneshot::Sender<()> },
    Truncate { index: u64, answer: oneshot::Sender<()> },
    Purge { upto: LogId, answer: oneshot::Sender<()> },
    Read { from: u64, to: u64, answer: oneshot::Sender<Vec<LogEntry>> },
    UseSnapshot { snapshot: SnapshotRef, answer: oneshot::Sender<()> },
    Complete { answer: oneshot::Sender<()> },
    Reseal { answer: oneshot::Sender<Option<LogId>> },
    Close { answer: oneshot::Sender<()> },
}

pub(super) struct Writer {
    pub(super) table: Table,
    pub(super) mark: MarkFile,
    /// Tag of the last entry, which the next one follows.
    pub(super) tail: Tag,
    pub(super) disk: Disk,
    pub(super) shared: Arc<Shared>,
    pub(super) fault: Fault,
    /// Entries up to here were purged and may be in the tree still.
    pub(super) dropped: Option<u64>,
}

/// How many values leave the tree at once: some milliseconds' worth.
const PIECE: usize = 128;

/// Runs on the thread until asked to close, until nobody is left to ask, or until it fails.
///
/// `prepare` opens the store; on the thread, because sled may panic over its damaged file,
/// which is `path`.
pub(super) fn spawn<P>(
    path: PathBuf,
    prepare: P,
    mut requests: mpsc::Receiver<Request>,
    fault: Fault,
) -> io::Result<oneshot::Receiver<Result<(), OpenError>>>
where
    P: FnOnce() -> Result<Writer, OpenError> + Send + 'static,
{
    let (opened, outcome) = oneshot::channel();
    let body = move || {
        let prepared = catch_unwind(AssertUnwindSafe(prepare));
        let prepared =
            prepared.unwrap_or_else(|panic| Err(OpenError::damaged(&path, panic_message(&*panic))));
        let mut writer = match prepared {
            Ok(writer) => writer,
            Err(error) => return drop(opened.send(Err(error))),
        };
        if opened.send(Ok(())).is_err() {
            return;
        }
        let served = catch_unwind(AssertUnwindSafe(|| serve(&mut writer, &mut requests)));
        let answer = match served.unwrap_or_else(|panic| Err(panicked(&*panic))) {
            Ok(answer) => answer,
            Err(reason) => {
                // Before the requests are dropped: those who wait ask for the reason.
                fault.raise(reason);
                None
            }
        };
        // Dropping sled may panic as well, once it has failed.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(writer)));
        drop(requests);
        let _ = answer.map(|answer| answer.send(()));
    };
    thread::Builder::new().name("raft-log".into()).spawn(body).map(|_| outcome)
}

fn panicked(panic: &(dyn Any + Send)) -> StopReason {
    StopReason::Panicked { part: "log", message: panic_message(panic) }
}

type Closing = Option<oneshot::Sender<()>>;

fn serve(
    writer: &mut Writer,
    requests: &mut mpsc::Receiver<Request>,
) -> Result<Closing, StopReason> {
    while let Some(request) = writer.next(requests)? {
        if let ControlFlow::Break(answer) = writer.handle(request)? {
            return Ok(Some(answer));
        }
    }
    Ok(None)
}

impl Writer {
    /// The next request; `None` when nobody is left to ask.
    fn next(
        &mut self,
        requests: &mut mpsc::Receiver<Request>,
    ) -> Result<Option<Request>, StopReason> {
        while let Some(upto) = self.dropped {
            match requests.try_recv() {
                Ok(request) => return Ok(Some(request)),
                Err(TryRecvError::Disconnected) => return Ok(None),
                Err(TryRecvError::Empty) => self.sweep(upto)?,
            }
        }
        Ok(requests.blocking_recv())
    }

    /// Takes a piece of what was purged out of the tree.
    fn sweep(&mut self, upto: u64) -> Result<(), StopReason> {
        let mut batch = Batch::default();
        if self.table.drop_entries(&mut batch, 0..upto + 1, PIECE)? < PIECE {
            self.dropped = None;
        }
        self.table.relax(batch)
    }

    fn handle(&mut self, request: Request) -> Result<ControlFlow<oneshot::Sender<()>>, StopReason> {
        match request {
            Request::Append { entries, callback } => {
                let appended = self.append(&entries);
                self.noted(appended)?;
                callback.log_io_completed(Ok(()));
            }
            Request::SaveVote { vote, answer } => {
                let saved = self.save_vote(vote);
                self.noted(saved)?;
                self.acknowledge(answer)?;
            }
            Request::Truncate { index, answer } => {
                let truncated = self.truncate(index);
                self.noted(truncated)?;
                self.acknowledge(answer)?;
            }
            Request::Purge { upto, answer } => {
                let purged = self.purge(upto);
                self.noted(purged)?;
                self.acknowledge(answer)?;
            }
            Request::Read { from, to, answer } => {
                // An answer nobody waits for is no error.
                let _ = answer.send(self.noted(self.read(from, to))?);
            }
            Request::UseSnapshot { snapshot, answer } => {
                let named = self.mark.update(|mark| mark.snapshot = Some(snapshot));
                self.noted(named)?;
                self.shared.positions().snapshot_taken(snapshot.last.index);
                self.acknowledge(answer)?;
            }
            Request::Complete { answer } => {
                let noted = self.mark.update(|mark| mark.complete = true);
                self.noted(noted)?;
                self.acknowledge(answer)?;
            }
            Request::Reseal { answer } => {
                let last = self.reseal();
                // An answer nobody waits for is no error.
                let _ = answer.send(self.noted(last)?);
            }
            Request::Close { answer } => return Ok(ControlFlow::Break(answer)),
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Tells the reason of a failure before whoever waits learns that there is one.
    fn noted<T>(&self, result: Result<T, StopReason>) -> Result<T, StopReason> {
        result.inspect_err(|reason| self.fault.raise(reason.clone()))
    }

    fn append(&mut self, entries: &[LogEntry]) -> Result<(), StopReason> {
        let Some(last) = entries.last().map(|entry| entry.log_id) else { return Ok(()) };
        let mut batch = Batch::default();
        let mut tail = self.tail;
        let mut sizes = Vec::with_capacity(entries.len());
        for entry in entries {
            let (tag, size) = self.table.put_entry(&mut batch, entry, &tail);
            tail = tag;
            sizes.push(size);
        }
        self.put_committed(&mut batch);
        let began = Instant::now();
        self.table.commit(batch)?;
        self.mark.update(|mark| mark.last = Some(Anchor { id: last, tag: Some(tail) }))?;
        let took = began.elapsed();
        self.shared.figures.syncs.observe(took.as_secs_f64());
        self.shared.pace().note(took);
        self.tail = tail;
        {
            let mut positions = self.shared.positions();
            sizes.into_iter().for_each(|size| positions.durable(size));
        }
        self.shared.changed.notify_waiters();
        self.announce()
    }

    fn put_committed(&self, batch: &mut Batch) {
        if let Some(committed) = self.shared.positions().committed {
            let record = PositionRecord::from(committed).encode_to_vec();
            self.table.put_fact(batch, Fact::Committed, &record);
        }
    }

    fn save_vote(&mut self, vote: Vote) -> Result<(), StopReason> {
        let mut batch = Batch::default();
        self.table.put_fact(&mut batch, Fact::Vote, &VoteRecord::from(vote).encode_to_vec());
        self.table.commit(batch)?;
        self.mark.update(|mark| mark.vote = Some(vote))?;
        self.shared.positions().vote = Some(vote);
        Ok(())
    }

    /// Writes what is not an entry once more. Entries that come after this have the new key.
    fn reseal(&mut self) -> Result<Option<LogId>, StopReason> {
        let (vote, last) = {
            let positions = self.shared.positions();
            (positions.vote, positions.last)
        };
        let mut batch = Batch::default();
        if let Some(vote) = vote {
            self.table.put_fact(&mut batch, Fact::Vote, &VoteRecord::from(vote).encode_to_vec());
        }
        self.put_committed(&mut batch);
        self.table.commit(batch)?;
        // One half of the mark, then the other.
        self.mark.update(|_| ())?;
        self.mark.update(|_| ())?;
        Ok(last)
    }

    /// Drops the entries from `index` on.
    fn truncate(&mut self, index: u64) -> Result<(), StopReason> {
        let (last, floor) = {
            let positions = self.shared.positions();
            let before = index.checked_sub(1).and_then(|before| positions.id_at(before));
            (before.or(positions.floor), positions.floor)
        };
        let tag = match last {
            Some(last) if Some(last) != floor => self.tag_at(last.index)?,
            _ => self.mark.get().floor.and_then(|floor| floor.tag),
        };
        self.mark.update(|mark| mark.last = last.map(|id| Anchor { id, tag }))?;
        let mut batch = Batch::default();
        self.table.drop_entries(&mut batch, index..u64::MAX, usize::MAX)?;
        self.table.commit(batch)?;
        self.tail = tag.unwrap_or_default();
        self.shared.positions().truncate(index, last);
        Ok(())
    }

    /// The snapshot that holds everything up to `upto`: the one in use, or one that is complete
    /// and about to be. raft drops the log for a snapshot from elsewhere before the state machine
    /// has taken it over.
    fn covering(&self, upto: LogId) -> Result<SnapshotRef, StopReason> {
        let candidates = [self.mark.get().snapshot, self.shared.positions().expected];
        let covers = |snapshot: &SnapshotRef| snapshot.last >= upto;
        candidates.into_iter().flatten().find(covers).ok_or_else(|| {
            let message = format!("no snapshot holds what a purge up to entry {upto} drops");
            StopReason::Panicked { part: "log", message }
        })
    }

    /// Drops the entries up to `upto`. The snapshot that holds them is named in the same step:
    /// a crash finds either the log or that snapshot.
    fn purge(&mut self, upto: LogId) -> Result<(), StopReason> {
        let snapshot = self.covering(upto)?;
        let within = self.shared.positions().id_at(upto.index).is_some();
        let tag = if within { self.tag_at(upto.index)? } else { None };
        let beyond = self.mark.get().last.is_none_or(|last| last.id.index < upto.index);
        let anchor = Anchor { id: upto, tag };
        self.mark.update(|mark| {
            mark.snapshot = Some(snapshot);
            mark.floor = Some(anchor);
            if beyond {
                mark.last = Some(anchor);
            }
        })?;
        self.dropped = Some(upto.index);
        if beyond {
            self.tail = Tag::default();
        }
        {
            let mut positions = self.shared.positions();
            positions.purge(upto);
            positions.snapshot_taken(snapshot.last.index);
        }
        self.shared.changed.notify_waiters();
        Ok(())
    }

    fn tag_at(&self, index: u64) -> Result<Option<Tag>, StopReason> {
        let stored = self.table.entries(index).next().transpose();
        let stored = stored.map_err(StopReason::disk("read", self.table.path()))?;
        Ok(stored.filter(|stored| stored.index == index).map(|stored| stored.tag))
    }

    fn read(&self, from: u64, to: u64) -> Result<Vec<LogEntry>, StopReason> {
        let floor = self.shared.positions().floor;
        let from = from.max(floor.map_or(0, |floor| floor.index + 1));
        let mut entries = Vec::new();
        if from >= to {
            return Ok(entries);
        }
        for stored in self.table.entries(from) {
            let stored = stored.map_err(StopReason::disk("read", self.table.path()))?;
            if stored.index >= to {
                break;
            }
            let decoded = decode_entry(&stored.clear);
            let (entry, _) = decoded.map_err(StopReason::disk("read", self.table.path()))?;
            entries.push(entry);
        }
        Ok(entries)
    }

    fn acknowledge(&self, answer: oneshot::Sender<()>) -> Result<(), StopReason> {
        self.noted(self.announce())?;
        // An answer nobody waits for is no error.
        let _ = answer.send(());
        Ok(())
    }

    fn announce(&self) -> Result<(), StopReason> {
        let announced = self.disk.announce(Step::Acknowledge, self.mark.path());
        announced.map_err(StopReason::disk("acknowledge", self.mark.path()))
    }
}

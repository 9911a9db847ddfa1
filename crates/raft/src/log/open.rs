//! Making a log, and deciding whether one that is found can be trusted.
//!
//! Trusted means: the mark is whole; the tree begins right after the mark's floor, has no hole,
//! reaches at least to the mark's last entry, which is the same one; each entry opens and
//! follows the one before it; the vote is not lower than the mark's; the mark's snapshot holds
//! everything below the floor.
//!
//! What lies beyond the mark was never acknowledged. What is whole of it stays, and is made
//! durable and marked before anybody sees it; from the first entry on that is not, it is cut
//! off: sled tears a batch when the power fails in the middle of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use prost::Message;
use sled::Batch;
use swarm_crypto::seal::Sealer;
use tokio::sync::mpsc;

use super::force;
use super::positions::Positions;
use super::table::{Broken, Fact, Seal, Stored, Table};
use super::writer::{self, Writer};
use super::{Log, Shared};
use crate::disk::{Disk, parent};
use crate::error::OpenError;
use crate::fault::Fault;
use crate::mark::{Anchor, Mark, MarkFile};
use crate::record::{Malformed, PositionRecord, Tag, VoteRecord, decode_entry};
use crate::type_config::{LogEntry, LogId, Member, MemberId, Vote};

/// Requests that may wait for the thread; openraft has one at a time, readers a few.
const WAITING: usize = 64;

/// Where the parts of the store are, and how they are written.
#[derive(Clone, Debug)]
pub(crate) struct Founding {
    pub(crate) dir: PathBuf,
    pub(crate) disk: Disk,
    pub(crate) sealer: Sealer,
    pub(crate) fault: Fault,
}

impl Founding {
    pub(crate) fn mark(&self) -> PathBuf {
        self.dir.join("mark")
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.dir.join("log")
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.dir.join("snapshots")
    }
}

/// A log that was opened, and what its mark said.
pub(crate) struct Found {
    pub(crate) log: Log,
    pub(crate) mark: Mark,
}

/// Makes an empty log; durable with its directories when this returns.
pub(crate) async fn create(
    founding: Founding,
    member: MemberId,
    epoch: u64,
) -> Result<Found, OpenError> {
    run(founding, move |founding| {
        let seal = Seal { sealer: founding.sealer.clone(), store: rand::random() };
        let mark = Mark {
            store: seal.store,
            member,
            vote: None,
            last: None,
            floor: None,
            snapshot: None,
            complete: false,
            epoch,
            alone: None,
        };
        let disk = founding.disk.clone();
        make_dir(founding, &founding.dir)?;
        // Before the rest: what is there without a mark is a store that lost it.
        let mark = MarkFile::create(&founding.mark(), disk, founding.sealer.clone(), mark)?;
        make_dir(founding, &founding.tree())?;
        make_dir(founding, &founding.snapshots())?;
        let table = Table::open(&founding.tree(), founding.disk.clone(), seal)?;
        table.settle()?;
        Ok((table, mark, Tag::default(), Positions::default()))
    })
    .await
}

fn make_dir(founding: &Founding, dir: &Path) -> Result<(), OpenError> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(OpenError::io("create", dir)(error));
        }
        _ => {}
    }
    let holder = parent(dir);
    founding.disk.sync_dir(holder).map_err(OpenError::io("sync", holder))
}

/// Opens the log that is there.
pub(crate) async fn open(founding: Founding) -> Result<Found, OpenError> {
    run(founding, |founding| force::finish(trusted(founding)?)).await
}

/// Opens the log that is there as that of a cluster of one, `alone`, under the number `member`.
pub(crate) async fn open_alone(
    founding: Founding,
    member: MemberId,
    alone: Member,
) -> Result<Found, OpenError> {
    run(founding, move |founding| {
        let (table, mut mark, tail, positions) = trusted(founding)?;
        force::decide(&mut mark, member, alone)?;
        force::finish((table, mark, tail, positions))
    })
    .await
}

/// What the thread begins with: the tree, the mark, the tag of the last entry, what is where.
pub(super) type Opened = (Table, MarkFile, Tag, Positions);

fn trusted(founding: &Founding) -> Result<Opened, OpenError> {
    let path = founding.mark();
    if !path.exists() {
        return Err(without_mark(founding));
    }
    let mut mark = MarkFile::open(&path, founding.disk.clone(), founding.sealer.clone())?;
    if !mark.get().complete {
        return Err(OpenError::Unfinished { dir: founding.dir.clone() });
    }
    let db = founding.tree().join("db");
    match fs::metadata(&db) {
        Ok(found) if found.len() > 0 => {}
        Ok(_) => return Err(OpenError::damaged(&db, "it is empty")),
        Err(_) => return Err(OpenError::damaged(&db, "it is missing")),
    }
    let seal = Seal { sealer: founding.sealer.clone(), store: mark.get().store };
    let table = Table::open(&founding.tree(), founding.disk.clone(), seal)?;
    let (tail, mut positions) = load(&table, mark.get())?;
    confirm(&table, &mut mark, tail, &positions)?;
    let tail = follow(&mut mark, &mut positions)?.unwrap_or(tail);
    Ok((table, mark, tail, positions))
}

/// Makes what was found durable, and marks it: a process that was killed may have left it in
/// the kernel's memory only, and from here on it counts.
fn confirm(
    table: &Table,
    mark: &mut MarkFile,
    tail: Tag,
    positions: &Positions,
) -> Result<(), OpenError> {
    table.settle()?;
    let marked = mark.get();
    let beyond = positions.last > marked.last.map(|last| last.id);
    if beyond || positions.vote != marked.vote {
        let last = positions.last.map(|id| Anchor { id, tag: Some(tail) });
        mark.update(|mark| {
            mark.vote = positions.vote;
            mark.last = if beyond { last } else { mark.last };
        })?;
    }
    Ok(())
}

/// Where a snapshot from elsewhere reaches beyond the log, the log begins anew after it: a crash
/// came between the two. Returns the tail then.
fn follow(mark: &mut MarkFile, positions: &mut Positions) -> Result<Option<Tag>, OpenError> {
    let reaches = mark.get().snapshot.map(|snapshot| snapshot.last);
    let behind = |upto: &LogId| positions.last.is_none_or(|last| last.index < upto.index);
    let Some(upto) = reaches.filter(behind) else { return Ok(None) };
    let anchor = Some(Anchor { id: upto, tag: None });
    mark.update(|mark| (mark.floor, mark.last) = (anchor, anchor))?;
    positions.purge(upto);
    positions.snapshot_taken(upto.index);
    Ok(Some(Tag::default()))
}

fn without_mark(founding: &Founding) -> OpenError {
    let rest = [founding.tree(), founding.snapshots()];
    if rest.iter().any(|part| part.exists()) {
        OpenError::damaged(&founding.mark(), "it is missing")
    } else {
        OpenError::Absent { dir: founding.dir.clone() }
    }
}

async fn run<P>(founding: Founding, prepare: P) -> Result<Found, OpenError>
where
    P: FnOnce(&Founding) -> Result<Opened, OpenError> + Send + 'static,
{
    let (requests, inbox) = mpsc::channel(WAITING);
    let shared = std::sync::Arc::new(Shared::default());
    let (log_fault, db) = (founding.fault.clone(), founding.tree().join("db"));
    let (told, mark) = tokio::sync::oneshot::channel();
    let theirs = shared.clone();
    let prepare = move || {
        let (table, mark, tail, positions) = prepare(&founding)?;
        *theirs.positions() = positions;
        // Nobody waiting means that opening was given up; the thread then ends by itself.
        let _ = told.send(mark.get().clone());
        let Founding { disk, fault, .. } = founding;
        // Of a purge that a crash interrupted, something may be left.
        let dropped = mark.get().floor.map(|floor| floor.id.index);
        Ok(Writer { table, mark, tail, disk, shared: theirs, fault, dropped })
    };
    let opened = writer::spawn(db.clone(), prepare, inbox, log_fault.clone());
    let opened = opened.map_err(OpenError::io("start the log thread for", &db))?;
    opened.await.map_err(|_| log_fault.stopped())??;
    let mark = mark.await.map_err(|_| log_fault.stopped())?;
    Ok(Found { log: Log { requests, shared, fault: log_fault }, mark })
}

/// Reads the whole tree and holds it against the mark.
fn load(table: &Table, mark: &Mark) -> Result<(Tag, Positions), OpenError> {
    let mut positions = Positions::default();
    positions.begin(mark.floor);
    positions.vote = vote(table, mark)?;
    if let (Some(floor), snapshot) = (mark.floor, mark.snapshot)
        && snapshot.is_none_or(|snapshot| snapshot.last < floor.id)
    {
        return Err(damaged(table, "no snapshot holds the entries that were dropped"));
    }
    let tail = load_entries(table, mark, &mut positions)?;
    if positions.last < mark.last.map(|last| last.id) {
        let (found, wanted) = (shown(positions.last), shown(mark.last.map(|last| last.id)));
        return Err(damaged(table, format!("it ends at {found}, acknowledged was {wanted}")));
    }
    positions.committed = committed(table)?;
    if positions.committed > positions.last {
        return Err(damaged(table, "entries that were committed are missing"));
    }
    if let Some(snapshot) = mark.snapshot {
        positions.snapshot_taken(snapshot.last.index);
    }
    Ok((tail, positions))
}

fn load_entries(table: &Table, mark: &Mark, positions: &mut Positions) -> Result<Tag, OpenError> {
    let mut chain = Chain { next: mark.floor.map_or(0, |floor| floor.id.index + 1), tag: None };
    chain.tag = match mark.floor {
        Some(floor) => floor.tag,
        None => Some(Tag::default()),
    };
    for stored in table.entries(chain.next) {
        let followed = stored.map_err(Misplaced::from).and_then(|stored| chain.follow(&stored));
        let (entry, tag, size) = match followed {
            Ok(followed) => followed,
            Err(why @ Misplaced::Broken(Broken::Sled(_))) => return Err(damaged(table, why)),
            Err(why) if mark.last.is_some_and(|last| chain.next <= last.id.index) => {
                return Err(damaged(table, why));
            }
            Err(why) => {
                let file = table.path().display();
                tracing::warn!(%file, %why, "entries that nobody acknowledged are cut off");
                let mut batch = Batch::default();
                table.drop_entries(&mut batch, chain.next..u64::MAX, usize::MAX)?;
                table.commit(batch)?;
                break;
            }
        };
        let id = entry.log_id;
        if mark
            .last
            .is_some_and(|last| last.id.index == id.index && last != Anchor { id, tag: Some(tag) })
        {
            return Err(damaged(table, format!("entry {} is not the acknowledged one", id.index)));
        }
        positions.push(entry);
        positions.durable(size);
    }
    Ok(chain.tag.unwrap_or_default())
}

/// Follows the entries from one to the next.
struct Chain {
    next: u64,
    /// Tag of the entry before; `None` right after a snapshot that came from elsewhere.
    tag: Option<Tag>,
}

impl Chain {
    fn follow(&mut self, stored: &Stored) -> Result<(LogEntry, Tag, u32), Misplaced> {
        let index = stored.index;
        if index != self.next {
            return Err(Misplaced::Hole { from: self.next, to: index });
        }
        let (entry, after) = decode_entry(&stored.clear)?;
        if entry.log_id.index != index || self.tag.is_some_and(|tag| tag != after) {
            return Err(Misplaced::Chain { index });
        }
        self.next += 1;
        self.tag = Some(stored.tag);
        Ok((entry, stored.tag, stored.size))
    }
}

#[derive(Debug, thiserror::Error)]
enum Misplaced {
    #[error("entries {from} to {to} are missing", to = to - 1)]
    Hole { from: u64, to: u64 },
    #[error("entry {index} does not follow the one before it")]
    Chain { index: u64 },
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

fn vote(table: &Table, mark: &Mark) -> Result<Option<Vote>, OpenError> {
    let stored = table.fact(Fact::Vote)?;
    let stored = stored.map(|bytes| VoteRecord::decode(&*bytes).map(Vote::from)).transpose();
    let stored = stored.map_err(|error| damaged(table, error))?;
    if stored < mark.vote {
        return Err(damaged(table, "the vote it holds is older than the last one given"));
    }
    Ok(stored)
}

fn committed(table: &Table) -> Result<Option<LogId>, OpenError> {
    let stored = table.fact(Fact::Committed)?;
    let stored = stored.map(|bytes| PositionRecord::decode(&*bytes).map(LogId::from)).transpose();
    stored.map_err(|error| damaged(table, error))
}

fn damaged(table: &Table, why: impl ToString) -> OpenError {
    OpenError::damaged(table.path(), why)
}

fn shown(id: Option<LogId>) -> String {
    id.map_or_else(
        || "nothing".into(),
        |id| format!("entry {} of term {}", id.index, id.leader_id.term),
    )
}

/// Removes a store that was never completed. Refuses to touch any other.
pub(crate) fn clear_unfinished(founding: &Founding) -> Result<(), OpenError> {
    let path = founding.mark();
    if !path.exists() {
        return match without_mark(founding) {
            OpenError::Absent { .. } => Ok(()),
            damage => Err(damage),
        };
    }
    let mark = MarkFile::open(&path, founding.disk.clone(), founding.sealer.clone())?;
    if mark.get().complete {
        return Err(OpenError::Exists { dir: founding.dir.clone() });
    }
    for part in [founding.tree(), founding.snapshots()] {
        remove_dir(&part)?;
    }
    founding.disk.sync_dir(&founding.dir).map_err(OpenError::io("sync", &founding.dir))?;
    // Last, so that an interruption leaves it to be found again.
    founding.disk.remove(&path).map_err(OpenError::io("remove", &path))
}

fn remove_dir(dir: &Path) -> Result<(), OpenError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(OpenError::io("remove", dir)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;

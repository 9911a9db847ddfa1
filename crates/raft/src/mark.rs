//! The durable mark beside the log: what the log must at least hold.
//!
//! sled drops a damaged tail and opens as if it had never been. So every acknowledgement is
//! noted here first, and a log that falls short of the mark is refused.
//!
//! The file has four cells of 2 KiB. An update writes its content twice, into both cells of the
//! older half, then syncs; the other half stays. A torn write spoils at most what was not yet
//! acknowledged, a flipped bit spoils one cell of two. The valid cell with the highest number
//! counts. A file that is cut or has no valid cell is refused.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use prost::Message;
use swarm_crypto::seal::Sealer;

use crate::disk::Disk;
use crate::error::{OpenError, StopReason};
use crate::record::{Malformed, MemberRecord, PositionRecord, SnapshotId, Tag, VoteRecord};
use crate::type_config::{LogId, Member, MemberId, Vote};

const MAGIC: &[u8; 8] = b"SWRMMARK";
/// Format of this file and of everything beside it.
pub(crate) const FORMAT: u32 = 1;
const CELL: usize = 2048;
const HALF: usize = 2 * CELL;
const FILE_LEN: usize = 2 * HALF;
/// Magic, format, key id, number, length.
const HEAD: usize = 8 + 4 + 4 + 8 + 4;
const MAC: usize = 32;

/// The epoch of a cluster that was founded and never forced anew.
pub(crate) const FIRST_EPOCH: u64 = 1;

/// What the store has promised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mark {
    /// Random id of the store, made with it; part of every seal.
    pub(crate) store: [u8; 16],
    /// This member's raft id.
    pub(crate) member: MemberId,
    /// The vote given last.
    pub(crate) vote: Option<Vote>,
    /// The log reaches at least to here.
    pub(crate) last: Option<Anchor>,
    /// Entries up to here were dropped; the snapshot holds them.
    pub(crate) floor: Option<Anchor>,
    /// The snapshot in use.
    pub(crate) snapshot: Option<SnapshotRef>,
    /// Whether founding or joining was completed.
    pub(crate) complete: bool,
    /// Grows with every forced new cluster; members of another epoch are strangers.
    pub(crate) epoch: u64,
    /// Decided and not done yet: the cluster is to have this one member.
    pub(crate) alone: Option<Member>,
}

/// An entry and the tag that stands for it and all before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Anchor {
    pub(crate) id: LogId,
    /// `None` for an entry that came in a snapshot.
    pub(crate) tag: Option<Tag>,
}

/// A snapshot and how far it reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SnapshotRef {
    pub(crate) id: SnapshotId,
    pub(crate) last: LogId,
}

#[derive(Clone, PartialEq, Message)]
struct AnchorRecord {
    #[prost(message, required, tag = "1")]
    id: PositionRecord,
    #[prost(bytes = "vec", optional, tag = "2")]
    tag: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct SnapshotRefRecord {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(message, required, tag = "2")]
    last: PositionRecord,
}

#[derive(Clone, PartialEq, Message)]
struct MarkRecord {
    #[prost(bytes = "vec", tag = "1")]
    store: Vec<u8>,
    #[prost(uint64, tag = "2")]
    member: u64,
    #[prost(message, optional, tag = "3")]
    vote: Option<VoteRecord>,
    #[prost(message, optional, tag = "4")]
    last: Option<AnchorRecord>,
    #[prost(message, optional, tag = "5")]
    floor: Option<AnchorRecord>,
    #[prost(message, optional, tag = "6")]
    snapshot: Option<SnapshotRefRecord>,
    #[prost(bool, tag = "7")]
    complete: bool,
    /// 0 stands for the first.
    #[prost(uint64, tag = "8")]
    epoch: u64,
    #[prost(message, optional, tag = "9")]
    alone: Option<MemberRecord>,
}

impl From<&Mark> for MarkRecord {
    fn from(mark: &Mark) -> Self {
        let anchor = |anchor: Anchor| AnchorRecord {
            id: anchor.id.into(),
            tag: anchor.tag.map(|tag| tag.to_vec()),
        };
        let snapshot =
            |it: SnapshotRef| SnapshotRefRecord { id: it.id.to_vec(), last: it.last.into() };
        Self {
            store: mark.store.to_vec(),
            member: mark.member,
            vote: mark.vote.map(Into::into),
            last: mark.last.map(anchor),
            floor: mark.floor.map(anchor),
            snapshot: mark.snapshot.map(snapshot),
            complete: mark.complete,
            epoch: if mark.epoch == FIRST_EPOCH { 0 } else { mark.epoch },
            alone: mark.alone.as_ref().map(|alone| (mark.member, alone).into()),
        }
    }
}

impl TryFrom<MarkRecord> for Mark {
    type Error = &'static str;

    fn try_from(record: MarkRecord) -> Result<Self, Self::Error> {
        let anchor = |it: AnchorRecord| {
            let tag = it.tag.map(|tag| Tag::try_from(tag).map_err(|_| "a tag has 16 bytes"));
            Ok::<_, &str>(Anchor { id: it.id.into(), tag: tag.transpose()? })
        };
        let snapshot = |it: SnapshotRefRecord| {
            let id = it.id.try_into().map_err(|_| "a snapshot id has 16 bytes")?;
            Ok::<_, &str>(SnapshotRef { id, last: it.last.into() })
        };
        let alone = record.alone.map(|alone| {
            let known: (MemberId, Member) =
                alone.try_into().map_err(|_| "the only member has no node")?;
            Ok::<_, &str>(known.1)
        });
        Ok(Self {
            store: record.store.try_into().map_err(|_| "a store id has 16 bytes")?,
            member: record.member,
            vote: record.vote.map(Into::into),
            last: record.last.map(anchor).transpose()?,
            floor: record.floor.map(anchor).transpose()?,
            snapshot: record.snapshot.map(snapshot).transpose()?,
            complete: record.complete,
            epoch: record.epoch.max(FIRST_EPOCH),
            alone: alone.transpose()?,
        })
    }
}

/// The open file and its content.
#[derive(Debug)]
pub(crate) struct MarkFile {
    file: File,
    path: PathBuf,
    disk: Disk,
    sealer: Sealer,
    number: u64,
    mark: Mark,
}

impl MarkFile {
    /// Makes the file, whole or not at all; durable when this returns.
    pub(crate) fn create(
        path: &Path,
        disk: Disk,
        sealer: Sealer,
        mark: Mark,
    ) -> Result<Self, OpenError> {
        let wrong = || OpenError::io("create", path);
        let temporary = path.with_extension("new");
        if temporary.exists() {
            disk.remove(&temporary).map_err(wrong())?;
        }
        let file = disk.create(&temporary).map_err(wrong())?;
        disk.write_at(&file, &temporary, &[0; FILE_LEN], 0).map_err(wrong())?;
        let mut this = Self { file, path: temporary.clone(), disk, sealer, number: 0, mark };
        this.write()?;
        this.disk.sync_all(&this.file, &temporary).map_err(wrong())?;
        this.disk.rename(&temporary, path).map_err(wrong())?;
        Ok(Self { path: path.into(), ..this })
    }

    /// Reads the file and chooses the newest valid cell.
    pub(crate) fn open(path: &Path, disk: Disk, sealer: Sealer) -> Result<Self, OpenError> {
        let bytes = fs::read(path).map_err(OpenError::io("read", path))?;
        if bytes.len() != FILE_LEN {
            let why = format!("it has {} bytes instead of {FILE_LEN}", bytes.len());
            return Err(OpenError::damaged(path, why));
        }
        let cells: Vec<_> = bytes.chunks(CELL).map(|cell| parse(cell, &sealer)).collect();
        for broken in cells.iter().filter_map(|cell| cell.as_ref().err()) {
            tracing::warn!(file = %path.display(), why = %broken, "a cell of the mark is spoilt");
        }
        let newest = cells.iter().flatten().flatten().max_by_key(|(number, _)| *number);
        let Some((number, mark)) = newest.cloned() else {
            return Err(refusal(path, cells.into_iter().filter_map(Result::err).collect()));
        };
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(OpenError::io("open", path))?;
        // A process that was killed may have left it written and not synced. Until it is, the
        // other half may not be overwritten, nor anything be done because of what it says.
        disk.sync_data(&file, path).map_err(OpenError::io("sync", path))?;
        Ok(Self { file, path: path.into(), disk, sealer, number, mark })
    }

    pub(crate) fn get(&self) -> &Mark {
        &self.mark
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Changes the mark; durable when this returns.
    pub(crate) fn update(&mut self, change: impl FnOnce(&mut Mark)) -> Result<(), StopReason> {
        change(&mut self.mark);
        self.write()
    }

    fn write(&mut self) -> Result<(), StopReason> {
        self.number += 1;
        let cell = render(self.number, &self.mark, &self.sealer);
        let offset = if self.number.is_multiple_of(2) { 0 } else { HALF as u64 };
        let wrong = || StopReason::disk("write", &self.path);
        let half = [cell.as_slice(), cell.as_slice()].concat();
        self.disk.write_at(&self.file, &self.path, &half, offset).map_err(wrong())?;
        self.disk.sync_data(&self.file, &self.path).map_err(wrong())
    }
}

fn render(number: u64, mark: &Mark, sealer: &Sealer) -> Vec<u8> {
    let body = MarkRecord::from(mark).encode_to_vec();
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut cell = Vec::with_capacity(CELL);
    cell.extend_from_slice(MAGIC);
    cell.extend_from_slice(&FORMAT.to_be_bytes());
    cell.extend_from_slice(&sealer.key_id().to_be_bytes());
    cell.extend_from_slice(&number.to_be_bytes());
    cell.extend_from_slice(&len.to_be_bytes());
    cell.extend_from_slice(&body);
    cell.extend_from_slice(&sealer.mac(&cell));
    cell.resize(CELL, 0);
    cell
}

/// Why a cell does not count.
#[derive(Debug, thiserror::Error)]
enum Spoilt {
    #[error("its format is {0}")]
    Newer(u32),
    #[error("its seal does not match: it is damaged, or the key is another one")]
    Seal,
    #[error("it does not begin like a mark")]
    Foreign,
    #[error(transparent)]
    Record(#[from] Malformed),
    #[error("{0}")]
    Value(&'static str),
}

/// The number and content of a cell; `None` for one never written.
fn parse(cell: &[u8], sealer: &Sealer) -> Result<Option<(u64, Mark)>, Spoilt> {
    if cell.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    if !cell.starts_with(MAGIC) {
        return Err(Spoilt::Foreign);
    }
    let word = |at: usize| cell.get(at..at + 4).and_then(|it| it.try_into().ok());
    let word = |at: usize| word(at).map_or(0, u32::from_be_bytes);
    if word(8) != FORMAT {
        return Err(Spoilt::Newer(word(8)));
    }
    let number = u64::from(word(16)) << 32 | u64::from(word(20));
    let end = HEAD + usize::try_from(word(24)).map_err(|_| Spoilt::Seal)?;
    if end + MAC > cell.len() || !sealer.mac_matches(&cell[..end], &cell[end..end + MAC]) {
        return Err(Spoilt::Seal);
    }
    let record = MarkRecord::decode(&cell[HEAD..end]).map_err(Malformed::from)?;
    Ok(Some((number, Mark::try_from(record).map_err(Spoilt::Value)?)))
}

fn refusal(path: &Path, spoilt: Vec<Spoilt>) -> OpenError {
    let newer = spoilt.iter().find_map(|cell| match cell {
        Spoilt::Newer(found) if *found > FORMAT => Some(*found),
        _ => None,
    });
    match newer {
        // One flipped bit does not make every cell newer.
        Some(found) if spoilt.iter().all(|cell| matches!(cell, Spoilt::Newer(_))) => {
            OpenError::Newer { file: path.into(), found, known: FORMAT }
        }
        _ => match spoilt.first() {
            Some(why) => OpenError::damaged(path, why),
            None => OpenError::damaged(path, "it is empty"),
        },
    }
}

#[cfg(test)]
mod tests;

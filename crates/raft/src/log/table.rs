//! The sled tree that holds the entries, and how a batch of changes to it becomes durable.
//!
//! One tree. `a/` keys hold what the store knows about itself, `e` + index + chunk (big-endian)
//! the entries. Each value is sealed for its place.
//!
//! sled keeps up to some twenty values in a leaf and writes a leaf of more than 128 KiB to a
//! file of its own that it never syncs. So chunks are small enough that no leaf grows to that.
//! After sled's flush, which syncs neither the drive's cache nor the size of the file, the file
//! is synced here through a second handle.

use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use sled::Batch;
use swarm_crypto::seal::{Kind, Place, Sealer};

use crate::disk::{Disk, Step, parent};
use crate::error::{OpenError, StopReason};
use crate::record::{Tag, encode_entry};
use crate::type_config::{LogEntry, LogId};

/// Clear bytes in a chunk: twenty sealed chunks stay under 128 KiB.
pub(crate) const CHUNK: usize = 6000;
/// Term and number of chunks, in clear before the sealed part; the seal covers them too.
const HEAD: usize = 8 + 4;
const ENTRY: u8 = b'e';

/// What the store keeps about itself, one value each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fact {
    /// The vote given last.
    Vote,
    /// How far entries were known to be committed.
    Committed,
}

impl Fact {
    fn key(self) -> &'static [u8] {
        match self {
            Self::Vote => b"a/vote",
            Self::Committed => b"a/committed",
        }
    }

    fn place(self, store: [u8; 16]) -> Place {
        let (kind, index) = match self {
            Self::Vote => (Kind::Vote, 0),
            Self::Committed => (Kind::Meta, 1),
        };
        Place { store, kind, index, term: 0, chunk: 0, chunks: 1 }
    }
}

/// The open tree.
pub(crate) struct Table {
    db: sled::Db,
    file: File,
    path: PathBuf,
    disk: Disk,
    pub(crate) seal: Seal,
}

/// Key and store id: what a value is sealed with.
#[derive(Clone, Debug)]
pub(crate) struct Seal {
    pub(crate) sealer: Sealer,
    pub(crate) store: [u8; 16],
}

impl Table {
    /// Opens the tree, or makes it.
    ///
    /// sled may panic on a damaged file: the caller guards against that.
    pub(crate) fn open(dir: &Path, disk: Disk, seal: Seal) -> Result<Self, OpenError> {
        let path = dir.join("db");
        let config = sled::Config::new().path(dir).cache_capacity(8 << 20);
        // Its garbage collection lives in the periodic flusher.
        let config = config.flush_every_ms(Some(1000));
        let db = config.open().map_err(|error| unopened(&path, error))?;
        let file = File::open(&path).map_err(OpenError::io("open", &path))?;
        Ok(Self { db, file, path, disk, seal })
    }

    /// Makes the files of a new tree durable with their names.
    pub(crate) fn settle(&self) -> Result<(), OpenError> {
        let dir = parent(&self.path);
        let conf = dir.join("conf");
        let wrong = || OpenError::io("sync", &conf);
        let file = File::open(&conf).map_err(wrong())?;
        self.disk.sync_all(&file, &conf).map_err(wrong())?;
        self.flush()?;
        for dir in [dir, parent(dir)] {
            self.disk.sync_dir(dir).map_err(OpenError::io("sync", dir))?;
        }
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn fact(&self, fact: Fact) -> Result<Option<Vec<u8>>, OpenError> {
        let value = self.db.get(fact.key());
        let Some(value) = value.map_err(|error| OpenError::damaged(&self.path, error))? else {
            return Ok(None);
        };
        let clear = self.seal.sealer.open(&fact.place(self.seal.store), &value);
        clear.map(Some).map_err(|error| OpenError::damaged(&self.path, error))
    }

    pub(crate) fn put_fact(&self, batch: &mut Batch, fact: Fact, clear: &[u8]) {
        let sealed = self.seal.sealer.seal(&fact.place(self.seal.store), clear);
        batch.insert(fact.key(), sealed);
    }

    /// Adds an entry to the batch. Returns its tag and how many bytes it takes.
    pub(crate) fn put_entry(&self, batch: &mut Batch, entry: &LogEntry, after: &Tag) -> (Tag, u32) {
        let clear = encode_entry(entry, after);
        let count = clear.len().div_ceil(CHUNK).max(1);
        let chunks = u32::try_from(count).unwrap_or(u32::MAX);
        let (mut tag, mut size) = (Tag::default(), 0);
        for (chunk, clear) in (0..chunks).zip(clear.chunks(CHUNK)) {
            let place = self.seal.place(entry.log_id, chunk, chunks);
            let sealed = self.seal.sealer.seal(&place, clear);
            fold(&mut tag, &sealed);
            let mut value = Vec::with_capacity(HEAD + sealed.len());
            value.extend_from_slice(&place.term.to_be_bytes());
            value.extend_from_slice(&chunks.to_be_bytes());
            value.extend_from_slice(&sealed);
            size += value.len();
            batch.insert(key(place.index, chunk), value);
        }
        (tag, u32::try_from(size).unwrap_or(u32::MAX))
    }

    /// Adds the removal of the entries in the range of indexes to the batch, `limit` values at
    /// most. Returns how many it added.
    pub(crate) fn drop_entries(
        &self,
        batch: &mut Batch,
        range: Range<u64>,
        limit: usize,
    ) -> Result<usize, StopReason> {
        let mut dropped = 0;
        let found = self.db.range(key(range.start, 0)..key(range.end, 0)).keys();
        for found in found.take(limit) {
            batch.remove(found.map_err(StopReason::disk("read", &self.path))?);
            dropped += 1;
        }
        Ok(dropped)
    }

    /// Carries out the batch; durable when this returns.
    pub(crate) fn commit(&self, batch: Batch) -> Result<(), StopReason> {
        self.announce(Step::Write)?;
        self.db.apply_batch(batch).map_err(StopReason::disk("write", &self.path))?;
        self.flush()
    }

    /// Carries out the batch some time soon; only for what may be lost, like dropped entries.
    pub(crate) fn relax(&self, batch: Batch) -> Result<(), StopReason> {
        self.announce(Step::Remove)?;
        self.db.apply_batch(batch).map_err(StopReason::disk("write", &self.path))
    }

    fn flush(&self) -> Result<(), StopReason> {
        self.db.flush().map_err(StopReason::disk("flush", &self.path))?;
        let synced = self.disk.sync_data(&self.file, &self.path);
        synced.map_err(StopReason::disk("sync", &self.path))
    }

    fn announce(&self, step: Step) -> Result<(), StopReason> {
        self.disk.announce(step, &self.path).map_err(StopReason::disk("write", &self.path))
    }

    /// Every entry from `from` on, in order, opened and checked.
    pub(crate) fn entries(&self, from: u64) -> Entries<'_> {
        Entries { rows: self.db.range(key(from, 0)..vec![ENTRY + 1]), seal: &self.seal }
    }
}

/// A full disk, or another process that holds the file, is no damage.
fn unopened(path: &Path, error: sled::Error) -> OpenError {
    match error {
        sled::Error::Io(error)
            if !matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) =>
        {
            OpenError::io("open", path)(error)
        }
        error => OpenError::damaged(path, error),
    }
}

impl Seal {
    fn place(&self, id: LogId, chunk: u32, chunks: u32) -> Place {
        let (kind, term) = (Kind::LogEntry, id.leader_id.term);
        Place { store: self.store, kind, index: id.index, term, chunk, chunks }
    }
}

/// An entry as bytes, opened, with its tag and how many bytes it takes in the tree.
pub(crate) struct Stored {
    pub(crate) index: u64,
    pub(crate) clear: Vec<u8>,
    pub(crate) tag: Tag,
    pub(crate) size: u32,
}

/// Why the entries of the tree end early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error(transparent)]
    Sled(#[from] sled::Error),
    #[error("entry {index}: {source}")]
    Seal { index: u64, source: swarm_crypto::seal::OpenError },
    #[error("entry {index} lacks a part")]
    Part { index: u64 },
    #[error("it holds a foreign key")]
    Key,
}

pub(crate) struct Entries<'table> {
    rows: sled::Iter,
    seal: &'table Seal,
}

impl Entries<'_> {
    fn row(&mut self) -> Result<Option<Row>, Broken> {
        let Some((found, value)) = self.rows.next().transpose()? else { return Ok(None) };
        let (index, chunk) = parse_key(&found).ok_or(Broken::Key)?;
        let (term, rest) = value.split_first_chunk().ok_or(Broken::Part { index })?;
        let (chunks, sealed) = rest.split_first_chunk().ok_or(Broken::Part { index })?;
        let (term, chunks) = (u64::from_be_bytes(*term), u32::from_be_bytes(*chunks));
        Ok(Some(Row { index, chunk, term, chunks, sealed: sealed.to_vec() }))
    }

    fn entry(&mut self) -> Result<Option<Stored>, Broken> {
        let Some(first) = self.row()? else { return Ok(None) };
        let Row { index, term, chunks, .. } = first;
        let mut stored = Stored { index, clear: Vec::new(), tag: Tag::default(), size: 0 };
        let mut next = Some(first);
        for chunk in 0..chunks {
            let row = match next.take() {
                Some(row) => row,
                None => self.row()?.ok_or(Broken::Part { index })?,
            };
            if (row.index, row.chunk, row.term, row.chunks) != (index, chunk, term, chunks) {
                return Err(Broken::Part { index });
            }
            let place =
                Place { store: self.seal.store, kind: Kind::LogEntry, index, term, chunk, chunks };
            let clear = self.seal.sealer.open(&place, &row.sealed);
            stored.clear.extend(clear.map_err(|source| Broken::Seal { index, source })?);
            fold(&mut stored.tag, &row.sealed);
            stored.size += u32::try_from(HEAD + row.sealed.len()).unwrap_or(u32::MAX);
        }
        if chunks == 0 { Err(Broken::Part { index }) } else { Ok(Some(stored)) }
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Stored, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entry().transpose()
    }
}

struct Row {
    index: u64,
    chunk: u32,
    term: u64,
    chunks: u32,
    sealed: Vec<u8>,
}

/// Folds the seal of a chunk, its last bytes, into the tag of the entry.
fn fold(tag: &mut Tag, sealed: &[u8]) {
    let seal = sealed.len().saturating_sub(tag.len());
    // A turn makes the order of the chunks count.
    tag.rotate_left(1);
    tag.iter_mut().zip(&sealed[seal..]).for_each(|(to, byte)| *to ^= byte);
}

fn key(index: u64, chunk: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(13);
    key.push(ENTRY);
    key.extend_from_slice(&index.to_be_bytes());
    key.extend_from_slice(&chunk.to_be_bytes());
    key
}

fn parse_key(key: &[u8]) -> Option<(u64, u32)> {
    let (head, rest) = key.split_first_chunk::<1>()?;
    let (index, rest) = rest.split_first_chunk()?;
    let chunk = rest.try_into().ok()?;
    (head == &[ENTRY]).then(|| (u64::from_be_bytes(*index), u32::from_be_bytes(chunk)))
}

//! The format of a snapshot file.
//!
//! Eight bytes of magic and format, then chunks: length (4 bytes, big-endian) and that many
//! sealed bytes. Chunk 0 holds the description, the following ones about 1 MiB of records each,
//! cut between records; the last is empty. Only the last states how many chunks there are, the
//! others state `MORE`: a file that is cut has no last chunk, and chunks can neither change
//! places nor come from another snapshot, whose store id differs by the snapshot's.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use prost::Message;
use swarm_crypto::seal::{Kind, Place};
use swarm_proto::records::{RecordDecoder, RecordEncoder};
use swarm_state::{RestoreError, Snapshot, State};
use swarm_types::Record;
use tokio_util::sync::CancellationToken;

use crate::disk::Disk;
use crate::log::Seal;
use crate::record::{Malformed, SnapshotId, SnapshotMetaRecord, snapshot_id};
use crate::type_config::SnapshotMeta;

const MAGIC: [u8; 8] = *b"SWRMSNP\x01";
/// Clear bytes after which a chunk ends at the next record.
const CHUNK: usize = 1 << 20;
/// Sealed bytes a chunk cannot exceed: its clear bytes and the largest record.
pub(super) const CHUNK_LIMIT: usize = 64 << 20;
/// Stands for the number of chunks in all but the last.
const MORE: u32 = u32::MAX;

/// A snapshot file somebody reads; it stays readable after it was replaced.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotFile {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<File>,
    /// What is in it, once, when it was read already.
    pub(crate) state: Restored,
}

/// The state a file was found to hold, for the one who takes it over.
#[derive(Clone, Default)]
pub(crate) struct Restored(Arc<Mutex<Option<State>>>);

impl Restored {
    pub(super) fn put(&self, state: State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }

    pub(super) fn take(&self) -> Option<State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl std::fmt::Debug for Restored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Restored")
    }
}

/// Why a snapshot file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it does not begin like a snapshot of a known format")]
    Foreign,
    #[error("chunk {chunk}: {source}")]
    Seal { chunk: u32, source: swarm_crypto::seal::OpenError },
    #[error("it is another snapshot than the one in use")]
    Other,
    #[error("something follows its end")]
    Trailing,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("a record cannot be decoded: {0}")]
    Record(#[from] swarm_proto::DecodeError),
    #[error(transparent)]
    Restore(#[from] RestoreError),
}

/// Whose place a chunk has.
#[derive(Clone, Copy)]
struct Spot {
    store: [u8; 16],
    index: u64,
    term: u64,
}

impl Spot {
    fn new(seal: &Seal, id: &SnapshotId, meta: &SnapshotMeta) -> Self {
        let mut store = seal.store;
        store.iter_mut().zip(id).for_each(|(byte, id)| *byte ^= id);
        let (index, term) = meta.last_log_id.map_or((0, 0), |id| (id.index, id.leader_id.term));
        Self { store, index, term }
    }

    fn place(&self, chunk: u32, chunks: u32) -> Place {
        let Self { store, index, term } = *self;
        Place { store, kind: Kind::Snapshot, index, term, chunk, chunks }
    }
}

/// Writes a snapshot to `path`; its content is durable when this returns, its name is not.
/// Fails between two chunks once the store is `closing`.
///
/// Returns how many bytes it has.
pub(super) fn write(
    path: &Path,
    disk: &Disk,
    seal: &Seal,
    meta: &SnapshotMeta,
    state: &Snapshot,
    closing: &CancellationToken,
) -> io::Result<u64> {
    let mut out = Out::create(path, disk, seal, meta)?;
    let mut encoder = RecordEncoder::new();
    let mut clear = Vec::with_capacity(CHUNK + CHUNK / 8);
    for record in state.records() {
        encoder.push(&record, &mut clear);
        if clear.len() >= CHUNK {
            if closing.is_cancelled() {
                return Err(io::Error::other("the store is closed meanwhile"));
            }
            out.put(&clear, MORE)?;
            clear.clear();
        }
    }
    if !clear.is_empty() {
        out.put(&clear, MORE)?;
    }
    out.finish()
}

/// A snapshot file that is being written.
pub(super) struct Out {
    file: File,
    path: PathBuf,
    disk: Disk,
    seal: Seal,
    spot: Spot,
    chunk: u32,
    written: u64,
}

impl Out {
    pub(super) fn create(
        path: &Path,
        disk: &Disk,
        seal: &Seal,
        meta: &SnapshotMeta,
    ) -> io::Result<Self> {
        let id = snapshot_id(&meta.snapshot_id).map_err(io::Error::other)?;
        let file = disk.create(path)?;
        disk.append(&file, path, &MAGIC)?;
        let (path, disk) = (path.to_path_buf(), disk.clone());
        // A file has one key, whatever is rotated meanwhile.
        let seal = Seal { sealer: seal.sealer.as_it_is(), store: seal.store };
        let spot = Spot::new(&seal, &id, meta);
        let mut this = Self { file, path, disk, seal, spot, chunk: 0, written: 8 };
        this.put(&SnapshotMetaRecord::from(meta).encode_to_vec(), MORE)?;
        Ok(this)
    }

    /// Writes one chunk of whole records.
    pub(super) fn chunk(&mut self, clear: &[u8]) -> io::Result<()> {
        self.put(clear, MORE)
    }

    /// Writes the end; durable when this returns. Returns how many bytes the file has.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.put(&[], self.chunk + 1)?;
        self.disk.sync_all(&self.file, &self.path)?;
        Ok(self.written)
    }

    fn put(&mut self, clear: &[u8], chunks: u32) -> io::Result<()> {
        let sealed = self.seal.sealer.seal(&self.spot.place(self.chunk, chunks), clear);
        let len = u32::try_from(sealed.len()).map_err(io::Error::other)?;
        let bytes = [&len.to_be_bytes()[..], &sealed].concat();
        self.disk.append(&self.file, &self.path, &bytes)?;
        self.chunk += 1;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

/// Id of the key that a snapshot is sealed with: it stands at the head of its first chunk.
pub(super) fn key_of(file: &File) -> io::Result<u32> {
    let mut id = [0; 4];
    file.read_exact_at(&mut id, (MAGIC.len() + 4) as u64)?;
    Ok(u32::from_be_bytes(id))
}

/// Reads an open file from its beginning, without moving the place where others read it.
struct Cursor {
    file: Arc<File>,
    at: u64,
}

impl Read for Cursor {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Hands out the clear chunks of a snapshot in use, in order, without its description.
pub(super) fn chunks(
    file: &SnapshotFile,
    seal: &Seal,
    meta: &SnapshotMeta,
    mut each: impl FnMut(Vec<u8>) -> io::Result<()>,
) -> Result<(), ReadError> {
    let id = snapshot_id(&meta.snapshot_id)?;
    let (_, mut chunks) = begin(Cursor { file: file.file.clone(), at: 0 }, seal, &id, meta)?;
    while let Some(clear) = chunks.take()? {
        each(clear)?;
    }
    Ok(())
}

/// Reads and checks a whole snapshot file. `expected` names it and how far it reaches.
pub(super) fn read(
    path: &Path,
    seal: &Seal,
    id: &SnapshotId,
    expected: &SnapshotMeta,
) -> Result<(SnapshotMeta, State), ReadError> {
    let (meta, chunks) = begin(File::open(path)?, seal, id, expected)?;
    let mut failed = None;
    let records = Records { chunks, decoder: RecordDecoder::new(), clear: Vec::new(), at: 0 };
    let records = records.map_while(|record| record.map_err(|error| failed = Some(error)).ok());
    let state = State::restore(records);
    match failed {
        Some(error) => Err(error),
        None => Ok((meta, state?)),
    }
}

/// Reads the description of a snapshot, and leaves the rest to be read.
fn begin<'a, R: Read>(
    input: R,
    seal: &'a Seal,
    id: &SnapshotId,
    expected: &SnapshotMeta,
) -> Result<(SnapshotMeta, In<'a, R>), ReadError> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let mut magic = [0; MAGIC.len()];
    input.read_exact(&mut magic)?;
    if magic != MAGIC {
        return Err(ReadError::Foreign);
    }
    let mut chunks = In { input, seal, spot: Spot::new(seal, id, expected), chunk: 0 };
    let meta = chunks.take()?.ok_or(ReadError::Foreign)?;
    let meta = SnapshotMetaRecord::decode(&*meta).map_err(Malformed::from)?;
    let meta = SnapshotMeta::try_from(meta)?;
    if meta.snapshot_id != expected.snapshot_id || meta.last_log_id != expected.last_log_id {
        return Err(ReadError::Other);
    }
    Ok((meta, chunks))
}

struct In<'a, R> {
    input: BufReader<R>,
    seal: &'a Seal,
    spot: Spot,
    chunk: u32,
}

impl<R: Read> In<'_, R> {
    /// The next chunk in clear; `None` after the last, which nothing may follow.
    fn take(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        let mut len = [0; 4];
        self.input.read_exact(&mut len)?;
        let chunk = self.chunk;
        let damaged = || ReadError::Seal { chunk, source: swarm_crypto::seal::OpenError::Damaged };
        let len = usize::try_from(u32::from_be_bytes(len)).map_err(|_| damaged())?;
        if len > CHUNK_LIMIT {
            return Err(damaged());
        }
        let mut sealed = vec![0; len];
        self.input.read_exact(&mut sealed)?;
        self.chunk += 1;
        if let Ok(clear) = self.seal.sealer.open(&self.spot.place(chunk, MORE), &sealed) {
            return Ok(Some(clear));
        }
        let last = self.seal.sealer.open(&self.spot.place(chunk, chunk + 1), &sealed);
        last.map_err(|source| ReadError::Seal { chunk, source })?;
        if self.input.read(&mut [0])? == 0 { Ok(None) } else { Err(ReadError::Trailing) }
    }
}

/// The records of all chunks, one after the other.
struct Records<'a, R> {
    chunks: In<'a, R>,
    decoder: RecordDecoder,
    clear: Vec<u8>,
    at: usize,
}

impl<R: Read> Records<'_, R> {
    fn record(&mut self) -> Result<Option<Record>, ReadError> {
        loop {
            let mut rest = &self.clear[self.at..];
            let record = self.decoder.next(&mut rest)?;
            self.at = self.clear.len() - rest.len();
            if record.is_some() {
                return Ok(record);
            }
            match self.chunks.take()? {
                Some(clear) => (self.clear, self.at) = (clear, 0),
                None => return Ok(None),
            }
        }
    }
}

impl<R: Read> Iterator for Records<'_, R> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.record().transpose()
    }
}

//! Sending a snapshot to a member, and taking one that is sent.
//!
//! The sender opens one chunk after the other and sends it in pieces; the receiver seals it for
//! its own store and appends it to a file. Neither holds more than a chunk. The digest covers
//! what the snapshot is and the clear bytes of all chunks, so that parts of two are no snapshot. A
//! file that came whole is read once, synced and given its name before raft hears of it: what
//! raft does then, and what the log drops, is about a snapshot that is there.
//!
//! What came whole of a snapshot whose sender was cut off is kept, of one at most, until the
//! sender goes on from there, another snapshot comes or the store is closed: on a bad line a
//! large one would else never arrive.

use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

use prost::Message;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::file::{self, CHUNK_LIMIT, Out, Restored, SnapshotFile};
use super::{Part, Snapshots};
use crate::error::StopReason;
use crate::mark::SnapshotRef;
use crate::record::{SnapshotMetaRecord, hex, snapshot_id};
use crate::type_config::{SnapshotMeta, Vote};

/// Bytes in a piece.
const PIECE: usize = 128 << 10;

/// Why a snapshot that was sent is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IntakeError {
    /// The sender's fault; it may send again.
    #[error("{0}")]
    Sent(String),
    /// The disk failed.
    #[error(transparent)]
    Stopped(#[from] StopReason),
}

impl IntakeError {
    fn sent(why: impl ToString) -> Self {
        Self::Sent(why.to_string())
    }
}

impl Snapshots {
    /// Sends a snapshot in parts, without its first `skipped` chunks, until nobody takes them any
    /// more. An error means that the file cannot be read.
    pub(crate) async fn send(
        &self,
        vote: Vote,
        meta: SnapshotMeta,
        file: SnapshotFile,
        skipped: u32,
        to: mpsc::Sender<Part>,
    ) -> Result<(), StopReason> {
        let (sending, seal, path) = (self.sending(), self.parts().1.clone(), file.path.clone());
        let read = self.aside(move || {
            let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
            let _sending = sending;
            let mut digest = begin_digest(&meta);
            to.blocking_send(Part::Head(vote, meta.clone(), skipped)).map_err(gone)?;
            let mut left = skipped;
            file::chunks(&file, &seal, &meta, |clear| {
                digest.update(&clear);
                if left > 0 {
                    left -= 1;
                    return Ok(());
                }
                let mut pieces = clear.chunks(PIECE).peekable();
                while let Some(piece) = pieces.next() {
                    let ends = pieces.peek().is_none();
                    to.blocking_send(Part::Piece(piece.to_vec(), ends)).map_err(gone)?;
                }
                Ok(())
            })?;
            to.blocking_send(Part::End(digest.finalize().into())).map_err(gone)?;
            Ok::<_, file::ReadError>(())
        });
        match read.await? {
            Err(file::ReadError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            read => read.map_err(StopReason::disk("read", &path)),
        }
    }

    /// Chunks that are here of the snapshot with this id, whose sender was cut off.
    pub(crate) fn held(&self, id: &str) -> u32 {
        let kept = self.kept();
        kept.as_ref().filter(|kept| kept.meta.snapshot_id == id).map_or(0, |kept| kept.chunks)
    }

    /// Begins to take a snapshot, or goes on after the chunks that are here.
    pub(crate) async fn take(
        &self,
        meta: SnapshotMeta,
        skipped: u32,
    ) -> Result<Intake, IntakeError> {
        snapshot_id(&meta.snapshot_id).map_err(IntakeError::sent)?;
        let goes_on = |kept: &Arrival| {
            skipped > 0 && (&kept.meta, kept.chunks) == (&meta, skipped) && kept.out.is_some()
        };
        if let Some(arrival) = self.kept().take_if(|kept| goes_on(kept)) {
            return Ok(Intake { snapshots: self.clone(), arrival });
        }
        if skipped > 0 {
            return Err(IntakeError::sent("its first chunks are not here"));
        }
        self.forget_kept().await?;
        self.begin(meta).await
    }

    async fn begin(&self, meta: SnapshotMeta) -> Result<Intake, IntakeError> {
        let path = self.temporary(&hex(&rand::random::<[u8; 16]>()));
        let (disk, seal, _) = self.parts();
        let (disk, seal, described, target) =
            (disk.clone(), seal.clone(), meta.clone(), path.clone());
        let out = self.aside(move || Out::create(&target, &disk, &seal, &described)).await?;
        let (clear, digest) = (Vec::new(), begin_digest(&meta));
        let arrival = Arrival { meta, out: None, path: path.clone(), clear, digest, chunks: 0 };
        let mut intake = Intake { snapshots: self.clone(), arrival };
        match out {
            Ok(out) => intake.arrival.out = Some(out),
            Err(error) => {
                // On a full disk the file may be there, and every retry would leave one more.
                intake.close().await?;
                return Err(StopReason::disk("create", &path)(error).into());
            }
        }
        Ok(intake)
    }

    /// Removes what is kept of a snapshot that was cut off.
    pub(super) async fn forget_kept(&self) -> Result<(), StopReason> {
        let kept = self.kept().take();
        match kept {
            Some(kept) if kept.path.exists() => self.remove(&kept.path).await,
            _ => Ok(()),
        }
    }
}

/// What came of a snapshot so far.
pub(super) struct Arrival {
    meta: SnapshotMeta,
    /// Gone after a failure.
    out: Option<Out>,
    path: PathBuf,
    /// Bytes of the chunk that is arriving.
    clear: Vec<u8>,
    /// Of all chunks that came whole, as many as `chunks`.
    digest: Sha256,
    chunks: u32,
}

impl std::fmt::Debug for Arrival {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, chunks, .. } = self;
        f.debug_struct("Arrival")
            .field("path", path)
            .field("chunks", chunks)
            .finish_non_exhaustive()
    }
}

fn begin_digest(meta: &SnapshotMeta) -> Sha256 {
    Sha256::new().chain_update(SnapshotMetaRecord::from(meta).encode_to_vec())
}

/// A snapshot that is arriving. Dropping it leaves a file that the next start removes; `close`
/// removes it at once, `keep` has the sender go on from here.
pub(crate) struct Intake {
    snapshots: Snapshots,
    arrival: Arrival,
}

impl Intake {
    /// Takes the next bytes.
    pub(crate) async fn piece(&mut self, bytes: &[u8], ends: bool) -> Result<(), IntakeError> {
        let arrival = &mut self.arrival;
        if arrival.clear.len() + bytes.len() > CHUNK_LIMIT {
            return Err(IntakeError::sent("a chunk is too large"));
        }
        arrival.clear.extend_from_slice(bytes);
        if !ends {
            return Ok(());
        }
        let clear = mem::take(&mut arrival.clear);
        arrival.digest.update(&clear);
        let Some(mut out) = arrival.out.take() else {
            return Err(IntakeError::sent("a piece after a failure"));
        };
        let written = self.snapshots.aside(move || out.chunk(&clear).map(|()| out)).await?;
        arrival.out = Some(written.map_err(StopReason::disk("write", &arrival.path))?);
        arrival.chunks += 1;
        Ok(())
    }

    /// Everything has come: checks it, makes it durable and gives it its name. The log may from
    /// now on be dropped in favor of it.
    pub(crate) async fn finish(&mut self, digest: [u8; 32]) -> Result<SnapshotFile, IntakeError> {
        let Self { snapshots, arrival } = self;
        let came = <[u8; 32]>::from(arrival.digest.finalize_reset());
        if !arrival.clear.is_empty() || came != digest {
            return Err(IntakeError::sent("what came is not what was sent"));
        }
        let (Some(out), Some(last)) = (arrival.out.take(), arrival.meta.last_log_id) else {
            return Err(IntakeError::sent("the snapshot is of nothing"));
        };
        let meta = arrival.meta.clone();
        let id = snapshot_id(&meta.snapshot_id).map_err(IntakeError::sent)?;
        let (disk, seal, log) = snapshots.parts();
        let (log, disk, seal) = (log.clone(), disk.clone(), seal.clone());
        let (source, to) = (arrival.path.clone(), snapshots.path(&meta));
        let target = to.clone();
        let taken = snapshots.aside(move || {
            out.finish().map_err(StopReason::disk("write", &source))?;
            let read = file::read(&source, &seal, &id, &meta);
            let (_, state) = read.map_err(IntakeError::sent)?;
            let renamed = disk.rename(&source, &target);
            renamed.map_err(StopReason::disk("rename", &target))?;
            let file = std::fs::File::open(&target).map_err(StopReason::disk("open", &target))?;
            Ok::<_, IntakeError>((Arc::new(file), state))
        });
        let (file, state) = taken.await??;
        arrival.path.clone_from(&to);
        log.expect_snapshot(Some(SnapshotRef { id, last }));
        let restored = Restored::default();
        restored.put(state);
        Ok(SnapshotFile { path: to, file, state: restored })
    }

    /// Keeps the chunks that came, for the sender to go on from.
    pub(crate) async fn keep(mut self) -> Result<(), StopReason> {
        if self.arrival.chunks == 0 || self.arrival.out.is_none() {
            return self.close().await;
        }
        self.arrival.clear = Vec::new();
        *self.snapshots.kept() = Some(self.arrival);
        Ok(())
    }

    /// Forgets it, unless it came into use.
    pub(crate) async fn close(self) -> Result<(), StopReason> {
        let Self { snapshots, arrival } = self;
        snapshots.parts().2.expect_snapshot(None);
        let used = snapshots.get().is_some_and(|(_, file)| file.path == arrival.path);
        if used || !arrival.path.exists() { Ok(()) } else { snapshots.remove(&arrival.path).await }
    }
}

//! Sending a snapshot to a member, and taking one that is sent.
//!
//! The sender opens one chunk after the other and sends it in pieces; the receiver seals it for
//! its own store and appends it to a file. Neither holds more than a chunk. The digest covers
//! the clear bytes of all chunks. A file that came whole is read once, synced and given its
//! name before raft hears of it: what raft does then, and what the log drops, is about a
//! snapshot that is there.

use std::io;
use std::mem;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::file::{self, CHUNK_LIMIT, Out, Restored, SnapshotFile};
use super::{Part, Snapshots};
use crate::error::StopReason;
use crate::mark::SnapshotRef;
use crate::record::{hex, snapshot_id};
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
    /// Sends a snapshot in parts, until nobody takes them any more. An error means that the file
    /// cannot be read.
    pub(crate) async fn send(
        &self,
        vote: Vote,
        meta: SnapshotMeta,
        file: SnapshotFile,
        to: mpsc::Sender<Part>,
    ) -> Result<(), StopReason> {
        let (sending, seal, path) = (self.sending(), self.parts().1.clone(), file.path.clone());
        let read = self.aside(move || {
            let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
            let _sending = sending;
            let mut digest = Sha256::new();
            to.blocking_send(Part::Head(vote, meta.clone())).map_err(gone)?;
            file::chunks(&file, &seal, &meta, |clear| {
                digest.update(&clear);
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

    /// Begins to take a snapshot.
    pub(crate) async fn take(&self, meta: SnapshotMeta) -> Result<Intake, IntakeError> {
        snapshot_id(&meta.snapshot_id).map_err(IntakeError::sent)?;
        let path = self.temporary(&hex(&rand::random::<[u8; 16]>()));
        let (disk, seal, _) = self.parts();
        let (disk, seal, described, target) =
            (disk.clone(), seal.clone(), meta.clone(), path.clone());
        let out = self.aside(move || Out::create(&target, &disk, &seal, &described)).await?;
        let (clear, digest) = (Vec::new(), Sha256::new());
        let mut intake =
            Intake { snapshots: self.clone(), meta, out: None, path: path.clone(), clear, digest };
        match out {
            Ok(out) => intake.out = Some(out),
            Err(error) => {
                // On a full disk the file may be there, and every retry would leave one more.
                intake.close().await?;
                return Err(StopReason::disk("create", &path)(error).into());
            }
        }
        Ok(intake)
    }
}

/// A snapshot that is arriving. Dropping it leaves a file that the next start removes; `close`
/// removes it at once.
pub(crate) struct Intake {
    snapshots: Snapshots,
    meta: SnapshotMeta,
    out: Option<Out>,
    path: std::path::PathBuf,
    clear: Vec<u8>,
    digest: Sha256,
}

impl Intake {
    /// Takes the next bytes.
    pub(crate) async fn piece(&mut self, bytes: &[u8], ends: bool) -> Result<(), IntakeError> {
        if self.clear.len() + bytes.len() > CHUNK_LIMIT {
            return Err(IntakeError::sent("a chunk is too large"));
        }
        self.clear.extend_from_slice(bytes);
        if !ends {
            return Ok(());
        }
        let clear = mem::take(&mut self.clear);
        self.digest.update(&clear);
        let Some(mut out) = self.out.take() else {
            return Err(IntakeError::sent("a piece after a failure"));
        };
        let written = self.snapshots.aside(move || out.chunk(&clear).map(|()| out)).await?;
        self.out = Some(written.map_err(StopReason::disk("write", &self.path))?);
        Ok(())
    }

    /// Everything has come: checks it, makes it durable and gives it its name. The log may from
    /// now on be dropped in favor of it.
    pub(crate) async fn finish(&mut self, digest: [u8; 32]) -> Result<SnapshotFile, IntakeError> {
        if !self.clear.is_empty() || <[u8; 32]>::from(self.digest.finalize_reset()) != digest {
            return Err(IntakeError::sent("what came is not what was sent"));
        }
        let (Some(out), Some(last)) = (self.out.take(), self.meta.last_log_id) else {
            return Err(IntakeError::sent("the snapshot is of nothing"));
        };
        let id = snapshot_id(&self.meta.snapshot_id).map_err(IntakeError::sent)?;
        let (disk, seal, log) = self.snapshots.parts();
        let (log, disk, seal, meta) = (log.clone(), disk.clone(), seal.clone(), self.meta.clone());
        let (from, to) = (self.path.clone(), self.snapshots.path(&self.meta));
        let (source, target) = (from.clone(), to.clone());
        let taken = self.snapshots.aside(move || {
            out.finish().map_err(StopReason::disk("write", &source))?;
            let read = file::read(&source, &seal, &id, &meta);
            let (_, state) = read.map_err(IntakeError::sent)?;
            let renamed = disk.rename(&source, &target);
            renamed.map_err(StopReason::disk("rename", &target))?;
            let file = std::fs::File::open(&target).map_err(StopReason::disk("open", &target))?;
            Ok::<_, IntakeError>((Arc::new(file), state))
        });
        let (file, state) = taken.await??;
        self.path.clone_from(&to);
        log.expect_snapshot(Some(SnapshotRef { id, last }));
        let restored = Restored::default();
        restored.put(state);
        Ok(SnapshotFile { path: to, file, state: restored })
    }

    /// Forgets it, unless it came into use.
    pub(crate) async fn close(self) -> Result<(), StopReason> {
        self.snapshots.parts().2.expect_snapshot(None);
        let used = self.snapshots.get().is_some_and(|(_, file)| file.path == self.path);
        if used || !self.path.exists() { Ok(()) } else { self.snapshots.remove(&self.path).await }
    }
}

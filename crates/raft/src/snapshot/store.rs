//! Which snapshot is in use, making the next one, taking over one that was sent.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use swarm_crypto::seal::Sealer;
use swarm_state::{Snapshot, State};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::file::{self, Restored, SnapshotFile};
use super::transfer::Arrival;
use crate::disk::{Disk, Step};
use crate::error::{OpenError, StopReason};
use crate::fault::panic_message;
use crate::log::{Log, Seal};
use crate::mark::SnapshotRef;
use crate::record::{hex, snapshot_id};
use crate::type_config::{LogId, SnapshotMeta};

/// How much lower than the daemon's own threads the one that writes snapshots ranks.
const NICE: i32 = 10;

/// Cheap handle on the snapshots of a store.
#[derive(Clone, Debug)]
pub(crate) struct Snapshots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    disk: Disk,
    seal: Seal,
    log: Log,
    current: Mutex<Option<Current>>,
    sending: Arc<()>,
    /// What came of a snapshot whose sender was cut off.
    kept: Mutex<Option<Arrival>>,
    /// Threads that work on files now.
    threads: TaskTracker,
    closing: CancellationToken,
    /// Told whenever another one comes into use.
    changed: Notify,
}

#[derive(Clone, Debug)]
struct Current {
    meta: SnapshotMeta,
    file: SnapshotFile,
    size: u64,
    /// Id of the key it is sealed with.
    key: u32,
}

impl Snapshots {
    /// Opens the snapshot the mark names, checks it whole and removes what is left over.
    pub(crate) fn open(
        dir: PathBuf,
        disk: Disk,
        seal: Seal,
        log: Log,
        named: Option<SnapshotRef>,
    ) -> Result<(Self, Option<(SnapshotMeta, State)>), OpenError> {
        let (current, sending) = (Mutex::new(None), Arc::new(()));
        let (threads, closing) = (TaskTracker::new(), CancellationToken::new());
        let kept = Mutex::new(None);
        let changed = Notify::new();
        let inner =
            Inner { dir, disk, seal, log, current, sending, kept, threads, closing, changed };
        let this = Self(Arc::new(inner));
        let Some(named) = named else {
            this.sweep(None)?;
            return Ok((this, None));
        };
        let expected = SnapshotMeta {
            last_log_id: Some(named.last),
            snapshot_id: hex(&named.id),
            ..SnapshotMeta::default()
        };
        let path = this.path(&expected);
        if !path.exists() {
            return Err(OpenError::damaged(&path, "it is missing"));
        }
        let read = file::read(&path, &this.0.seal, &named.id, &expected);
        let (meta, state) = read.map_err(|error| OpenError::damaged(&path, error))?;
        let current = this.hold(path.clone(), meta.clone());
        *this.current() = Some(current.map_err(OpenError::io("open", &path))?);
        this.sweep(Some(&path))?;
        Ok((this, Some((meta, state))))
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The snapshot in use.
    pub(crate) fn get(&self) -> Option<(SnapshotMeta, SnapshotFile)> {
        self.current().as_ref().map(|current| (current.meta.clone(), current.file.clone()))
    }

    /// Size of the snapshot in use; 0 without one.
    pub(crate) fn size(&self) -> u64 {
        self.current().as_ref().map_or(0, |current| current.size)
    }

    /// Whether the snapshot in use reaches that far and is sealed with that key.
    pub(crate) fn reaches(&self, last: Option<LogId>, key: u32) -> bool {
        let current = self.current();
        current.as_ref().map_or(last.is_none(), |it| it.meta.last_log_id >= last && it.key == key)
    }

    /// Resolves once another snapshot came into use after this call.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.0.changed.notified()
    }

    /// What the store is sealed with.
    pub(crate) fn sealer(&self) -> &Sealer {
        &self.0.seal.sealer
    }

    /// Has a snapshot that is being written given up; after that no file is touched any more.
    /// What is left over is swept when the store is opened again.
    pub(crate) async fn close(&self) {
        self.0.closing.cancel();
        self.0.threads.close();
        self.0.threads.wait().await;
        self.kept().take();
    }

    /// Writes a snapshot on a thread of its own and puts it into use.
    pub(crate) async fn build(
        &self,
        mut meta: SnapshotMeta,
        state: Snapshot,
    ) -> Result<(SnapshotMeta, SnapshotFile), StopReason> {
        meta.snapshot_id = hex(&rand::random::<[u8; 16]>());
        let temporary = self.temporary(&meta.snapshot_id);
        let (this, target, described) = (self.clone(), temporary.clone(), meta.clone());
        let began = Instant::now();
        self.aside(move || {
            let Inner { disk, seal, closing, .. } = &*this.0;
            file::write(&target, disk, seal, &described, &state, closing).map(drop)
        })
        .await?
        .map_err(StopReason::disk("write", &temporary))?;
        self.0.log.figures().snapshots.observe(began.elapsed().as_secs_f64());
        self.adopt(&temporary, meta).await
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Option<Arrival>> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn parts(&self) -> (&Disk, &Seal, &Log) {
        let Inner { disk, seal, log, .. } = &*self.0;
        (disk, seal, log)
    }

    /// Takes note that a snapshot is being sent, until the note is dropped.
    pub(super) fn sending(&self) -> Arc<()> {
        self.0.sending.clone()
    }

    /// Whether one is being sent: who gets it needs the log that follows.
    pub(crate) fn is_sending(&self) -> bool {
        Arc::strong_count(&self.0.sending) > 1
    }

    /// A new file for a snapshot that is about to be received.
    pub(crate) fn receive(&self) -> Result<SnapshotFile, StopReason> {
        let path = self.temporary(&hex(&rand::random::<[u8; 16]>()));
        let file = self.0.disk.create(&path).map_err(StopReason::disk("create", &path))?;
        Ok(SnapshotFile { path, file: Arc::new(file), state: Restored::default() })
    }

    /// Puts a snapshot that came from elsewhere into use, and checks it whole unless that was
    /// done.
    pub(crate) async fn install(
        &self,
        meta: SnapshotMeta,
        received: SnapshotFile,
    ) -> Result<State, StopReason> {
        let path = received.path.clone();
        if let Some(state) = received.state.take() {
            self.adopt(&path, meta).await?;
            return Ok(state);
        }
        let (this, expected) = (self.clone(), meta.clone());
        let read = self.aside(move || {
            let id = snapshot_id(&expected.snapshot_id)?;
            let read = file::read(&received.path, &this.0.seal, &id, &expected)?;
            this.0.disk.sync_all(&received.file, &received.path)?;
            Ok::<_, file::ReadError>(read)
        });
        let read = read.await?.map_err(StopReason::disk("install", &path))?;
        self.adopt(&path, meta).await?;
        Ok(read.1)
    }

    /// Gives a complete file its name, has the mark name it, and drops the one before.
    async fn adopt(
        &self,
        temporary: &Path,
        meta: SnapshotMeta,
    ) -> Result<(SnapshotMeta, SnapshotFile), StopReason> {
        if let Some(newer) =
            self.get().filter(|(current, _)| current.last_log_id > meta.last_log_id)
        {
            // One that was sent came into use while this one was written.
            self.remove(temporary).await?;
            return Ok(newer);
        }
        let path = self.path(&meta);
        if *temporary != *path {
            let (disk, from, to) = (self.0.disk.clone(), temporary.to_path_buf(), path.clone());
            let renamed = self.aside(move || disk.rename(&from, &to)).await?;
            renamed.map_err(StopReason::disk("rename", &path))?;
        }
        let id = snapshot_id(&meta.snapshot_id).map_err(wrong_id(&path))?;
        if let Some(last) = meta.last_log_id {
            self.0.log.use_snapshot(SnapshotRef { id, last }).await?;
        }
        let current = self.hold(path.clone(), meta).map_err(StopReason::disk("open", &path))?;
        let before = self.current().replace(current.clone());
        self.0.changed.notify_waiters();
        if let Some(before) = before.filter(|before| before.file.path != path) {
            self.remove(&before.file.path).await?;
        }
        self.forget_kept().await?;
        Ok((current.meta, current.file))
    }

    pub(super) async fn remove(&self, path: &Path) -> Result<(), StopReason> {
        let (disk, target) = (self.0.disk.clone(), path.to_path_buf());
        let removed = self.aside(move || disk.remove(&target)).await?;
        removed.map_err(StopReason::disk("remove", path))
    }

    fn hold(&self, path: PathBuf, meta: SnapshotMeta) -> io::Result<Current> {
        let file = Arc::new(File::open(&path)?);
        let (size, key) = (file.metadata()?.len(), file::key_of(&file)?);
        let file = SnapshotFile { path, file, state: Restored::default() };
        Ok(Current { meta, file, size, key })
    }

    /// Runs work that takes long on a thread that yields to all others.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StopReason> {
        // Taken before the look at `closing`: who closes then waits for this thread.
        let working = self.0.threads.token();
        if self.0.closing.is_cancelled() {
            return Err(StopReason::ShutDown);
        }
        let (done, result) = oneshot::channel();
        let body = move || {
            let _working = working;
            if let Err(error) = rustix::process::nice(NICE) {
                tracing::warn!(%error, "snapshots are written at normal priority");
            }
            let worked = catch_unwind(AssertUnwindSafe(work));
            // Nobody waits any more when raft was shut down meanwhile.
            let _ = done.send(worked.map_err(|panic| panic_message(&*panic)));
        };
        let started = thread::Builder::new().name("raft-snapshot".into()).spawn(body);
        started.map_err(StopReason::disk("start a thread for", &self.0.dir))?;
        let gone = |message| StopReason::Panicked { part: "snapshot", message };
        result.await.map_err(|_| gone("the thread is gone".into()))?.map_err(gone)
    }

    pub(super) fn path(&self, meta: &SnapshotMeta) -> PathBuf {
        let index = meta.last_log_id.map_or(0, |last| last.index);
        self.0.dir.join(format!("{index:020}-{}", meta.snapshot_id))
    }

    pub(super) fn temporary(&self, name: &str) -> PathBuf {
        self.0.dir.join(format!("{name}.tmp"))
    }

    fn sweep(&self, keep: Option<&Path>) -> Result<(), OpenError> {
        let dir = &self.0.dir;
        for found in fs::read_dir(dir).map_err(OpenError::io("read", dir))? {
            let path = found.map_err(OpenError::io("read", dir))?.path();
            if Some(&*path) != keep {
                self.0
                    .disk
                    .announce(Step::Remove, &path)
                    .map_err(OpenError::io("remove", &path))?;
                fs::remove_file(&path).map_err(OpenError::io("remove", &path))?;
            }
        }
        Ok(())
    }
}

fn wrong_id(path: &Path) -> impl FnOnce(crate::record::Malformed) -> StopReason {
    StopReason::disk("name", path)
}

//! Autolock: the keys of a manager's store are under the cluster's unlock key.
//!
//! The cluster says which key; every manager puts its key file under that one as soon as it knows,
//! gives its store another key then, and needs the unlock key when it starts again. Until somebody
//! brings the key, the node is locked: it goes on as a worker, keeps its tasks and its networks, and
//! has no manager. The node's certificate is not under the unlock key, for it needs that to be a
//! worker.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use swarm_crypto::key_file::KeyFileError;
use swarm_crypto::{KeyFile, Sealer, UnlockKey};
use swarm_raft::{Raft, Watch, WatchError};
use swarm_types::{Cluster, ObjectId, Sensitive};
use tokio::time::sleep;

use crate::managing::{Managing, RAFT_DIR};
use crate::member::{Member, Papers, Upkeep};
use crate::membership::{Membership, Part};
use crate::{Inner, NodeError};

/// How long a quorum may take to say which key it is.
const ANSWER: Duration = Duration::from_secs(5);
/// Pause after a try that failed.
const RETRY: Duration = Duration::from_secs(1);

impl Member {
    /// Whether it is a manager's node that waits for the unlock key.
    pub(crate) const fn is_locked(&self) -> bool {
        matches!(self.membership.part, Part::Manager { .. }) && self.managing.is_none()
    }
}

impl Inner {
    /// The keys of the store that is there, or fresh ones where there are neither; `None` when they
    /// are locked.
    pub(crate) fn keys(&self) -> Result<Option<Sealer>, NodeError> {
        let (path, store) = (self.key_file(), self.options.state_dir.join(RAFT_DIR));
        // It was given up, and the next one not begun.
        let load = if store.exists() { KeyFile::load } else { KeyFile::load_or_create };
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match opened.take() {
            Some(unlocked) => unlocked,
            None => match load(&path) {
                Err(KeyFileError::Locked { .. }) => return Ok(None),
                loaded => loaded.map_err(NodeError::certificates)?,
            },
        };
        Ok(Some(opened.insert(file).sealer()))
    }

    /// Keys for a store that is to be made, under the unlock key of a cluster that has one.
    pub(crate) fn new_keys(&self, unlock_key: &Sensitive) -> Result<Sealer, NodeError> {
        let path = self.key_file();
        let mut file = KeyFile::load_or_create(&path).map_err(NodeError::certificates)?;
        if !unlock_key.expose().is_empty() {
            let lock = UnlockKey::parse(unlock_key).map_err(NodeError::certificates)?;
            file.relock(&path, Some(lock)).map_err(NodeError::certificates)?;
        }
        let sealer = file.sealer();
        self.hold(Some(file));
        Ok(sealer)
    }

    /// Starts what a manager's node runs while it is locked.
    pub(crate) async fn start_locked(
        self: &Arc<Self>,
        membership: Membership,
        papers: Papers,
    ) -> Result<Member, NodeError> {
        let net = self.net().await?;
        let member = self.start(membership, None, net, papers).await?;
        self.control.lock();
        tracing::warn!("this manager is locked: run `swarm unlock`; its tasks go on meanwhile");
        Ok(member)
    }

    /// Opens the keys and starts the manager.
    pub(crate) async fn unlock(self: &Arc<Self>, with: UnlockKey) -> Result<(), NodeError> {
        let inner = self.clone();
        // A task of its own: a caller who hangs up must not leave half a member behind.
        let unlocked = self.tracker.spawn(async move { inner.unlock_whole(&with).await });
        unlocked.await.unwrap_or(Err(NodeError::Stopping))
    }

    async fn unlock_whole(self: &Arc<Self>, with: &UnlockKey) -> Result<(), NodeError> {
        let mut slot = self.member.lock().await;
        if self.stopping.is_cancelled() {
            return Err(NodeError::Stopping);
        }
        let Some(member) = slot.take_if(|member| member.is_locked()) else {
            return Err(if slot.is_some() { NodeError::NotLocked } else { NodeError::NoMember });
        };
        let file = match KeyFile::unlock(&self.key_file(), with) {
            Ok(file) => file,
            Err(error) => {
                *slot = Some(member);
                return Err(match error {
                    KeyFileError::WrongKey { .. } => NodeError::WrongKey,
                    other => NodeError::certificates(other),
                });
            }
        };
        self.hold(Some(file));
        let membership = member.membership.clone();
        member.stop().await;
        match self.resumed(membership.clone()).await {
            Ok(member) => {
                *slot = Some(member);
                tracing::info!("unlocked");
                Ok(())
            }
            Err(error) => {
                // Its tasks must not be left without an agent.
                self.hold(None);
                match self.locked_again(membership).await {
                    Ok(member) => *slot = Some(member),
                    // Half a node must not go on.
                    Err(worse) => drop(self.failure.send_replace(Some(Arc::new(worse)))),
                }
                Err(error)
            }
        }
    }

    async fn locked_again(self: &Arc<Self>, membership: Membership) -> Result<Member, NodeError> {
        let papers = self.papers()?;
        self.start_locked(membership, papers).await
    }

    /// Keeps the key file under the cluster's unlock key.
    pub(crate) fn follow_unlock_key(&self, managing: Option<&Managing>) -> Option<Upkeep> {
        let raft = managing?.raft.clone();
        let file = self.opened.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Upkeep::spawn(&self.tracker, follow(raft, file, self.key_file())))
    }

    pub(crate) fn hold(&self, file: Option<KeyFile>) {
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = file;
    }
}

async fn follow(raft: Raft, mut file: KeyFile, path: PathBuf) {
    loop {
        let (snapshot, mut watch) = raft.watch();
        if !is_right(&file, snapshot.cluster().map(AsRef::as_ref)) {
            file = match settled(&raft, file, &path).await {
                (file, Ok(())) => file,
                (file, Err(why)) => {
                    tracing::warn!(why, "the key file is not under the cluster's unlock key yet");
                    sleep(RETRY).await;
                    file
                }
            };
            continue;
        }
        let resealed = async {
            match file.is_rotating() {
                true => raft.reseal(&file.sealer()).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            goes_on = cluster_changed(&mut watch) => if !goes_on { return },
            done = resealed => {
                if done.is_err() {
                    return;
                }
                match file.finish(&path) {
                    Ok(()) => tracing::info!("the store has another key; the older one is gone"),
                    Err(error) => {
                        let why = crate::local::with_causes(&error);
                        tracing::warn!(why, "the key file keeps the store's older key for now");
                        sleep(RETRY).await;
                    }
                }
            }
        }
    }
}

/// Waits until the cluster's settings change; `false` when the store has stopped.
async fn cluster_changed(watch: &mut Watch) -> bool {
    loop {
        match watch.next().await {
            Ok(batch) => {
                let about_cluster = |object| matches!(object, ObjectId::Cluster(_));
                if batch.events.iter().any(|event| about_cluster(event.object())) {
                    return true;
                }
            }
            Err(WatchError::Lagged) => return true,
            Err(WatchError::Stopped(_)) => return false,
        }
    }
}

/// Puts the file under the key that a quorum agrees on now: a replica that has just started may
/// still show the one before, which nobody may have kept.
async fn settled(raft: &Raft, mut file: KeyFile, path: &Path) -> (KeyFile, Result<(), String>) {
    let snapshot = match raft.read(Instant::now() + ANSWER).await {
        Ok(snapshot) => snapshot,
        Err(error) => return (file, Err(error.to_string())),
    };
    let lock = match wanted(snapshot.cluster().map(AsRef::as_ref)) {
        Some(Ok(lock)) => lock,
        Some(Err(why)) => return (file, Err(why)),
        None => return (file, Ok(())),
    };
    let done = match lock {
        // Whoever read the file before must not read on with what stood in it.
        Some(lock) => file.rotate(path, lock),
        None => file.relock(path, None),
    };
    let done = done.map_err(|error| crate::local::with_causes(&error));
    if done.is_ok() {
        tracing::info!("the key file follows the cluster's unlock key");
    }
    (file, done)
}

fn is_right(file: &KeyFile, cluster: Option<&Cluster>) -> bool {
    match wanted(cluster) {
        None => true,
        Some(Ok(lock)) => file.is_under(lock.as_ref()),
        Some(Err(_)) => false,
    }
}

/// What the cluster wants the file to be under; `None` before there is a cluster.
fn wanted(cluster: Option<&Cluster>) -> Option<Result<Option<UnlockKey>, String>> {
    let key = &cluster?.unlock_key;
    Some(match key.expose().is_empty() {
        true => Ok(None),
        false => UnlockKey::parse(key).map(Some).map_err(|error| error.to_string()),
    })
}

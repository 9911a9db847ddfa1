//! What a worker must not forget: its orders, how far each task came, and whom it obeys.
//!
//! The store answers one question at a start: what would this agent do if no manager ever
//! answered again. An order is durable before it is acted on, and so is what an acknowledgement
//! or a report depends on. States a task only passes through are noted without waiting: after a
//! crash they are found again, since every step may be repeated.
//!
//! One thread owns [`table`]; it makes everything that waits durable together. After the first
//! error it is gone and every call fails: a worker that cannot write does not act. Secrets in
//! orders are sealed like everything else, under a key that never leaves the node.

mod mark;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use swarm_crypto::key_file::KeyFileError;
use swarm_types::{Task, TaskId, TaskStatus, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::error;

use self::table::Table;
use crate::session::Obeyed;

/// Requests that may wait for the thread.
const WAITING: usize = 256;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Its key cannot be used.
    #[error("the key of the node's tasks")]
    Key(#[from] KeyFileError),
    /// What is there cannot be trusted. Nothing of it was acted on.
    #[error(
        "the store of the node's tasks in {} is damaged ({why}); move the folder away and start \
         again: containers go on, and the managers say what they are", dir.display()
    )]
    Damaged {
        /// Its folder.
        dir: PathBuf,
        /// What is wrong with it; never any of its content.
        why: String,
    },
    /// The disk refused.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It failed before, or was closed. Nothing more is written.
    #[error("the store of the node's tasks has stopped")]
    Stopped,
}

/// Something to be kept.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// What the managers want of a task.
    Order(TaskId, Ordered),
    /// How far it came.
    Status(TaskId, TaskStatus),
    /// A task that was removed whole; ignored when it was ordered again meanwhile.
    Forget(TaskId),
    /// The newest orders obeyed.
    Obeyed(Obeyed),
    /// The managers, `HOST:PORT` each.
    Managers(Vec<String>),
}

/// An order as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Ordered {
    /// Bring it to its desired state.
    Pursue(Box<Task>),
    /// End it, and remove it at that time.
    Retire {
        /// Time between stop signal and SIGKILL.
        grace: Duration,
        /// When it is removed.
        until: Timestamp,
    },
    /// End it and remove all of it.
    Remove {
        /// Time between stop signal and SIGKILL.
        grace: Duration,
    },
}

/// What the store holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) orders: BTreeMap<TaskId, Ordered>,
    /// Only of tasks in `orders`.
    pub(crate) statuses: BTreeMap<TaskId, TaskStatus>,
    pub(crate) obeyed: Obeyed,
    pub(crate) managers: Vec<String>,
    /// How often the store was made durable; its own business.
    syncs: u64,
}

impl Kept {
    /// The tasks to be pursued that have not ended yet.
    pub(crate) fn alive(&self) -> BTreeSet<TaskId> {
        let alive = self.orders.iter().filter(|(task, order)| match order {
            Ordered::Pursue(order) => {
                let status = self.statuses.get(task).unwrap_or(&order.status);
                !status.state.is_terminal()
            }
            Ordered::Retire { .. } | Ordered::Remove { .. } => false,
        });
        alive.map(|(task, _)| *task).collect()
    }
}

struct Request {
    changes: Vec<Change>,
    /// Answered once the changes are durable; `None` when nobody waits.
    answer: Option<oneshot::Sender<()>>,
}

/// A cheap handle on the store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    requests: mpsc::Sender<Request>,
    failure: watch::Receiver<Option<String>>,
}

/// A store that was opened.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) kept: Kept,
    /// Ends when every handle is gone and the files are free.
    pub(crate) closed: oneshot::Receiver<()>,
}

impl Store {
    /// Opens the store in `dir`, or makes it.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; nothing of what is there may be acted on then.
    pub(crate) async fn open(dir: &Path) -> Result<Opened, StoreError> {
        let path = dir.to_owned();
        let opening = tokio::task::spawn_blocking(move || Table::open(&path));
        // sled panics on some damage.
        let damaged = |_| StoreError::Damaged { dir: dir.to_owned(), why: "unreadable".into() };
        let (table, kept) = opening.await.map_err(damaged)??;
        let (requests, queue) = mpsc::channel(WAITING);
        let (failed, failure) = watch::channel(None);
        let (open, closed) = oneshot::channel();
        let thread = std::thread::Builder::new().name("worker-store".into());
        let spawned = thread.spawn(move || {
            serve(table, queue, &failed);
            drop(open);
        });
        let action = "start the thread of";
        spawned.map_err(|source| StoreError::Io { action, path: dir.to_owned(), source })?;
        Ok(Opened { store: Self { requests, failure }, kept, closed })
    }

    /// Returns once `changes` are durable, all or none of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stopped`]: do not act.
    pub(crate) async fn keep(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(changes, Some(answer)).await?;
        answered.await.map_err(|_| StoreError::Stopped)
    }

    /// Has `changes` written soon; a crash may forget them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stopped`]: do not act.
    pub(crate) async fn note(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.send(changes, None).await
    }

    /// Has a change written if there is room in the queue; for what only makes a start quicker.
    pub(crate) fn hint(&self, change: Change) {
        // Full or stopped: it is learned again.
        let _ = self.requests.try_send(Request { changes: vec![change], answer: None });
    }

    /// Resolves with the reason when the store fails; never while it works.
    pub(crate) async fn failed(&self) -> String {
        let mut failure = self.failure.clone();
        if let Ok(why) = failure.wait_for(Option::is_some).await
            && let Some(why) = why.as_ref()
        {
            return why.clone();
        }
        std::future::pending().await
    }

    async fn send(
        &self,
        changes: Vec<Change>,
        answer: Option<oneshot::Sender<()>>,
    ) -> Result<(), StoreError> {
        let request = Request { changes, answer };
        self.requests.send(request).await.map_err(|_| StoreError::Stopped)
    }

    /// A store in `dir` that is served within the test's runtime, so that a paused clock stands
    /// still while it writes.
    #[cfg(test)]
    pub(crate) fn in_test(dir: &Path) -> (Self, Kept) {
        let (mut table, kept) = Table::open(dir).unwrap();
        let (requests, mut queue) = mpsc::channel::<Request>(WAITING);
        let (failed, failure) = watch::channel(None);
        tokio::spawn(async move {
            let _failed = failed;
            while let Some(request) = queue.recv().await {
                table.apply(&request.changes).unwrap();
                if let Some(answer) = request.answer {
                    let _ = answer.send(());
                }
            }
        });
        (Self { requests, failure }, kept)
    }

    /// The same once whoever had it before let go of it.
    #[cfg(test)]
    pub(crate) async fn reopened(dir: &Path) -> (Self, Kept) {
        Self::let_go().await;
        Self::in_test(dir)
    }

    /// Lets those who serve a store without handles notice, and end.
    #[cfg(test)]
    pub(crate) async fn let_go() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
}

fn serve(
    mut table: Table,
    mut queue: mpsc::Receiver<Request>,
    failed: &watch::Sender<Option<String>>,
) {
    while let Some(first) = queue.blocking_recv() {
        let rest = std::iter::from_fn(|| queue.try_recv().ok()).take(WAITING);
        let requests: Vec<Request> = std::iter::once(first).chain(rest).collect();
        if let Err(failure) = write(&mut table, requests) {
            error!(%failure, "the node's task store has failed");
            failed.send_replace(Some(failure.to_string()));
            return;
        }
    }
    // The last notes; an error has nobody left to tell.
    if let Err(failure) = table.sync() {
        error!(%failure, "the node's task store was not closed properly");
    }
}

/// Each request on its own, and durable together.
fn write(table: &mut Table, requests: Vec<Request>) -> Result<(), StoreError> {
    for request in &requests {
        table.apply(&request.changes)?;
    }
    let answers: Vec<_> = requests.into_iter().filter_map(|request| request.answer).collect();
    if !answers.is_empty() {
        table.sync()?;
    }
    // Somebody who does not wait any more needs no answer.
    for answer in answers {
        let _ = answer.send(());
    }
    Ok(())
}

#[cfg(test)]
mod tests;

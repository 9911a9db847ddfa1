//! The sessions this manager carries, and what changed for each.
//!
//! One loop watches the state and marks what concerns a session; its stream of assignments takes
//! the marks when it is ready to send. A mark is an id, and too many of them become one mark for
//! everything, so what piles up while a node is slow is bounded. A mark too many costs a
//! comparison, one too few would cost an order: each stream has a [`Pile`] of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use swarm_proto::{field, v1};
use swarm_raft::WatchError;
use swarm_state::{Batch, Event, Snapshot};
use swarm_types::{Node, NodeId, Object, SessionId, Task, TaskId};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::fence;
use super::hosts::Hosts;
use super::openings::Openings;
use crate::Core;
use crate::clock::boot_time;
use crate::leader::liveness::Liveness;

/// Marks a stream may have before they become one for everything.
const MOST_MARKS: usize = 4096;
/// Connections of a session at once: the one in use, and those that are about to be found broken.
pub(crate) const MOST_CONNECTIONS: usize = 4;

/// The sessions this manager carries.
#[derive(Debug)]
pub(crate) struct Hub {
    sessions: Mutex<BTreeMap<NodeId, Arc<Live>>>,
    liveness: Mutex<Liveness>,
    hosts: Mutex<Hosts>,
    openings: Mutex<Openings>,
}

/// A session this manager carries.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) node: NodeId,
    pub(crate) id: SessionId,
    /// Cancelled when a newer session supersedes this one, or its node is gone.
    pub(crate) closed: CancellationToken,
    /// Of its newest stream of assignments.
    pile: Mutex<Arc<Pile>>,
    /// The node or the cluster changed.
    pub(crate) about_changed: Notify,
    /// By which the node is called.
    reached: Mutex<Option<Channel>>,
    connections: Arc<Semaphore>,
}

/// What changed for one stream of assignments since it last looked.
#[derive(Debug)]
pub(crate) struct Pile {
    marks: Mutex<Marks>,
    changed: Notify,
    /// Cancelled when a newer stream takes the marks.
    pub(crate) replaced: CancellationToken,
}

/// What changed since somebody last looked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Compare everything; `tasks` is empty then.
    pub all: bool,
    /// Compare these.
    pub tasks: BTreeSet<TaskId>,
}

impl Marks {
    /// Everything is to be compared.
    #[must_use]
    pub const fn all() -> Self {
        Self { all: true, tasks: BTreeSet::new() }
    }

    /// Marks a task; too many become one mark for everything.
    pub fn add(&mut self, task: TaskId) {
        if self.tasks.len() >= MOST_MARKS {
            *self = Self::all();
        }
        if !self.all {
            self.tasks.insert(task);
        }
    }
}

impl Pile {
    /// Begins with everything marked.
    fn new() -> Arc<Self> {
        let marks = Mutex::new(Marks::all());
        let changed = Notify::new();
        changed.notify_one();
        Arc::new(Self { marks, changed, replaced: CancellationToken::new() })
    }

    /// Waits for marks and takes them. Safe to drop and call again.
    pub(crate) async fn take(&self) -> Marks {
        self.changed.notified().await;
        std::mem::take(&mut *lock(&self.marks))
    }

    fn mark(&self, change: impl FnOnce(&mut Marks)) {
        change(&mut lock(&self.marks));
        self.changed.notify_one();
    }
}

impl Live {
    /// Leave for one connection more, until what this returns is dropped.
    pub(crate) fn connect(&self) -> Option<OwnedSemaphorePermit> {
        self.connections.clone().try_acquire_owned().ok()
    }

    /// The node is called by this connection from now on.
    pub(crate) fn reached_by(&self, channel: Channel) {
        *lock(&self.reached) = Some(channel);
    }

    /// The connection by which the node is called, if it opened one.
    pub(crate) fn reached(&self) -> Option<Channel> {
        lock(&self.reached).clone()
    }

    /// The marks for a stream that begins now; the stream before it gets no more of them.
    pub(crate) fn begin_stream(&self) -> Arc<Pile> {
        let pile = Pile::new();
        std::mem::replace(&mut *lock(&self.pile), pile.clone()).replaced.cancel();
        pile
    }

    pub(super) fn mark(&self, task: TaskId) {
        lock(&self.pile).mark(|marks| marks.add(task));
    }

    fn mark_all(&self) {
        lock(&self.pile).mark(|marks| *marks = Marks::all());
        self.about_changed.notify_one();
    }
}

impl Hub {
    pub(crate) const fn new() -> Self {
        Self {
            sessions: Mutex::new(BTreeMap::new()),
            liveness: Mutex::new(Liveness::new()),
            hosts: Mutex::new(Hosts::new()),
            openings: Mutex::new(Openings::new()),
        }
    }

    /// Whether the node may open a session now.
    pub(crate) fn admit(&self, node: NodeId) -> bool {
        lock(&self.openings).admit(node, boot_time())
    }

    /// Carries a session that has just become the node's, and closes the one before it. `None`
    /// when it was superseded already: `present` tells the node's session as of now.
    pub(crate) fn carry(
        &self,
        node: NodeId,
        id: SessionId,
        closed: CancellationToken,
        present: impl FnOnce() -> Option<SessionId>,
    ) -> Option<Arc<Live>> {
        let about_changed = Notify::new();
        about_changed.notify_one();
        let pile = Mutex::new(Pile::new());
        let reached = Mutex::default();
        let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let live = Live { node, id, closed, pile, about_changed, reached, connections };
        let live = Arc::new(live);
        let mut sessions = lock(&self.sessions);
        // Asked under the lock: what supersedes it from here on finds it in the map.
        if present() != Some(id) {
            return None;
        }
        self.hear(node, id);
        if let Some(before) = sessions.insert(node, live.clone()) {
            before.closed.cancel();
        }
        Some(live)
    }

    /// The node's session, if it is carried here.
    pub(crate) fn session(&self, node: &NodeId) -> Option<Arc<Live>> {
        lock(&self.sessions).get(node).cloned()
    }

    /// How many sessions are carried here.
    pub(crate) fn sessions(&self) -> usize {
        lock(&self.sessions).len()
    }

    /// Notes a sign of life.
    pub(crate) fn hear(&self, node: NodeId, session: SessionId) {
        lock(&self.liveness).hear(node, session, boot_time());
    }

    /// Every node whose session is carried here, with the age of its last sign of life.
    pub(crate) fn heard(&self, now: Duration) -> Vec<v1::HeardNode> {
        let sessions: Vec<_> =
            lock(&self.sessions).values().map(|live| (live.node, live.id)).collect();
        let liveness = self.liveness();
        let heard = sessions.into_iter().filter_map(|(node, session)| {
            let age = liveness.age(&node, session, now)?.as_millis();
            Some(v1::HeardNode {
                node: field::put_id(node),
                session: field::put_id(session),
                age_ms: u32::try_from(age).unwrap_or(u32::MAX),
            })
        });
        heard.collect()
    }

    /// What was heard, for the leader to judge by.
    pub(crate) fn liveness(&self) -> MutexGuard<'_, Liveness> {
        lock(&self.liveness)
    }

    /// Drops a session that ended, unless another took its place.
    pub(crate) fn drop_session(&self, live: &Live) {
        live.closed.cancel();
        let mut sessions = lock(&self.sessions);
        if sessions.get(&live.node).is_some_and(|present| present.id == live.id) {
            sessions.remove(&live.node);
        }
    }

    fn note(&self, batch: &Batch) {
        for event in &batch.events {
            match event {
                Event::Updated { new: Object::Task(task), .. }
                | Event::Created(Object::Task(task))
                | Event::Removed(Object::Task(task)) => self.task_changed(task),
                Event::Updated { new: Object::Node(node), .. } => self.node_changed(node),
                Event::Removed(Object::Node(node)) => self.node_removed(&node.id),
                Event::Updated { new: Object::Cluster(_), .. } => self.everything_changed(),
                _ => {}
            }
        }
    }

    fn task_changed(&self, task: &Task) {
        let live = task.node.and_then(|node| self.session(&node));
        live.into_iter().for_each(|live| live.mark(task.id));
    }

    fn node_removed(&self, node: &NodeId) {
        self.close(node);
        self.liveness().forget(node);
        lock(&self.hosts).forget(node);
    }

    fn node_changed(&self, node: &Node) {
        let boot_id = node.session.as_ref().map_or("", |session| &session.boot_id);
        if lock(&self.hosts).opened(node.id, boot_id) {
            tracing::error!(
                node = %node.id,
                hostname = node.description.hostname,
                addr = node.status.addr,
                "two hosts have the identity of one node, and take its tasks from each other: \
                 stop the daemon of one, remove its state directory and join it anew"
            );
        }
        let Some(live) = self.session(&node.id) else { return };
        if fence::is_valid(Some(node), live.id) {
            live.about_changed.notify_one();
        } else {
            self.drop_session(&live);
        }
    }

    fn close(&self, node: &NodeId) {
        if let Some(live) = lock(&self.sessions).remove(node) {
            live.closed.cancel();
        }
    }

    /// Compares everything again, after events were missed.
    fn resync(&self, snapshot: &Snapshot) {
        let lives: Vec<Arc<Live>> = lock(&self.sessions).values().cloned().collect();
        for live in lives {
            match snapshot.node(&live.node) {
                Some(node) => self.node_changed(node),
                None => self.close(&live.node),
            }
        }
        // Their removal may be among what was missed. Who is newer than the snapshot is heard again.
        self.liveness().retain(|node| snapshot.node(node).is_some());
        lock(&self.hosts).retain(|node| snapshot.node(node).is_some());
        self.everything_changed();
    }

    /// Every node is to know the managers.
    fn about_all_changed(&self) {
        lock(&self.sessions).values().for_each(|live| live.about_changed.notify_one());
    }

    fn everything_changed(&self) {
        lock(&self.sessions).values().for_each(|live| live.mark_all());
    }
}

/// Marks what each batch changes, until the manager stops.
pub(crate) async fn run(core: Arc<Core>) {
    let mut members = core.raft.members();
    loop {
        let (snapshot, mut watch) = core.raft.watch();
        core.hub.resync(&snapshot);
        loop {
            let batch = tokio::select! {
                batch = watch.next() => batch,
                changed = members.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    core.hub.about_all_changed();
                    continue;
                }
                () = core.stopping.cancelled() => return,
            };
            match batch {
                Ok(batch) => core.hub.note(&batch),
                // Missed some: start from a new snapshot.
                Err(WatchError::Lagged) => break,
                Err(WatchError::Stopped(_)) => return,
            }
        }
    }
}

/// A lock whose holder panicked holds marks and maps that are still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

//! The sessions this manager carries, and what changed for each.
//!
//! One loop watches the state and marks what concerns a session; the session's streams take the
//! marks when they are ready to send. A mark is an id, so what piles up while a node is slow is
//! bounded by the node's tasks, and a mark too many costs a comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use swarm_raft::WatchError;
use swarm_state::{Batch, Event, Snapshot};
use swarm_types::object::node::NodeState;
use swarm_types::{Node, NodeId, Object, SessionId, Task, TaskId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::Core;
use crate::clock::boot_time;
use crate::leader::liveness::Liveness;

/// The sessions this manager carries.
#[derive(Debug)]
pub(crate) struct Hub {
    sessions: Mutex<BTreeMap<NodeId, Arc<Live>>>,
    liveness: Mutex<Liveness>,
}

/// A session this manager carries.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) node: NodeId,
    pub(crate) id: SessionId,
    /// Cancelled when a newer session supersedes this one, or its node is gone.
    pub(crate) closed: CancellationToken,
    marks: Mutex<Marks>,
    tasks_changed: Notify,
    /// The node or the cluster changed.
    pub(crate) about_changed: Notify,
}

/// What changed for a session since it last looked.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Compare everything, not only `tasks`.
    pub(crate) all: bool,
    pub(crate) tasks: BTreeSet<TaskId>,
}

impl Live {
    /// Waits for marks and takes them.
    pub(crate) async fn marks(&self) -> Marks {
        self.tasks_changed.notified().await;
        std::mem::take(&mut *lock(&self.marks))
    }

    fn mark(&self, task: TaskId) {
        lock(&self.marks).tasks.insert(task);
        self.tasks_changed.notify_one();
    }

    fn mark_all(&self) {
        lock(&self.marks).all = true;
        self.tasks_changed.notify_one();
        self.about_changed.notify_one();
    }
}

impl Hub {
    pub(crate) const fn new() -> Self {
        Self {
            sessions: Mutex::new(BTreeMap::new()),
            liveness: Mutex::new(Liveness::new()),
        }
    }

    /// Carries a session that has just become the node's; closes the one before it.
    pub(crate) fn carry(&self, node: NodeId, id: SessionId, closed: CancellationToken) -> Arc<Live> {
        let live = Arc::new(Live {
            node,
            id,
            closed,
            marks: Mutex::default(),
            tasks_changed: Notify::new(),
            about_changed: Notify::new(),
        });
        live.mark_all();
        self.hear(node, id);
        if let Some(before) = lock(&self.sessions).insert(node, live.clone()) {
            before.closed.cancel();
        }
        live
    }

    /// The node's session, if it is carried here.
    pub(crate) fn session(&self, node: &NodeId) -> Option<Arc<Live>> {
        lock(&self.sessions).get(node).cloned()
    }

    /// Notes a sign of life.
    pub(crate) fn hear(&self, node: NodeId, session: SessionId) {
        lock(&self.liveness).hear(node, session, boot_time());
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
                Event::Removed(Object::Node(node)) => self.close(&node.id),
                Event::Updated { new: Object::Cluster(_), .. } => self.everything_changed(),
                _ => {}
            }
        }
    }

    fn task_changed(&self, task: &Task) {
        let live = task.node.and_then(|node| self.session(&node));
        live.into_iter().for_each(|live| live.mark(task.id));
    }

    fn node_changed(&self, node: &Node) {
        let Some(live) = self.session(&node.id) else { return };
        let is_its_own = node.session.as_ref().is_some_and(|session| session.id == live.id);
        // A node that was given up on is ready again by opening a session, and only so.
        if is_its_own && node.status.state != NodeState::Down {
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
        self.everything_changed();
    }

    fn everything_changed(&self) {
        lock(&self.sessions).values().for_each(|live| live.mark_all());
    }
}

/// Marks what each batch changes, until the manager stops.
pub(crate) async fn run(core: Arc<Core>) {
    loop {
        let (snapshot, mut watch) = core.raft.watch();
        core.hub.resync(&snapshot);
        loop {
            let batch = tokio::select! {
                batch = watch.next() => batch,
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
mod tests {
    use swarm_types::object::node::{NodeSession, NodeStatus};
    use swarm_types::{IdSource, Timestamp};

    use super::*;

    #[test]
    fn the_session_of_a_node_that_is_down_is_closed() {
        let mut ids = IdSource::seeded(1);
        let (id, session) = (ids.draw(), ids.draw());
        let node = |state| Node {
            id,
            meta: Default::default(),
            spec: Default::default(),
            description: Default::default(),
            status: NodeStatus { state, ..NodeStatus::default() },
            role: Default::default(),
            key_fingerprint: Vec::new(),
            session: Some(NodeSession {
                id: session,
                manager: id,
                boot_id: String::new(),
                opened_at: Timestamp(0),
            }),
            attachments: Vec::new(),
            manager_addr: String::new(),
            raft_id: 0,
        };
        let hub = Hub::new();
        let live = hub.carry(id, session, CancellationToken::new());

        hub.node_changed(&node(NodeState::Ready));
        assert!(hub.session(&id).is_some() && !live.closed.is_cancelled());

        hub.node_changed(&node(NodeState::Down));
        assert!(hub.session(&id).is_none() && live.closed.is_cancelled());
    }
}

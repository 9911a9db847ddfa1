//! A manager: a replica that may lag, the sessions it carries, and what it hears.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use swarm_manager::pure::{Liveness, Marks, Sent, is_valid};
use swarm_proto::v1::AssignmentsMessage;
use swarm_state::{Event, State};
use swarm_types::{NodeId, Object, SessionId};

use crate::cluster::Logged;

/// Messages of a stream that wait for a node.
const IN_FLIGHT: usize = 2;
/// A manager without proof of a leader with a quorum for that long serves no node.
const FIT_FOR: Duration = Duration::from_millis(1500);

/// A manager.
pub(crate) struct Manager {
    pub(crate) node: NodeId,
    pub(crate) state: State,
    /// False while it is crashed.
    pub(crate) up: bool,
    /// True while the other managers do not reach it; nodes do.
    pub(crate) cut: bool,
    /// How far its clock is ahead.
    pub(crate) ahead: Duration,
    pub(crate) liveness: Liveness,
    pub(crate) carried: BTreeMap<NodeId, Carried>,
    /// When it last knew of a leader with a quorum, on the clock of liveness.
    pub(crate) quorum_at: Duration,
}

/// A session a manager carries.
pub(crate) struct Carried {
    pub(crate) id: SessionId,
    pub(crate) heard: Duration,
    marks: Marks,
    sent: Sent,
    /// On its way to the node.
    pub(crate) line: VecDeque<AssignmentsMessage>,
}

impl Manager {
    pub(crate) fn new(node: NodeId) -> Self {
        Self {
            node,
            state: State::new(),
            up: true,
            cut: false,
            ahead: Duration::ZERO,
            liveness: Liveness::new(),
            carried: BTreeMap::new(),
            quorum_at: Duration::ZERO,
        }
    }

    /// What a crash takes; the replica comes back from its store.
    pub(crate) fn crash(&mut self) {
        self.up = false;
        self.carried.clear();
        self.liveness = Liveness::new();
    }

    pub(crate) fn is_fit(&self, now: Duration) -> bool {
        self.up && now.saturating_sub(self.quorum_at) <= FIT_FOR
    }

    /// Applies what it has not yet of the log, up to that index; replicas are equal at equal
    /// index.
    pub(crate) fn catch_up(&mut self, log: &[Logged], to: u64) {
        let from = usize::try_from(self.state.snapshot().applied()).unwrap();
        let to = usize::try_from(to).unwrap().min(log.len());
        let Some(new) = log.get(from..to).filter(|new| !new.is_empty()) else { return };
        for (index, logged) in (from as u64 + 1..).zip(new) {
            let applied = self.state.apply(index, &logged.entry).unwrap();
            applied.events.events.iter().for_each(|event| self.note(event));
        }
        assert_eq!(self.state.snapshot().hash(), log[to - 1].hash, "replicas differ at {to}");
    }

    /// Marks what concerns a session, and closes what is superseded.
    fn note(&mut self, event: &Event) {
        match event {
            Event::Updated { new: Object::Task(task), .. }
            | Event::Created(Object::Task(task))
            | Event::Removed(Object::Task(task)) => {
                let carried = task.node.and_then(|node| self.carried.get_mut(&node));
                carried.into_iter().for_each(|it| it.marks.add(task.id));
            }
            Event::Updated { new: Object::Node(node), .. } => {
                self.carried.retain(|id, it| *id != node.id || is_valid(Some(node), it.id));
            }
            Event::Removed(Object::Node(node)) => _ = self.carried.remove(&node.id),
            _ => {}
        }
    }

    /// Carries a session, unless it was superseded already.
    pub(crate) fn carry(&mut self, node: NodeId, id: SessionId, now: Duration) -> bool {
        let view = self.state.snapshot();
        if !is_valid(view.node(&node).map(AsRef::as_ref), id) {
            return false;
        }
        let (marks, sent) = (Marks::all(), Sent::default());
        let line = VecDeque::new();
        self.carried.insert(node, Carried { id, heard: now, marks, sent, line });
        self.liveness.hear(node, id, now);
        true
    }

    /// The session, if it is carried here.
    pub(crate) fn session(&mut self, node: NodeId, id: SessionId) -> Option<&mut Carried> {
        self.carried.get_mut(&node).filter(|carried| carried.id == id)
    }

    /// A heartbeat; false when the node has to go elsewhere.
    pub(crate) fn beat(&mut self, node: NodeId, id: SessionId, now: Duration) -> bool {
        let fit = self.is_fit(now);
        match self.session(node, id) {
            Some(carried) => carried.heard = now,
            None => return false,
        }
        self.liveness.hear(node, id, now);
        fit
    }

    /// Begins the stream of assignments anew; the session stays.
    pub(crate) fn reopen(&mut self, node: NodeId, id: SessionId) {
        if let Some(carried) = self.session(node, id) {
            (carried.marks, carried.sent) = (Marks::all(), Sent::default());
            carried.line.clear();
        }
    }

    /// Puts what changed on its way to every node that takes it.
    pub(crate) fn send(&mut self) {
        let view = self.state.snapshot();
        for (node, carried) in &mut self.carried {
            if carried.line.len() < IN_FLIGHT {
                let marks = std::mem::take(&mut carried.marks);
                carried.line.extend(carried.sent.next(&view, *node, &marks));
            }
        }
    }
}

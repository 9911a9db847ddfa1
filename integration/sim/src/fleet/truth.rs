//! What holds between the state and the world it speaks of.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use swarm_manager::pure::Silent;
use swarm_state::{Applied, Event, Snapshot};
use swarm_types::object::node::NodeState;
use swarm_types::{NodeId, Object, RequestId, SessionId, TaskId, TaskState};

use super::agent::Agent;
use super::manager::Manager;
use crate::cluster::Cluster;

/// How long a node may be silent.
const GRACE: Duration = Duration::from_secs(6);

/// What has to be remembered of the history.
#[derive(Default)]
pub(crate) struct Truth {
    /// Requests that were applied.
    applied: BTreeSet<RequestId>,
    /// Given up on with their nodes, and those that were removed after: these may still run.
    orphaned: BTreeSet<TaskId>,
    /// Ends that a manager acknowledged.
    ended: BTreeMap<TaskId, TaskState>,
    /// When a leader last heard of a session.
    heard: BTreeMap<NodeId, (SessionId, Duration)>,
}

impl Truth {
    /// Follows an entry: no request is applied twice.
    pub(crate) fn note(&mut self, requests: &[RequestId], applied: &Applied) {
        for (request, result) in requests.iter().zip(&applied.results) {
            if result.as_ref().is_ok_and(|it| !it.replayed) {
                assert!(self.applied.insert(*request), "{request} is applied twice");
            }
        }
        for event in &applied.events.events {
            if let Event::Updated { new: Object::Task(task), .. } = event
                && task.status.state == TaskState::Orphaned
            {
                self.orphaned.insert(task.id);
            }
        }
    }

    pub(crate) fn acknowledged(&mut self, task: TaskId, state: TaskState) {
        if state.is_terminal() {
            self.ended.entry(task).or_insert(state);
        }
    }

    pub(crate) fn vouched(&mut self, node: NodeId, session: SessionId, heard: Duration) {
        let known = self.heard.entry(node).or_insert((session, heard));
        *known = (session, if known.0 == session { known.1.max(heard) } else { heard });
    }

    /// Nobody is given up on who was heard, nor by a leader that has just begun.
    pub(crate) fn is_silent(&self, silent: &Silent, now: Duration, leads_since: Duration) {
        assert!(now > leads_since + GRACE, "a leader judges {silent:?} before it listened");
        if let Some((session, heard)) = self.heard.get(&silent.node)
            && Some(*session) == silent.session
        {
            assert!(now > *heard + GRACE, "{silent:?} was heard");
        }
    }

    /// Whatever runs is known to run, and what was reported stays as it was reported.
    pub(crate) fn check(&self, view: &Snapshot, agents: &[Agent]) {
        for container in agents.iter().flat_map(|it| it.containers.values()).filter(|it| it.runs())
        {
            let id = container.task.id;
            let known = view.task(&id).is_some_and(|task| task.may_run());
            assert!(known || self.orphaned.contains(&id), "runs and is free: {container:?}");
        }
        for (id, state) in &self.ended {
            let found = view.task(id).map(|task| task.status.state);
            let stays = found.is_none_or(|it| it == *state || it == TaskState::Orphaned);
            assert!(stays, "{id} was reported as {state}, and is {found:?}");
        }
    }

    /// At rest, the world is as the state says, and every replica says the same.
    pub(crate) fn check_end(&self, cluster: &Cluster, agents: &[Agent], managers: &[Manager]) {
        let view = cluster.view();
        for manager in managers {
            assert_eq!(manager.state.snapshot().applied(), view.applied(), "a replica lags");
        }
        for agent in agents.iter().filter(|agent| agent.up && !agent.cut) {
            let runs = agent.containers.values().filter(|it| it.runs());
            let running: BTreeSet<TaskId> = runs.map(|it| it.task.id).collect();
            let on_node = view.tasks_on_node(&agent.node);
            let known = on_node.filter(|it| it.status.state == TaskState::Running);
            assert_eq!(running, known.map(|it| it.id).collect(), "on {}", agent.node);
            assert!(agent.untold().is_empty(), "not reported: {:?}", agent.untold());
            let node = view.node(&agent.node).unwrap();
            assert_eq!(node.status.state, NodeState::Ready, "{node:?} is there");
        }
    }
}

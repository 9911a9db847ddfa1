//! What goes between a node and the manager that carries its session.

use swarm_agent::pure::Disobeyed;
use swarm_manager::pure::may_order;
use swarm_raft::ProposeError;
use swarm_types::{Change, Group, ObserveTask, Refusal, SessionId, TaskId, TaskState, TaskStatus};

use super::{BEAT, Fleet};

impl Fleet {
    /// A node's step: it finds a manager, says that it lives, obeys, works, and reports.
    pub(super) fn serve(&mut self, agent: usize) {
        if !self.agents[agent].up {
            return;
        }
        self.find(agent);
        self.beat(agent);
        self.receive(agent);
        self.agents[agent].run(&mut self.dice, self.faults);
        self.report(agent);
    }

    /// Where the node's session is, while it reaches that manager.
    fn session(&self, agent: usize) -> Option<(usize, SessionId)> {
        let agent = &self.agents[agent];
        let session = agent.session.as_ref().filter(|_| !agent.cut)?;
        self.managers[session.at].up.then_some((session.at, session.id))
    }

    fn close(&mut self, agent: usize) {
        self.agents[agent].session = None;
    }

    /// Opens a session with any manager that may give orders.
    fn find(&mut self, agent: usize) {
        if self.session(agent).is_some() || self.agents[agent].cut {
            return;
        }
        self.close(agent);
        let at = usize::try_from(self.dice.roll(self.managers.len() as u64)).unwrap();
        let (node, obeyed) = (self.agents[agent].node, self.agents[agent].obeyed);
        let manager = &self.managers[at];
        if !manager.is_fit(self.boot) || !may_order(&manager.state.snapshot(), obeyed.index) {
            return;
        }
        let session: SessionId = self.cluster.ids.draw();
        let open = self.cluster.open(node, session, manager.node);
        if self.change(at, open).is_err() {
            return;
        }
        // The manager dies, or its answer is lost, now and then.
        if self.managers[at].carry(node, session, self.boot) && !self.is_lost(30) {
            self.agents[agent].begin(at, session);
        }
    }

    fn is_lost(&mut self, one_in: u64) -> bool {
        self.faults && self.dice.roll(one_in) == 0
    }

    fn beat(&mut self, agent: usize) {
        if !(self.ticks + agent as u64).is_multiple_of(BEAT) || self.is_lost(20) {
            return;
        }
        let Some((at, session)) = self.session(agent) else { return };
        let node = self.agents[agent].node;
        if !self.managers[at].beat(node, session, self.boot) {
            self.close(agent);
        }
    }

    /// Orders come, in a row; some twice and some never.
    fn receive(&mut self, agent: usize) {
        let Some((at, session)) = self.session(agent) else { return };
        let node = self.agents[agent].node;
        self.managers[at].send();
        let (lost, doubled, late) = (self.is_lost(40), self.is_lost(40), self.is_lost(3));
        let Some(carried) = self.managers[at].session(node, session).filter(|_| !late) else {
            return;
        };
        let Some(message) = carried.line.pop_front() else { return };
        if lost {
            return self.reopen(agent, at, session);
        }
        if doubled {
            carried.line.push_front(message.clone());
        }
        match self.agents[agent].obey(message) {
            Ok(()) => {}
            Err(Disobeyed::Gap { .. }) => self.reopen(agent, at, session),
            Err(_) => self.close(agent),
        }
    }

    /// The stream breaks, and begins anew in the same session.
    fn reopen(&mut self, agent: usize, at: usize, session: SessionId) {
        self.agents[agent].reopened();
        self.managers[at].reopen(self.agents[agent].node, session);
    }

    /// Tells what was not acknowledged yet; an answer comes only for what was agreed on.
    fn report(&mut self, agent: usize) {
        for (task, state) in self.agents[agent].untold() {
            let Some((at, session)) = self.session(agent) else { return };
            let node = self.agents[agent].node;
            if self.is_lost(10) || self.managers[at].session(node, session).is_none() {
                continue;
            }
            if self.managers[at].state.snapshot().task(&task).is_none() {
                self.agents[agent].acknowledge(task, state);
                continue;
            }
            let report = self.observe(agent, session, task, state);
            match self.propose(at, &report) {
                Err(ProposeError::Refused(Refusal::Superseded(_))) => self.close(agent),
                Ok(()) | Err(ProposeError::Refused(_)) if !self.is_lost(10) => {
                    self.agents[agent].acknowledge(task, state);
                    self.truth.acknowledged(task, state);
                }
                _ => {}
            }
        }
    }

    fn observe(
        &mut self,
        agent: usize,
        session: SessionId,
        task: TaskId,
        state: TaskState,
    ) -> Group {
        let status = TaskStatus { state, at: self.wall, ..TaskStatus::default() };
        let node = self.agents[agent].node;
        let observe = ObserveTask { task, node, session, status };
        self.cluster.group(Change::ObserveTask(Box::new(observe)))
    }
}

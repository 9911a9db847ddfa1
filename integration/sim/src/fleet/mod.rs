//! Several managers and their nodes: replicas that lag, leaders that change, sessions at any
//! manager, and everything between them lost, late or doubled.
//!
//! Raft is taken at its word: [`Cluster`] holds what is agreed on, and each [`Manager`] has some
//! beginning of that log. What a lost leader had not answered happens before the next one leads,
//! or never. Who may order, what is sent, what is obeyed and who is silent is decided by the
//! code of the managers and of the agents; this is the world around it.

mod agent;
mod fault;
mod link;
mod manager;
mod truth;

use std::time::Duration;

use swarm_manager::pure::MISSED;
use swarm_manager::{Driver, Outcome};
use swarm_raft::ProposeError;
use swarm_types::spec::node::Availability;
use swarm_types::{Change, Group, IdSource, NodeId, Timestamp};

use crate::cluster::Cluster;
use crate::dice::Dice;
use crate::end;
use crate::rules::{Rules, Step};
use agent::Agent;
use manager::Manager;
use truth::Truth;

/// Time from one step to the next, as often as managers judge and vouch.
const TICK: Duration = Duration::from_millis(500);
/// Steps between two heartbeats of a node.
const BEAT: u64 = 4;
/// Steps between two full passes of a driver.
const FULL_PASS: u64 = 120;
/// Time without a leader before another stands.
const ELECTION: Duration = Duration::from_secs(2);
/// Steps in which a cluster without faults has to come to rest.
const PATIENCE: u64 = 4_000;
/// Steps without an entry after which it has: more than any delay of the services.
const REST: u64 = 250;

/// A cluster of several managers under faults.
pub struct Fleet {
    dice: Dice,
    cluster: Cluster,
    rules: Rules,
    truth: Truth,
    managers: Vec<Manager>,
    agents: Vec<Agent>,
    seat: Option<Seat>,
    /// Proposed and not answered: it happens before another leader begins, or never. With the time
    /// it was written at, by the clock of who led.
    late: Vec<(Timestamp, Group)>,
    /// Of users who were not answered, and ask again with the same words.
    unanswered: Vec<Group>,
    /// The clock of liveness.
    boot: Duration,
    /// What a clock shows that was never set.
    wall: Timestamp,
    ticks: u64,
    faults: bool,
}

/// Who leads.
struct Seat {
    manager: usize,
    driver: Driver,
    since: Duration,
}

impl Fleet {
    /// So many managers and nodes, to which nothing has happened yet.
    #[must_use]
    pub fn new(seed: u64, managers: usize, nodes: usize) -> Self {
        let mut cluster = Cluster::new(nodes);
        let ids: Vec<NodeId> = cluster.view().nodes().map(|node| node.id).collect();
        let managers = (0..managers).map(|_| Manager::new(cluster.ids.draw())).collect();
        let wall = cluster.now;
        Self {
            dice: Dice(seed),
            cluster,
            rules: Rules::default(),
            truth: Truth::default(),
            managers,
            agents: ids.into_iter().map(Agent::new).collect(),
            seat: None,
            late: Vec::new(),
            unanswered: Vec::new(),
            boot: Duration::from_secs(1_000),
            wall,
            ticks: 0,
            faults: true,
        }
    }

    /// Half a second passes.
    pub fn step(&mut self) {
        self.ticks += 1;
        (self.boot, self.wall) = (self.boot + TICK, self.wall.after(TICK));
        if self.faults {
            self.fault();
        }
        self.elect();
        self.follow();
        self.wish();
        for agent in 0..self.agents.len() {
            self.serve(agent);
        }
        self.judge();
        self.decide();
        self.truth.check(&self.cluster.view(), &self.agents);
    }

    /// Entries and steps so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.ticks + self.cluster.log.len() as u64
    }

    /// The faults stop: all has to come to rest, and to be as it should.
    ///
    /// # Panics
    ///
    /// When it is not.
    pub fn heal(&mut self) {
        self.mend();
        self.rest();
    }

    /// Of a cluster without faults, one node goes and another is drained: the others take over
    /// what they have room for.
    ///
    /// # Panics
    ///
    /// When they do not.
    pub fn lose(&mut self) {
        match self.dice.roll(2) {
            0 => self.agents[0].power_off(),
            // What runs there runs on.
            _ => self.agents[0].cut = true,
        }
        self.turn(self.agents[1].node, Availability::Drain);
        self.rest();
    }

    fn rest(&mut self) {
        let (mut length, mut since) = (0, self.ticks);
        let deadline = self.ticks + PATIENCE;
        while self.ticks < since + REST {
            assert!(self.ticks < deadline, "not at rest after {PATIENCE} steps");
            self.step();
            if self.cluster.log.len() != length {
                (length, since) = (self.cluster.log.len(), self.ticks);
            }
        }
        end::check(&self.cluster);
        self.truth.check_end(&self.cluster, &self.agents, &self.managers);
    }

    /// Brings back what stands aside, with the right time.
    fn mend(&mut self) {
        self.faults = false;
        for manager in &mut self.managers {
            (manager.up, manager.cut, manager.ahead) = (true, false, Duration::ZERO);
        }
        for agent in &mut self.agents {
            (agent.up, agent.cut) = (true, false);
        }
        let nodes: Vec<NodeId> = self.agents.iter().map(|agent| agent.node).collect();
        nodes.into_iter().for_each(|node| self.turn(node, Availability::Active));
    }

    /// A user wants a node to be like that.
    fn turn(&mut self, node: NodeId, to: Availability) {
        let turn = self.cluster.turn(node, to);
        let group = self.cluster.group(turn);
        self.unanswered.push(group);
    }

    fn reaches_all(&self, manager: usize) -> bool {
        self.managers.get(manager).is_some_and(|it| it.up && !it.cut)
    }

    fn has_quorum(&self) -> bool {
        let there = self.managers.iter().filter(|it| it.up && !it.cut).count();
        there * 2 > self.managers.len()
    }

    /// A leader that lost its quorum leads no more; another stands after a while.
    fn elect(&mut self) {
        if self.seat.as_ref().is_some_and(|it| self.reaches_all(it.manager) && self.has_quorum()) {
            return;
        }
        self.unseat();
        let silent = self.managers.iter().filter(|it| it.up && !it.cut);
        let last = silent.map(|it| it.quorum_at).max().unwrap_or_default();
        let fit: Vec<usize> = (0..self.managers.len()).filter(|it| self.reaches_all(*it)).collect();
        if self.has_quorum() && self.boot >= last + ELECTION {
            let manager = self.dice.pick(&fit).unwrap();
            self.lead(manager);
        }
    }

    fn unseat(&mut self) {
        if let Some(seat) = self.seat.take() {
            self.managers[seat.manager].liveness.end();
        }
    }

    fn lead(&mut self, manager: usize) {
        self.cluster.now = self.wall.after(self.managers[manager].ahead);
        for (at, group) in std::mem::take(&mut self.late) {
            if self.dice.roll(2) == 0 {
                self.commit_at(at, vec![group]);
            }
        }
        let seed = self.dice.roll(u64::MAX);
        let leader = &mut self.managers[manager];
        leader.catch_up(&self.cluster.log, u64::MAX);
        leader.liveness.begin(self.boot);
        leader.quorum_at = self.boot;
        self.seat =
            Some(Seat { manager, driver: Driver::new(IdSource::seeded(seed)), since: self.boot });
    }

    /// Replicas come closer; whoever hears the leader knows of it.
    fn follow(&mut self) {
        let length = self.cluster.log.len() as u64;
        for (at, manager) in self.managers.iter_mut().enumerate() {
            if !manager.up || manager.cut || self.seat.is_none() {
                continue;
            }
            manager.quorum_at = self.boot;
            let applied = manager.state.snapshot().applied();
            let leads = self.seat.as_ref().is_some_and(|seat| seat.manager == at);
            let all = leads || !self.faults || self.dice.roll(3) == 0;
            let to = applied + if all { length } else { self.dice.roll(4) };
            manager.catch_up(&self.cluster.log, to);
        }
        if let Some(seat) = &self.seat {
            self.cluster.now = self.wall.after(self.managers[seat.manager].ahead);
        }
    }

    fn commit(&mut self, groups: Vec<Group>) -> Vec<Result<(), ProposeError>> {
        self.commit_at(self.cluster.now, groups)
    }

    /// Applies groups as one entry, which the leader's driver sees.
    fn commit_at(&mut self, at: Timestamp, groups: Vec<Group>) -> Vec<Result<(), ProposeError>> {
        let before = self.cluster.view();
        let requests: Vec<_> = groups.iter().map(|group| group.request).collect();
        let applied = self.cluster.apply_at(at, groups);
        self.truth.note(&requests, &applied);
        if let Some(seat) = &mut self.seat {
            seat.driver.note(&applied.events);
            self.managers[seat.manager].catch_up(&self.cluster.log, u64::MAX);
        }
        let after = self.cluster.view();
        // What all replicas take for the time: clocks of leaders differ.
        let (batch, now) = (&applied.events, after.at());
        self.rules.check(&Step { before: &before, after: &after, batch, now });
        let results = applied.results.into_iter();
        results.map(|it| it.map(|_| ()).map_err(ProposeError::Refused)).collect()
    }

    /// Proposes by way of a manager.
    fn propose(&mut self, from: usize, group: &Group) -> Result<(), ProposeError> {
        let unknown = || Err(ProposeError::Unknown { waited: Duration::ZERO });
        if self.seat.is_none() || !self.reaches_all(from) {
            return Err(ProposeError::Busy { retry_after: Duration::ZERO });
        }
        match if self.faults { self.dice.roll(40) } else { 40 } {
            0 => Err(ProposeError::Busy { retry_after: Duration::ZERO }),
            1 => {
                self.late.push((self.cluster.now, group.clone()));
                unknown()
            }
            // It happens, and the answer is lost.
            2 => {
                self.commit(vec![group.clone()]);
                unknown()
            }
            // The leader falls before it answers.
            3 => {
                self.late.push((self.cluster.now, group.clone()));
                self.unseat();
                unknown()
            }
            _ => {
                let outcome = self.commit(vec![group.clone()]).remove(0);
                // Who asked shows it from here on.
                self.managers[from].catch_up(&self.cluster.log, u64::MAX);
                outcome
            }
        }
    }

    fn change(&mut self, from: usize, change: Change) -> Result<(), ProposeError> {
        let group = self.cluster.group(change);
        self.propose(from, &group)
    }

    /// Users ask again for what they were not answered.
    fn wish(&mut self) {
        for group in std::mem::take(&mut self.unanswered) {
            let from = usize::try_from(self.dice.roll(self.managers.len() as u64)).unwrap();
            match self.propose(from, &group) {
                Ok(()) | Err(ProposeError::Refused(_)) => {}
                Err(_) => self.unanswered.push(group),
            }
        }
    }

    /// Rounds of the driver, until it has nothing to do or does not know how it stands.
    fn decide(&mut self) {
        for _ in 0..if self.faults { 2 } else { 20 } {
            let (view, now) = (self.cluster.view(), self.cluster.now);
            let Some(seat) = &mut self.seat else { return };
            let (manager, since) = (seat.manager, seat.since);
            if self.ticks.is_multiple_of(FULL_PASS) {
                seat.driver.look_at_everything();
            }
            let plan = seat.driver.round(&view, now);
            if plan.groups.is_empty() {
                return;
            }
            let mut came = Outcome::Refused;
            for group in plan.groups {
                let outcome = self.propose(manager, &group);
                // Whoever lost the lead decides no more, whatever it had decided.
                let Some(seat) = self.seat.as_mut().filter(|seat| seat.since == since) else {
                    return;
                };
                came = came.max(seat.driver.outcome(&group, &outcome));
            }
            if came == Outcome::Unknown {
                // The same leader, after a barrier.
                self.lead(manager);
            }
        }
    }

    /// The leader judges by what it hears itself, and by what others vouch for.
    fn judge(&mut self) {
        let Some(seat) = &self.seat else { return };
        let (at, boot, view) = (seat.manager, self.boot, self.cluster.view());
        let vouched: Vec<_> = (0..self.managers.len())
            .filter(|it| self.reaches_all(*it))
            .flat_map(|it| {
                self.managers[it].carried.iter().map(|(node, it)| (*node, it.id, it.heard))
            })
            .collect();
        for (node, session, heard) in vouched {
            self.managers[at].liveness.hear(node, session, heard);
            self.truth.vouched(node, session, heard);
        }
        let (nodes, period) =
            (view.nodes().map(AsRef::as_ref), TICK * u32::try_from(BEAT).unwrap());
        let since = seat.since;
        for silent in self.managers[at].liveness.judge(nodes, period * MISSED, TICK, boot).silent {
            self.truth.is_silent(&silent, boot, since);
            let (node, session) = (silent.node, silent.session);
            let message = "heartbeat failure".to_owned();
            // Given again with the next look when it is not agreed on.
            let _ = self.change(at, Change::NodeDown { node, session, message });
        }
    }
}

//! The simulator. [`Sim`] has real state, planner and driver; nodes that fail, proposals that are
//! lost or come late, leaders that change, and a clock of its own. [`Fleet`] adds the managers and
//! what is between them and the nodes. A seed gives one history.
//!
//! What must hold ([`rules`]) is checked after every entry. At the end the faults stop, and
//! everything has to come to rest by marks and wake-ups alone ([`end`]). A history that fails is
//! kept as a file in `scenarios/` and played again by every test run.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a broken rule has to stop the simulation")]

mod cluster;
mod dice;
mod end;
mod fleet;
mod room;
mod rules;
mod scenario;

use std::time::Duration;

use swarm_manager::{Driver, Outcome};
use swarm_raft::ProposeError;
use swarm_types::object::node::NodeState;
use swarm_types::spec::node::Availability;
use swarm_types::spec::service::ServiceMode;
use swarm_types::{Change, Group, IdSource, NodeId, ServiceId, TaskState};

pub use cluster::Cluster;
use dice::Dice;
pub use fleet::Fleet;
use rules::{Rules, Step};
pub use scenario::{InvalidScenario, Scenario};

/// Rounds in which a cluster without faults has to come to rest.
const ROUNDS: usize = 600;

/// A cluster under faults.
pub struct Sim {
    dice: Dice,
    cluster: Cluster,
    driver: Driver,
    rules: Rules,
    steps: u64,
    /// Proposed and not answered; each may still happen until a barrier is written.
    late: Vec<Group>,
    faults: bool,
}

impl Sim {
    /// A cluster of that many nodes to which nothing has happened yet.
    #[must_use]
    pub fn new(seed: u64, nodes: usize) -> Self {
        Self {
            dice: Dice(seed),
            cluster: Cluster::new(nodes),
            driver: Driver::new(IdSource::seeded(seed)),
            rules: Rules::default(),
            steps: 0,
            late: Vec::new(),
            faults: true,
        }
    }

    /// One thing happens, and the driver looks at it.
    pub fn step(&mut self) {
        self.happen();
        self.round();
    }

    /// Entries and rounds so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The faults stop and every node comes back: all has to come to rest, and to be as it
    /// should.
    ///
    /// # Panics
    ///
    /// When it is not.
    pub fn heal(&mut self) {
        self.calm(|_| Some(Availability::Active));
    }

    /// The faults stop, one node never comes back and another is drained: the others take over
    /// what they have room for.
    ///
    /// # Panics
    ///
    /// When they do not.
    pub fn lose(&mut self) {
        self.calm(|index| match index {
            0 => None,
            1 => Some(Availability::Drain),
            _ => Some(Availability::Active),
        });
    }

    /// Without faults, and with every node as it is wanted; `None` is down.
    fn calm(&mut self, wanted: impl Fn(usize) -> Option<Availability>) {
        self.faults = false;
        self.begin_again();
        let nodes: Vec<_> = self.cluster.view().nodes().cloned().collect();
        for (index, node) in nodes.iter().enumerate() {
            let is_up = node.status.state == NodeState::Ready;
            match wanted(index) {
                None => self.change(self.cluster.down(node.id)),
                Some(_) if is_up => {}
                Some(_) => {
                    let up = self.cluster.up(node.id);
                    self.change(up);
                }
            }
            let turn = self.cluster.turn(node.id, wanted(index).unwrap_or_default());
            self.change(turn);
        }
        self.settle();
        end::check(&self.cluster);
    }

    /// Two nodes never come back and every service is removed: nothing may be left.
    ///
    /// # Panics
    ///
    /// When something is.
    pub fn clear(&mut self) {
        self.faults = false;
        self.begin_again();
        let view = self.cluster.view();
        for (index, node) in view.nodes().enumerate() {
            let change =
                if index < 2 { self.cluster.down(node.id) } else { self.cluster.up(node.id) };
            self.change(change);
        }
        for service in view.services() {
            self.change(Change::RemoveService(service.id));
        }
        self.settle();
        let left = self.cluster.view().tasks().count();
        assert_eq!(left, 0, "tasks are left");
    }

    /// Applies groups as one entry, which the driver sees.
    fn commit(&mut self, groups: Vec<Group>) -> Vec<Result<(), ProposeError>> {
        self.steps += 1;
        let before = self.cluster.view();
        let applied = self.cluster.apply(groups);
        self.driver.note(&applied.events);
        let after = self.cluster.view();
        let (batch, now) = (&applied.events, self.cluster.now);
        self.rules.check(&Step { before: &before, after: &after, batch, now });
        let results = applied.results.into_iter();
        results.map(|it| it.map(|_| ()).map_err(ProposeError::Refused)).collect()
    }

    fn change(&mut self, change: Change) {
        let group = self.cluster.group(change);
        // What a node or a user says may be out of date by now.
        let _ = self.commit(vec![group]);
    }

    /// One round of the driver. True when it had nothing to do.
    fn round(&mut self) -> bool {
        self.steps += 1;
        let now = self.cluster.now;
        let plan = self.driver.round(&self.cluster.view(), now);
        if plan.groups.is_empty() {
            return !self.driver.is_due(now);
        }
        if self.faults && self.dice.roll(3) == 0 {
            // Nodes and users do not wait for the driver: some of its decisions are stale.
            self.happen();
        }
        let mut came = Outcome::Refused;
        for group in plan.groups {
            let outcome = self.propose(&group);
            came = came.max(self.driver.outcome(&group, &outcome));
        }
        if came == Outcome::Unknown || (self.faults && self.dice.roll(20) == 0) {
            self.begin_again();
        }
        false
    }

    fn propose(&mut self, group: &Group) -> Result<(), ProposeError> {
        match if self.faults { self.dice.roll(16) } else { 16 } {
            0 => Err(ProposeError::Busy { retry_after: Duration::ZERO }),
            1 => {
                self.late.push(group.clone());
                Err(ProposeError::Unknown { waited: Duration::ZERO })
            }
            _ => {
                let outcome = self.commit(vec![group.clone()]).remove(0);
                if let Err(ProposeError::Refused(refusal)) = &outcome {
                    use swarm_types::Refusal::{NotFound, Stale};
                    let by_version = matches!(refusal, Stale { .. } | NotFound(_));
                    assert!(by_version, "{refusal} of {group:?}");
                }
                outcome
            }
        }
    }

    /// Another leader, or the same one after a barrier: what is late happens now or never.
    fn begin_again(&mut self) {
        for group in std::mem::take(&mut self.late) {
            if self.dice.roll(2) == 0 {
                self.commit(vec![group]);
            }
        }
        self.driver = Driver::new(IdSource::seeded(self.dice.roll(u64::MAX)));
    }

    fn happen(&mut self) {
        let view = self.cluster.view();
        let nodes: Vec<NodeId> = view.nodes().map(|node| node.id).collect();
        let services: Vec<ServiceId> = view.services().map(|service| service.id).collect();
        let node = self.dice.pick(&nodes).unwrap();
        match self.dice.roll(24) {
            0 if services.len() < 5 => {
                let (kind, replicas) = (self.dice.roll(cluster::KINDS), self.dice.roll(6));
                let create = self.cluster.service(kind, replicas);
                self.change(create);
            }
            1 | 2 => {
                let replicas = self.dice.roll(8);
                if let Some(service) = self.dice.pick(&services) {
                    let mut spec = view.service(&service).unwrap().spec.clone();
                    if spec.mode != ServiceMode::Global {
                        spec.mode = ServiceMode::Replicated { replicas };
                    }
                    self.change(Change::UpdateService(service, Box::new(spec)));
                }
            }
            19 | 20 => {
                if let Some(service) = self.dice.pick(&services) {
                    let mut spec = view.service(&service).unwrap().spec.clone();
                    spec.task.force_update += 1;
                    self.change(Change::UpdateService(service, Box::new(spec)));
                }
            }
            3 if self.dice.roll(4) == 0 => {
                if let Some(service) = self.dice.pick(&services) {
                    self.change(Change::RemoveService(service));
                }
            }
            4 => self.change(self.cluster.down(node)),
            5 | 6 => {
                let up = self.cluster.up(node);
                self.change(up);
            }
            7 => {
                use Availability::{Active, Drain, Pause};
                let to = self.dice.pick(&[Active, Active, Drain, Pause]).unwrap();
                let turn = self.cluster.turn(node, to);
                self.change(turn);
            }
            8..=10 => {
                use TaskState::{Complete, Failed, Rejected, Shutdown};
                let state = self.dice.pick(&[Complete, Failed, Rejected, Shutdown]).unwrap();
                let tasks: Vec<_> =
                    view.tasks().filter(|it| it.may_run()).map(|it| it.id).collect();
                let report = self.dice.pick(&tasks).and_then(|it| self.cluster.report(it, state));
                report.into_iter().for_each(|report| self.change(report));
            }
            11..=13 => self.cluster.pass(Duration::from_millis(self.dice.roll(20_000))),
            14 if self.dice.roll(8) == 0 => {
                self.cluster.pass(Duration::from_secs(self.dice.roll(100_000)));
            }
            15..=18 => _ = self.obey(),
            _ => {}
        }
    }

    /// Every node that is up brings its tasks where they should be; with faults, only some.
    fn obey(&mut self) -> bool {
        let moves = self.cluster.moves();
        let any = !moves.is_empty();
        for report in moves {
            if !self.faults || self.dice.roll(3) != 0 {
                self.change(report);
            }
        }
        any
    }

    /// Without faults: until nobody has anything to do. Nothing but marks and wake-ups leads on.
    fn settle(&mut self) {
        for _ in 0..ROUNDS {
            let rests = self.round();
            if self.obey() || !rests {
                continue;
            }
            let plan = self.driver.round(&self.cluster.view(), self.cluster.now);
            assert!(plan.groups.is_empty());
            let Some(at) = plan.wake_at else { return };
            assert!(at > self.cluster.now, "a driver at rest wants to be woken at once");
            self.cluster.now = at;
        }
        panic!("not at rest after {ROUNDS} rounds");
    }
}

//! The driver under faults: the real state and planner, nodes that fail, proposals that are lost
//! or come late, leaders that change, and a clock of its own. A seed gives one history.
//!
//! What must hold is checked after every entry; at the end the faults stop, and everything has to
//! come to rest by marks and wake-ups alone.

mod cluster;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use swarm_planner::{Scope, plan};
use swarm_raft::ProposeError;
use swarm_state::{Batch, Event};
use swarm_types::object::node::NodeState;
use swarm_types::spec::node::Availability;
use swarm_types::spec::service::ServiceMode;
use swarm_types::{Change, Group, IdSource, NodeId, Object, ServiceId, Task, TaskState};

use self::cluster::{Cluster, MEMORY, PORT};
use super::driver::{Driver, Outcome};

/// Histories that are played.
const SEEDS: u64 = 30;
/// Things that happen in each.
const STEPS: usize = 250;
/// Rounds in which a cluster without faults has to come to rest.
const ROUNDS: usize = 600;

/// Numbers that look random and come from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let index = usize::try_from(self.roll(all.len().max(1) as u64)).unwrap();
        all.get(index).copied()
    }
}

struct Sim {
    dice: Dice,
    cluster: Cluster,
    driver: Driver,
    /// Proposed and not answered; each may still happen until a barrier is written.
    late: Vec<Group>,
    faults: bool,
}

impl Sim {
    fn new(seed: u64) -> Self {
        Self {
            dice: Dice(seed),
            cluster: Cluster::new(4),
            driver: Driver::new(IdSource::seeded(seed)),
            late: Vec::new(),
            faults: true,
        }
    }

    /// Applies groups as one entry, which the driver sees.
    fn commit(&mut self, groups: Vec<Group>) -> Vec<Result<(), ProposeError>> {
        let before = self.cluster.view();
        let applied = self.cluster.apply(groups);
        self.driver.note(&applied.events);
        check_growth(&applied.events);
        self.cluster.check_starts(&before);
        check_places(&self.cluster);
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
                let (kind, replicas) = (self.dice.roll(9), self.dice.roll(6));
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
                self.change(Cluster::turn(node, to));
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

/// What is wanted and observed of a task only grows.
fn check_growth(batch: &Batch) {
    for event in &batch.events {
        if let Event::Updated { old: Object::Task(old), new: Object::Task(new) } = event {
            assert!(old.desired <= new.desired, "{old:?} to {new:?}");
            assert!(old.status.state <= new.status.state, "{old:?} to {new:?}");
        }
    }
}

/// One task is wanted per place, and beside it at most one that a start-first update exchanges;
/// no port and no byte of a node is given twice.
fn check_places(cluster: &Cluster) {
    let view = cluster.view();
    let mut wanted: BTreeMap<_, Vec<&Arc<Task>>> = BTreeMap::new();
    for task in view.tasks().filter(|task| task.wanted()) {
        let node = task.node.filter(|_| task.template.global);
        wanted.entry((task.service().unwrap(), task.slot, node)).or_default().push(task);
    }
    for ((service, ..), tasks) in wanted {
        let most = 1 + usize::from(cluster.starts_first(service));
        assert!(tasks.len() <= most, "these are wanted in one place: {tasks:?}");
    }
    for node in view.nodes() {
        let tasks = || view.tasks_on_node(&node.id).filter(|task| task.may_run());
        let ports = tasks()
            .filter(|task| task.template.endpoint.ports.iter().any(|port| port.published == PORT));
        assert!(ports.count() <= 1, "a port of {} is given twice", node.id);
        let bytes: i64 = tasks().map(|task| task.spec().resources.reservations.memory_bytes).sum();
        assert!(bytes <= MEMORY, "{bytes} bytes of {} are reserved", node.id);
    }
}

/// Each service has its slots, of each of which the newest task runs, waits for room, or ended
/// for good; and nothing is left of services that are gone.
fn check_end(cluster: &Cluster) {
    let view = cluster.view();
    for service in view.services() {
        let places = match service.spec.mode {
            ServiceMode::Replicated { replicas } => usize::try_from(replicas).unwrap(),
            _ => view.nodes().count(),
        };
        let mut slots: BTreeMap<_, &Arc<Task>> = BTreeMap::new();
        for task in view.tasks_of_service(&service.id) {
            slots.insert((task.slot, task.node.filter(|_| task.template.global)), task);
        }
        assert_eq!(slots.len(), places, "{slots:?}");
        for newest in slots.into_values() {
            let runs = newest.wanted() && newest.status.state == TaskState::Running;
            let waits = newest.wanted() && newest.status.err.starts_with("no suitable node (");
            let limited = newest.spec().restart != Default::default();
            let ended = limited && !newest.wanted() && newest.status.state.is_terminal();
            assert!(runs || waits || ended, "{newest:?}");
        }
    }
    for task in view.tasks() {
        assert!(view.service(&task.service().unwrap()).is_some(), "{task:?} is left");
        assert!(task.wanted() || task.status.state.is_terminal(), "{task:?} lingers");
    }
    let mut ids = IdSource::seeded(0);
    let rest = plan(&view, Scope::All, &mut ids, cluster.now);
    assert!(rest.groups.is_empty(), "a full pass finds more to do: {rest:?}");
}

#[test]
fn whatever_fails_the_cluster_keeps_its_word_and_comes_to_rest() {
    for seed in 0..SEEDS {
        let mut sim = Sim::new(seed);
        for _ in 0..STEPS {
            sim.happen();
            sim.round();
        }

        sim.faults = false;
        sim.begin_again();
        let nodes: Vec<_> = sim.cluster.view().nodes().cloned().collect();
        for node in nodes {
            if node.status.state != NodeState::Ready {
                let up = sim.cluster.up(node.id);
                sim.change(up);
            }
            sim.change(Cluster::turn(node.id, Availability::Active));
        }
        sim.settle();

        check_end(&sim.cluster);
    }
}

/// The bytes a node has are all given, and taken back, however long a node is away.
#[test]
fn a_node_that_never_comes_back_leaves_nothing_behind() {
    for seed in 0..SEEDS / 4 {
        let mut sim = Sim::new(seed);
        for _ in 0..STEPS {
            sim.happen();
            sim.round();
        }

        sim.faults = false;
        sim.begin_again();
        let view = sim.cluster.view();
        for (index, node) in view.nodes().enumerate() {
            let change =
                if index < 2 { sim.cluster.down(node.id) } else { sim.cluster.up(node.id) };
            sim.change(change);
        }
        for service in view.services() {
            sim.change(Change::RemoveService(service.id));
        }
        sim.settle();

        assert_eq!(sim.cluster.view().tasks().count(), 0);
    }
}

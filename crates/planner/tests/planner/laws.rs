//! What holds whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use swarm_planner::{Dirty, Scope, plan, round};
use swarm_types::object::service::{UpdateState, UpdateStatus};
use swarm_types::spec::node::{Availability, NodeSpec};
use swarm_types::spec::service::{
    FailureAction, ServiceMode, ServiceSpec, UpdateConfig, UpdateOrder,
};
use swarm_types::{Change, IdSource, Node, NodeId, Service, ServiceId, Task, TaskState};

use crate::world::{World, host_port};

/// Something that happens to a cluster. Numbers choose among what is there.
#[derive(Clone, Debug)]
enum Happens {
    Create { replicas: u64, kind: u8 },
    Scale { service: usize, replicas: u64 },
    Remove { service: usize },
    Update { service: usize, constraint: u8 },
    Rollback { service: usize },
    Label { node: usize, label: u8 },
    End { task: usize, state: TaskState },
    Turn { node: usize, to: Availability },
    Down { node: usize },
    Up { node: usize },
    Obey,
    Pass { seconds: u64 },
    Plan,
}

fn happens() -> impl Strategy<Value = Happens> {
    use Happens::*;
    let state = prop_oneof![
        Just(TaskState::Failed),
        Just(TaskState::Complete),
        Just(TaskState::Rejected),
        Just(TaskState::Shutdown)
    ];
    let to = prop_oneof![
        Just(Availability::Active),
        Just(Availability::Pause),
        Just(Availability::Drain)
    ];
    prop_oneof![
        2 => (0..6u64, 0..11u8).prop_map(|(replicas, kind)| Create { replicas, kind }),
        3 => (any::<usize>(), 0..8u64)
            .prop_map(|(service, replicas)| Scale { service, replicas }),
        1 => any::<usize>().prop_map(|service| Remove { service }),
        3 => (any::<usize>(), 0..4u8)
            .prop_map(|(service, constraint)| Update { service, constraint }),
        1 => any::<usize>().prop_map(|service| Rollback { service }),
        1 => (any::<usize>(), 0..2u8).prop_map(|(node, label)| Label { node, label }),
        4 => (any::<usize>(), state).prop_map(|(task, state)| End { task, state }),
        2 => (any::<usize>(), to).prop_map(|(node, to)| Turn { node, to }),
        2 => any::<usize>().prop_map(|node| Down { node }),
        2 => any::<usize>().prop_map(|node| Up { node }),
        4 => Just(Obey),
        3 => (1..90u64).prop_map(|seconds| Pass { seconds }),
        4 => Just(Plan),
    ]
}

fn pick<T: Copy>(all: &[T], index: usize) -> Option<T> {
    if all.is_empty() { None } else { Some(all[index % all.len()]) }
}

impl World {
    fn is_global(&self, service: ServiceId) -> bool {
        let view = self.view();
        view.service(&service).is_some_and(|it| it.spec.mode == ServiceMode::Global)
    }

    fn services(&self) -> Vec<ServiceId> {
        self.view().services().map(|service| service.id).collect()
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.view().nodes().map(|node| node.id).collect()
    }

    fn happen(&mut self, what: &Happens) {
        let (services, nodes) = (self.services(), self.nodes());
        match *what {
            Happens::Create { replicas, kind } => {
                self.service_of(replicas, |spec| special(spec, kind));
            }
            Happens::Scale { service, replicas } => {
                if let Some(service) = pick(&services, service)
                    && !self.is_global(service)
                {
                    self.scale(service, replicas);
                }
            }
            Happens::Remove { service } => {
                if let Some(service) = pick(&services, service) {
                    self.change(Change::RemoveService(service));
                }
            }
            Happens::Update { service, constraint } => {
                if let Some(service) = pick(&services, service) {
                    self.update(service, |spec| change(spec, constraint));
                }
            }
            Happens::Rollback { service } => {
                if let Some(service) = pick(&services, service) {
                    let status = UpdateStatus {
                        state: UpdateState::RollbackStarted,
                        started_at: Some(self.now),
                        completed_at: None,
                        message: "manually requested rollback".to_owned(),
                    };
                    let back = Change::RollbackService(service, Box::new(status));
                    // One that was never updated has nothing to return to.
                    let _ = self.try_change(back);
                }
            }
            Happens::Label { node, label } => {
                if let Some(node) = pick(&nodes, node) {
                    let mut spec = NodeSpec::default();
                    spec.annotations.labels.insert("disk".to_owned(), label.to_string());
                    self.change(Change::UpdateNode(node, spec));
                }
            }
            Happens::End { task, state } => {
                let tasks: Vec<_> =
                    self.view().tasks().filter(|it| it.may_run()).map(|it| it.id).collect();
                if let Some(task) = pick(&tasks, task) {
                    self.report(task, state);
                }
            }
            Happens::Turn { node, to } => {
                pick(&nodes, node).into_iter().for_each(|it| self.set_availability(it, to));
            }
            Happens::Down { node } => pick(&nodes, node).into_iter().for_each(|it| self.down(it)),
            Happens::Up { node } => pick(&nodes, node).into_iter().for_each(|it| self.up(it)),
            Happens::Obey => _ = self.obey(),
            Happens::Pass { seconds } => self.pass(Duration::from_secs(seconds)),
            Happens::Plan => _ = self.step(),
        }
    }
}

/// A change of the tasks' template, or of the placement alone.
fn change(spec: &mut ServiceSpec, constraint: u8) {
    match constraint {
        0 | 1 => spec.task.placement.constraints = vec![format!("node.labels.disk!={constraint}")],
        2 => spec.task.placement.constraints.clear(),
        _ => spec.task.force_update += 1,
    }
}

fn special(spec: &mut ServiceSpec, kind: u8) {
    use swarm_types::spec::task::RestartCondition;
    let config = UpdateConfig::default();
    match kind {
        6 => spec.mode = ServiceMode::Global,
        7 => {
            spec.mode = ServiceMode::Global;
            spec.update = Some(UpdateConfig { order: UpdateOrder::StartFirst, ..config });
        }
        8 => spec.update = Some(UpdateConfig { order: UpdateOrder::StartFirst, ..config }),
        9 => {
            let delay = Duration::from_secs(20);
            spec.update = Some(UpdateConfig { parallelism: 2, delay, ..config });
        }
        10 => {
            let (failure_action, max_failure_millionths) = (FailureAction::Rollback, 300_000);
            spec.update = Some(UpdateConfig { failure_action, max_failure_millionths, ..config });
        }
        1 => spec.task.restart.condition = RestartCondition::None,
        2 => spec.task.restart.condition = RestartCondition::OnFailure,
        3 => spec.task.restart.max_attempts = 2,
        4 => spec.endpoint = host_port(80),
        5 => spec.task.placement.max_replicas = 1,
        _ => {}
    }
}

/// A cluster of three nodes to which all of that happened.
fn after(history: &[Happens]) -> World {
    let mut world = World::new(3);
    for what in history {
        world.happen(what);
        check(&world);
    }
    world
}

/// What holds after every single step.
fn check(world: &World) {
    let view = world.view();
    let mut wanted: BTreeMap<_, Vec<&Task>> = BTreeMap::new();
    for task in view.tasks().filter(|task| task.wanted()) {
        let node = task.node.filter(|_| task.template.global);
        let place = (task.service().expect("all have one"), task.slot, node);
        wanted.entry(place).or_default().push(task);
    }
    for ((service, slot, node), tasks) in wanted {
        let beside = usize::from(world.starts_first(service));
        assert!(tasks.len() <= 1 + beside, "too many in {slot} {node:?}: {tasks:?}");
        assert_eq!(slot == 0, node.is_some());
    }
    ports(world);
}

/// No two tasks hold one port of a node.
fn ports(world: &World) {
    let view = world.view();
    for node in view.nodes() {
        let holders = view.tasks_on_node(&node.id).filter(|task| task.may_run());
        let holders = holders.filter(|task| !task.template.endpoint.ports.is_empty());
        assert!(holders.count() <= 1, "two tasks have port 80 of {}", node.id);
    }
}

/// Every node that satisfies the constraints has a task, and no other has.
fn everywhere(world: &World, service: &Service) -> Result<(), TestCaseError> {
    let unfit = |node: &Node| {
        let disk = node.spec.annotations.labels.get("disk").cloned().unwrap_or_default();
        service.spec.task.placement.constraints.contains(&format!("node.labels.disk!={disk}"))
    };
    for node in world.view().nodes() {
        let found = world.count_on(service.id, node.id);
        prop_assert_eq!(found, usize::from(!unfit(node)), "{:?}", world.tasks(service.id));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, failure_persistence: None, ..ProptestConfig::default() })]

    /// A plan and what its own removals call for are all: after that there is nothing to do.
    #[test]
    fn a_plan_settles(history in vec(happens(), 0..60)) {
        let mut world = after(&history);

        let rounds = world.settle();

        prop_assert!(rounds <= 6, "{rounds} rounds");
        prop_assert!(world.plan(Scope::All).groups.is_empty(), "a full pass finds more to do");
        check(&world);
    }

    /// With every node back and time to stop and start, each service has its slots and no more.
    #[test]
    fn everything_comes_to_rest(history in vec(happens(), 0..60)) {
        let mut world = after(&history);
        for node in world.nodes() {
            world.set_availability(node, Availability::Active);
            world.up(node);
        }
        for _ in 0..4 {
            world.run();
            world.pass(Duration::from_secs(600));
        }
        world.run();

        let view = world.view();
        for service in view.services() {
            let tasks = world.tasks(service.id);
            let status = service.update_status.as_ref().map(|status| status.state);
            let moves = matches!(status, Some(UpdateState::Updating | UpdateState::RollbackStarted));
            let waits = tasks.iter().any(|it| it.status.err.contains("no suitable node ("));
            prop_assert!(!moves || waits, "{:?}: {:?}", service.update_status, tasks);
            let ServiceMode::Replicated { replicas } = service.spec.mode else {
                everywhere(&world, service)?;
                continue;
            };
            let slots: BTreeSet<u64> = tasks.iter().map(|it| it.slot).collect();
            prop_assert_eq!(slots.len() as u64, replicas, "{:?}", tasks);
        }
        for task in view.tasks() {
            let service = task.service().expect("all have one");
            prop_assert!(view.service(&service).is_some(), "the service of {:?} is gone", task);
            let place = task.status.state == TaskState::Running || !task.wanted();
            let has_to_wait = task.status.err.contains("no suitable node (");
            prop_assert!(place || has_to_wait, "{:?}", task);
        }
    }

    /// The same snapshot, seed and time give the same plan; the marks find what a full pass does.
    #[test]
    fn plans_are_deterministic(history in vec(happens(), 0..40), seed: u64) {
        let mut world = after(&history);
        let view = world.view();
        let all = |seed| plan(&view, Scope::All, &mut IdSource::seeded(seed), world.now);

        prop_assert_eq!(all(seed), all(seed));
        world.settle();
        let mut late = Dirty::default();
        late.mark(Scope::All);
        let plan = round(&world.view(), &mut late, &mut IdSource::seeded(seed), world.now);
        prop_assert!(plan.groups.is_empty());
    }

    /// A driver that follows the events decides the same as one that starts from the snapshot.
    #[test]
    fn following_the_events_is_as_good_as_a_fresh_look(history in vec(happens(), 0..40), seed: u64) {
        let mut world = after(&history);
        world.settle();
        let web = world.service(4);

        let fresh = plan(&world.view(), Scope::Service(web), &mut IdSource::seeded(seed), world.now);
        let view = world.view();
        let followed = round(&view, &mut world.dirty, &mut IdSource::seeded(seed), world.now);

        prop_assert_eq!(fresh.groups, followed.groups);
    }

    /// However slow the nodes are, and wherever the leader changes: no more places than the
    /// parallelism says are without a running task, or have two.
    #[test]
    fn an_update_never_exceeds_its_parallelism(
        (replicas, parallelism, delay) in (1..8u64, 1..4u64, 0..2u64),
        start_first: bool,
        turns in vec((any::<usize>(), any::<bool>()), 0..80),
    ) {
        let mut world = World::new(3);
        let order = if start_first { UpdateOrder::StartFirst } else { UpdateOrder::StopFirst };
        let delay = Duration::from_secs(delay);
        let web = world.service_of(replicas, |spec| {
            spec.update =
                Some(UpdateConfig { parallelism, order, delay, ..UpdateConfig::default() });
        });
        world.run();
        world.update(web, |spec| spec.task.force_update += 1);

        for (pace, leaves) in turns {
            if leaves {
                world.dirty = Dirty::default();
                world.dirty.mark(Scope::All);
            }
            let plan = world.step();
            if plan.groups.is_empty() && world.obey_some(pace) == 0 && let Some(at) = plan.wake_at {
                world.now = at;
            }
            let mut runs: BTreeMap<u64, usize> = (1..=replicas).map(|slot| (slot, 0)).collect();
            for task in world.wanted(web) {
                let counts = start_first || task.status.state == TaskState::Running;
                *runs.entry(task.slot).or_default() += usize::from(counts);
            }
            let out = runs.values().filter(|count| **count != 1).count();
            prop_assert!(out as u64 <= parallelism, "{out} places are exchanged at once");
        }
        prop_assert_eq!(world.finish(web), Some(UpdateState::Completed));
    }

    /// Slots that were never scaled down are numbered from 1 without a gap.
    #[test]
    fn scaling_up_leaves_no_gap(steps in vec(0..5u64, 1..6), nodes in 1..4usize) {
        let mut world = World::new(nodes);
        let web = world.service(0);
        let mut replicas = 0;
        for step in steps {
            replicas += step;
            world.scale(web, replicas);
            world.run();
            prop_assert_eq!(world.slots(web), (1..=replicas).collect::<Vec<_>>());
        }
    }

    /// Tasks of a service differ by at most one between nodes that are alike.
    #[test]
    fn services_are_spread_evenly(replicas in vec(0..20u64, 1..5), nodes in 1..6usize) {
        let mut world = World::new(nodes);
        let services: Vec<ServiceId> = replicas.into_iter().map(|it| world.service(it)).collect();

        world.settle();

        for service in services {
            let counts: Vec<usize> =
                world.nodes().iter().map(|node| world.count_on(service, *node)).collect();
            let (min, max) = (counts.iter().min(), counts.iter().max());
            prop_assert!(max.zip(min).is_some_and(|(max, min)| max - min <= 1), "{counts:?}");
        }
    }

    /// What other services have costs nothing: only nodes and the service's own tasks count.
    #[test]
    fn unrelated_services_cost_nothing(others in 0..30u64, own in 1..10u64) {
        let mut world = World::new(3);
        let web = world.service(own);
        world.run();
        (0..others).for_each(|_| _ = world.service(5));
        world.run();

        world.scale(web, own + 1);
        let plan = world.step();

        prop_assert_eq!(plan.groups.len(), 1);
        let (own, nodes) = (usize::try_from(own).expect("small"), 3);
        prop_assert!(plan.examined <= 2 * own + nodes + 2, "{}", plan.examined);
    }
}

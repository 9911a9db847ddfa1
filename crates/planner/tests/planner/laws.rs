//! What holds whatever happens.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use swarm_planner::{Dirty, Scope, plan, round};
use swarm_types::spec::node::Availability;
use swarm_types::{IdSource, NodeId, ServiceId, Task, TaskState};

use crate::world::{World, host_port};

/// Something that happens to a cluster. Numbers choose among what is there.
#[derive(Clone, Debug)]
enum Happens {
    Create { replicas: u64, kind: u8 },
    Scale { service: usize, replicas: u64 },
    Remove { service: usize },
    Update { service: usize },
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
        2 => (0..6u64, 0..6u8).prop_map(|(replicas, kind)| Create { replicas, kind }),
        3 => (any::<usize>(), 0..8u64)
            .prop_map(|(service, replicas)| Scale { service, replicas }),
        1 => any::<usize>().prop_map(|service| Remove { service }),
        1 => any::<usize>().prop_map(|service| Update { service }),
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
                if let Some(service) = pick(&services, service) {
                    self.scale(service, replicas);
                }
            }
            Happens::Remove { service } => {
                if let Some(service) = pick(&services, service) {
                    self.change(swarm_types::Change::RemoveService(service));
                }
            }
            Happens::Update { service } => {
                if let Some(service) = pick(&services, service) {
                    self.update(service, |spec| spec.task.force_update += 1);
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

fn special(spec: &mut swarm_types::spec::service::ServiceSpec, kind: u8) {
    use swarm_types::spec::task::RestartCondition;
    match kind {
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
    let mut wanted: BTreeMap<(ServiceId, u64), Vec<&Task>> = BTreeMap::new();
    for task in view.tasks().filter(|task| task.wanted()) {
        let place = (task.service().expect("all have one"), task.slot);
        wanted.entry(place).or_default().push(task);
    }
    for (place, tasks) in wanted {
        assert_eq!(tasks.len(), 1, "two tasks are wanted in {place:?}: {tasks:?}");
        assert!(place.1 >= 1);
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// A plan and what its own removals call for are all: after that there is nothing to do.
    #[test]
    fn a_plan_settles(history in vec(happens(), 0..60)) {
        let mut world = after(&history);

        let rounds = world.settle();

        prop_assert!(rounds <= 3, "{rounds} rounds");
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
            let swarm_types::spec::service::ServiceMode::Replicated { replicas } = service.spec.mode
            else { unreachable!("all are replicated") };
            let tasks = world.tasks(service.id);
            let slots: std::collections::BTreeSet<u64> = tasks.iter().map(|it| it.slot).collect();
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

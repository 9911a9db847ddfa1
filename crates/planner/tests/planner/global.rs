//! One task on every node that suits (engine.md 7.2: 39, 40, 51).

use std::collections::BTreeMap;
use std::time::Duration;

use swarm_planner::{Reason, Scope};
use swarm_types::spec::node::{Availability, NodeSpec};
use swarm_types::spec::service::{ServiceMode, ServiceSpec};
use swarm_types::spec::task::{Platform, RestartCondition, RestartPolicy};
use swarm_types::{Change, NodeId, ServiceId, TaskState};

use crate::world::World;

/// A global service that runs on all of that many nodes.
fn everywhere(nodes: usize, edit: impl FnOnce(&mut ServiceSpec)) -> (World, ServiceId) {
    let mut world = World::new(nodes);
    let web = world.service_of(0, |spec| {
        spec.mode = ServiceMode::Global;
        spec.task.restart.delay = Duration::ZERO;
        edit(spec);
    });
    world.run();
    (world, web)
}

/// The nodes a task is wanted on, each with the task's state.
fn on(world: &World, web: ServiceId) -> BTreeMap<NodeId, TaskState> {
    let wanted = world.wanted(web);
    let nodes: BTreeMap<_, _> =
        wanted.iter().map(|it| (it.node.expect("preset"), it.status.state)).collect();
    assert_eq!(nodes.len(), wanted.len(), "one task per node: {wanted:?}");
    nodes
}

fn first(world: &World) -> NodeId {
    world.view().nodes().next().expect("there are nodes").id
}

fn label(world: &mut World, node: NodeId, value: &str) {
    let mut spec = NodeSpec::default();
    spec.annotations.labels.insert("disk".to_owned(), value.to_owned());
    world.change(Change::UpdateNode(node, spec));
}

fn on_ssd(spec: &mut ServiceSpec) {
    spec.task.placement.constraints = vec!["node.labels.disk==ssd".to_owned()];
}

#[test]
fn every_node_has_one_task_also_one_that_joins() {
    let (mut world, web) = everywhere(2, |_| {});
    assert_eq!(on(&world, web).len(), 2);

    let third = world.node();
    world.run();

    let tasks = on(&world, web);
    assert_eq!((tasks.len(), tasks[&third]), (3, TaskState::Running));
    assert!(world.wanted(web).iter().all(|task| task.slot == 0));
    assert_eq!(world.settle(), 0);
}

#[test]
fn a_node_that_joins_costs_what_it_has() {
    let (mut world, web) = everywhere(20, |_| {});
    let other = world.service(40);
    world.run();

    let new = world.node();
    let plan = world.step();

    assert_eq!(plan.groups.len(), 1);
    // The new place, and its node twice: for what waits, and for what it has room for.
    assert!(plan.examined <= 8, "{}", plan.examined);
    assert!(on(&world, web).contains_key(&new) && world.count_on(other, new) == 0);
}

#[test]
fn a_drained_or_lost_node_gives_its_task_up_and_gets_one_when_it_is_back() {
    let (mut world, web) = everywhere(3, |spec| {
        spec.task.restart.condition = RestartCondition::None;
    });
    let node = first(&world);

    world.set_availability(node, Availability::Drain);
    world.run();
    assert!(!on(&world, web).contains_key(&node) && on(&world, web).len() == 2);
    world.set_availability(node, Availability::Active);
    world.run();
    assert_eq!(on(&world, web)[&node], TaskState::Running);

    world.down(node);
    world.run();
    assert_eq!(on(&world, web).len(), 2);
    world.up(node);
    world.settle();
    let new = world.wanted(web).into_iter().find(|it| it.node == Some(node)).expect("a new one");
    assert_eq!(new.desired, TaskState::Ready, "the old one has to stop first");
    world.run();
    assert_eq!(on(&world, web)[&node], TaskState::Running);
}

#[test]
fn a_node_that_is_removed_takes_its_tasks_along() {
    let (mut world, web) = everywhere(2, |_| {});
    let node = first(&world);
    world.down(node);
    world.run();

    world.change(Change::RemoveNode { node, refuse_until: world.now });
    world.run();

    assert!(world.tasks(web).iter().all(|task| task.node != Some(node)));
    assert_eq!(on(&world, web).len(), 1);
}

#[test]
fn labels_and_constraints_say_which_nodes_have_a_task() {
    let (mut world, web) = everywhere(3, on_ssd);
    let node = first(&world);
    assert!(on(&world, web).is_empty());

    label(&mut world, node, "ssd");
    world.run();
    assert_eq!(on(&world, web).into_keys().collect::<Vec<_>>(), [node]);

    label(&mut world, node, "tape");
    let plan = world.step();
    assert_eq!(plan.why[0].reason, Reason::NodeUnfit);
    world.run();
    assert!(on(&world, web).is_empty());

    world.update(web, |spec| {
        spec.task.placement.constraints = vec!["node.labels.disk!=ssd".to_owned()];
    });
    world.run();
    assert_eq!(on(&world, web).len(), 3);
}

#[test]
fn a_constraint_that_comes_later_ends_tasks_where_it_does_not_hold_and_keeps_the_others() {
    let (mut world, web) = everywhere(3, |_| {});
    let node = first(&world);
    label(&mut world, node, "ssd");
    world.run();
    let kept = world.wanted(web).into_iter().find(|it| it.node == Some(node)).expect("it runs");

    world.update(web, on_ssd);
    world.run();

    let wanted = world.wanted(web);
    assert_eq!(wanted.iter().map(|it| it.id).collect::<Vec<_>>(), [kept.id]);
}

#[test]
fn a_platform_the_image_does_not_have_gets_no_task() {
    let (world, web) = everywhere(2, |spec| {
        let platform = Platform { os: "linux".to_owned(), architecture: "s390x".to_owned() };
        spec.task.placement.platforms = vec![platform];
    });

    assert!(on(&world, web).is_empty());
}

#[test]
fn a_task_that_finds_no_room_waits_for_its_node_and_says_why() {
    let (mut world, web) = everywhere(1, |spec| {
        spec.task.resources.reservations.memory_bytes = 9 << 30;
    });
    let node = first(&world);

    let task = world.wanted(web).remove(0);
    assert_eq!((task.node, task.status.state), (Some(node), TaskState::Pending));
    assert_eq!(task.status.err, "no suitable node (insufficient resources on 1 node)");
    assert_eq!(world.settle(), 0);
}

#[test]
fn a_failed_task_is_replaced_on_its_node_after_the_delay() {
    let (mut world, web) = everywhere(2, |spec| spec.task.restart = RestartPolicy::default());
    let node = first(&world);
    let old = world.wanted(web).into_iter().find(|it| it.node == Some(node)).expect("it runs");

    world.report(old.id, TaskState::Failed);
    world.run();

    let new = world.wanted(web).into_iter().find(|it| it.node == Some(node)).expect("another");
    assert_eq!((new.replaces, new.desired), (Some(old.id), TaskState::Ready));
    world.pass(new.start_after.since(world.now));
    world.run();
    assert_eq!(world.task(new.id).status.state, TaskState::Running);
}

#[test]
fn a_paused_node_keeps_its_task_and_gets_no_other() {
    let (mut world, web) = everywhere(2, |_| {});
    let node = first(&world);
    let task = world.wanted(web).into_iter().find(|it| it.node == Some(node)).expect("it runs");
    world.set_availability(node, Availability::Pause);
    assert_eq!(world.settle(), 0);

    world.report(task.id, TaskState::Failed);
    world.run();
    assert!(!on(&world, web).contains_key(&node));
    world.update(web, |spec| spec.task.force_update += 1);
    world.run();
    assert!(!on(&world, web).contains_key(&node), "not even for a new spec");

    world.set_availability(node, Availability::Active);
    world.run();
    assert_eq!(on(&world, web)[&node], TaskState::Running);
}

#[test]
fn what_ended_for_good_is_not_recreated_until_the_spec_changes() {
    let (mut world, web) = everywhere(2, |spec| {
        spec.task.restart.condition = RestartCondition::None;
    });
    let node = first(&world);
    let task = world.wanted(web).into_iter().find(|it| it.node == Some(node)).expect("it runs");
    world.report(task.id, TaskState::Failed);
    world.run();
    world.update(web, |spec| _ = spec.annotations.labels.insert("a".into(), "b".into()));
    world.run();
    assert_eq!(on(&world, web).len(), 1);
    assert!(world.plan(Scope::All).groups.is_empty());

    world.update(web, |spec| spec.task.force_update += 1);
    world.finish(web);

    assert_eq!(on(&world, web).len(), 2);
}

#[test]
fn an_update_goes_from_node_to_node() {
    let (mut world, web) = everywhere(3, |_| {});
    world.update(web, |spec| spec.task.force_update += 1);

    world.settle();
    let version = world.view().service(&web).expect("it is there").meta.spec_version;
    let new =
        |world: &World| world.wanted(web).iter().filter(|it| it.spec_version() == version).count();
    assert_eq!(new(&world), 1);
    world.finish(web);

    assert_eq!((new(&world), on(&world, web).len()), (3, 3));
}

#[test]
fn an_exchange_on_a_node_that_was_paused_since_holds_up_the_next() {
    let (mut world, web) = everywhere(3, |_| {});
    world.update(web, |spec| spec.task.force_update += 1);
    world.settle();
    let version = world.view().service(&web).expect("it is there").meta.spec_version;
    let new = |world: &World| {
        let wanted = world.wanted(web).into_iter();
        wanted.filter(|it| it.spec_version() == version).collect::<Vec<_>>()
    };
    let first = new(&world).remove(0);
    let node = first.node.expect("preset");

    world.set_availability(node, Availability::Pause);
    world.settle();
    assert_eq!(new(&world).iter().map(|it| it.id).collect::<Vec<_>>(), [first.id]);

    world.finish(web);
    assert_eq!((new(&world).len(), on(&world, web).len()), (3, 3));
}

//! Tasks whose node does not suit them any more (engine.md 2.10; 7.2: 51).

use swarm_planner::Scope;
use swarm_types::object::node::NodeDescription;
use swarm_types::spec::node::{Availability, NodeRole, NodeSpec};
use swarm_types::{Change, NodeId, OpenSession, ServiceId, TaskState};

use crate::world::World;

/// Two nodes of which the first is labelled, and a service that wants the label.
fn labelled() -> (World, ServiceId, NodeId, NodeId) {
    let mut world = World::new(2);
    let nodes: Vec<NodeId> = world.view().nodes().map(|node| node.id).collect();
    label(&mut world, nodes[0], "ssd", Availability::Active);
    let web = world.service_of(2, |spec| {
        spec.task.placement.constraints = vec!["node.labels.disk==ssd".to_owned()];
    });
    world.run();
    assert_eq!(world.count_on(web, nodes[0]), 2);
    (world, web, nodes[0], nodes[1])
}

fn label(world: &mut World, node: NodeId, value: &str, availability: Availability) {
    let mut spec = NodeSpec { availability, ..NodeSpec::default() };
    spec.annotations.labels.insert("disk".to_owned(), value.to_owned());
    world.change(Change::UpdateNode(node, spec));
}

/// The node has only that much memory from now on.
fn shrink(world: &mut World, node: NodeId, memory_bytes: i64) {
    let found = world.view().node(&node).expect("it is there").clone();
    let (session, fresh) = (found.session.clone().expect("it has one"), world.session());
    let description = NodeDescription { memory_bytes, ..found.description.clone() };
    world.change(Change::OpenSession(Box::new(OpenSession {
        node,
        session: fresh,
        manager: session.manager,
        boot_id: session.boot_id,
        description: Box::new(description),
        addr: found.status.addr.clone(),
    })));
}

#[test]
fn a_label_that_goes_takes_the_tasks_along_that_want_it() {
    let (mut world, web, first, second) = labelled();
    label(&mut world, second, "ssd", Availability::Active);
    assert_eq!(world.settle(), 0);

    label(&mut world, first, "tape", Availability::Active);
    world.settle();
    let held = world.wanted(web);
    assert!(held.iter().all(|it| it.node == Some(second) && it.desired == TaskState::Ready));
    world.run();

    assert_eq!((world.count_on(web, second), world.slots(web)), (2, vec![1, 2]));
    assert!(world.wanted(web).iter().all(|it| it.status.state == TaskState::Running));
}

#[test]
fn a_paused_node_may_lose_what_its_tasks_want() {
    let (mut world, web, first, _) = labelled();

    label(&mut world, first, "tape", Availability::Pause);
    assert_eq!(world.settle(), 0);
    label(&mut world, first, "tape", Availability::Active);
    world.run();

    assert_eq!(world.count_on(web, first), 0);
    assert!(world.wanted(web).iter().all(|it| it.status.state == TaskState::Pending));
}

/// A task whose placement was replaced while it ran keeps the spec it was made with.
#[test]
fn what_the_service_wants_now_counts_and_not_what_its_task_was_made_for() {
    let (mut world, web, first, _) = labelled();
    let before: Vec<_> = world.wanted(web).iter().map(|it| it.id).collect();
    world.update(web, |spec| spec.task.placement.constraints.clear());
    world.run();

    label(&mut world, first, "tape", Availability::Active);
    world.run();

    let after: Vec<_> = world.wanted(web).iter().map(|it| it.id).collect();
    assert_eq!((after, world.count_on(web, first)), (before, 2));
}

#[test]
fn a_role_counts_as_certified() {
    let mut world = World::new(2);
    let node = world.view().nodes().next().expect("a node").id;
    world.change(Change::SetNodeRole(node, NodeRole::Manager));
    let second = world.view().nodes().nth(1).expect("two").id;
    world.change(Change::SetNodeRole(second, NodeRole::Manager));
    let web = world.service_of(2, |spec| {
        spec.task.placement.constraints = vec!["node.role==manager".to_owned()];
    });
    world.run();
    assert_eq!((world.count_on(web, node), world.count_on(web, second)), (1, 1));

    world.change(Change::SetNodeRole(node, NodeRole::Worker));
    world.run();

    assert_eq!((world.count_on(web, node), world.count_on(web, second)), (0, 2));
}

#[test]
fn a_node_that_shrinks_keeps_the_oldest_tasks_it_has_room_for() {
    let mut world = World::new(1);
    let node = world.view().nodes().next().expect("a node").id;
    let web = world.service_of(4, |spec| {
        spec.task.resources.reservations.memory_bytes = 2 << 30;
    });
    world.run();
    assert_eq!(world.count_on(web, node), 4);

    shrink(&mut world, node, 5 << 30);
    world.run();

    assert_eq!(world.count_on(web, node), 2);
    let wanted = world.wanted(web);
    let (run, wait): (Vec<_>, Vec<_>) = wanted.iter().partition(|it| it.node.is_some());
    assert_eq!((run.len(), wait.len()), (2, 2));
    assert!(run.iter().all(|it| it.replaces.is_none()), "nothing was moved to no end");
    assert!(wait.iter().all(|it| it.status.err.contains("insufficient resources")));
    assert!(world.plan(Scope::All).groups.is_empty());
}

#[test]
fn what_ended_is_not_counted() {
    let mut world = World::new(1);
    let node = world.view().nodes().next().expect("a node").id;
    let web = world.service_of(1, |spec| {
        spec.task.resources.reservations.memory_bytes = 3 << 30;
        spec.task.restart.delay = std::time::Duration::ZERO;
    });
    world.run();
    for _ in 0..3 {
        let task = world.wanted_in(web, 1).id;
        world.report(task, TaskState::Complete);
        world.run();
    }
    let task = world.wanted_in(web, 1).id;

    shrink(&mut world, node, 3 << 30);

    assert_eq!(world.settle(), 0);
    assert_eq!(world.wanted_in(web, 1).id, task);
}

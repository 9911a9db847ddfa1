//! Where tasks run, and what is said when there is no place (engine.md 7.2: 53, 54, 57, 59,
//! 61-63).

use std::time::Duration;

use swarm_planner::Scope;
use swarm_types::spec::node::Availability;
use swarm_types::spec::task::Platform;
use swarm_types::{NodeId, ServiceId, TaskState};

use crate::world::{World, host_port};

fn counts(world: &World, service: ServiceId) -> Vec<usize> {
    let nodes: Vec<NodeId> = world.view().nodes().map(|node| node.id).collect();
    let mut counts: Vec<usize> =
        nodes.into_iter().map(|node| world.count_on(service, node)).collect();
    counts.sort_unstable();
    counts
}

fn told(world: &World, service: ServiceId, slot: u64) -> String {
    let task = world.wanted_in(service, slot);
    assert_eq!((task.status.state, task.node), (TaskState::Pending, None));
    task.status.err.clone()
}

#[test]
fn without_a_node_tasks_wait_and_a_new_one_takes_them() {
    let mut world = World::new(0);
    let web = world.service(2);

    world.settle();
    assert_eq!(told(&world, web, 1), "no suitable node");
    world.node();
    world.settle();

    assert_eq!(counts(&world, web), [2]);
    assert!(world.wanted(web).iter().all(|task| task.status.state == TaskState::Assigned));
}

#[test]
fn nodes_that_are_down_paused_or_drained_take_nothing() {
    let mut world = World::new(3);
    let nodes: Vec<NodeId> = world.view().nodes().map(|node| node.id).collect();
    world.down(nodes[0]);
    world.set_availability(nodes[1], Availability::Pause);
    world.set_availability(nodes[2], Availability::Drain);
    let web = world.service(1);

    world.settle();
    assert_eq!(told(&world, web, 1), "no suitable node (3 nodes not available for new tasks)");
    world.up(nodes[0]);
    world.settle();

    assert_eq!(world.count_on(web, nodes[0]), 1);
}

#[test]
fn a_service_is_spread_first_and_then_the_total() {
    let mut world = World::new(3);
    let first = world.service(4);
    world.settle();
    assert_eq!(counts(&world, first), [1, 1, 2]);

    let second = world.service(2);
    world.settle();

    let busiest =
        world.view().nodes().map(|node| node.id).find(|it| world.count_on(first, *it) == 2);
    assert_eq!(counts(&world, second), [0, 1, 1]);
    assert_eq!(world.count_on(second, busiest.expect("one has two")), 0);
    world.scale(second, 3);
    world.settle();
    assert_eq!(counts(&world, second), [1, 1, 1]);
}

#[test]
fn services_in_one_round_see_each_other() {
    let mut world = World::new(4);
    let services: Vec<ServiceId> = (0..4).map(|_| world.service(1)).collect();

    assert_eq!(world.settle(), 1);

    let nodes: Vec<_> = services.iter().map(|it| world.wanted_in(*it, 1).node).collect();
    let distinct: std::collections::BTreeSet<_> = nodes.iter().collect();
    assert_eq!(distinct.len(), 4);
}

#[test]
fn reservations_are_counted_until_the_task_has_ended() {
    let mut world = World::new(2);
    let web = world.service_of(5, |spec| {
        spec.task.resources.reservations.nano_cpus = 2_000_000_000;
    });
    world.run();
    assert_eq!(counts(&world, web), [2, 2]);
    assert_eq!(told(&world, web, 5), "no suitable node (insufficient resources on 2 nodes)");

    // A task that is told to stop still holds what it has reserved.
    let small = world.service_of(1, |spec| {
        spec.task.resources.reservations.memory_bytes = 9 << 30;
    });
    world.settle();
    assert_eq!(told(&world, small, 1), "no suitable node (insufficient resources on 2 nodes)");
    let failed = world.wanted_in(web, 1);
    world.report(failed.id, TaskState::Failed);
    world.settle();

    let placed = world.wanted(web).iter().filter(|task| task.node.is_some()).count();
    assert_eq!(placed, 4);
}

#[test]
fn a_stopping_task_holds_its_port_until_it_has_stopped() {
    let mut world = World::new(1);
    let old = world.service_of(1, |spec| spec.endpoint = host_port(8080));
    world.run();
    let running = world.wanted_in(old, 1).id;
    world.scale(old, 0);
    let new = world.service_of(1, |spec| spec.endpoint = host_port(8080));
    let other = world.service_of(1, |spec| spec.endpoint = host_port(8081));

    world.settle();
    assert_eq!(told(&world, new, 1), "no suitable node (host-mode port already in use on 1 node)");
    assert_eq!(world.wanted_in(other, 1).status.state, TaskState::Assigned);
    world.report(running, TaskState::Shutdown);
    world.settle();

    assert_eq!(world.wanted_in(new, 1).status.state, TaskState::Assigned);
}

#[test]
fn platforms_the_image_does_not_have_are_refused() {
    let mut world = World::new(2);
    let arm = Platform { os: "linux".to_owned(), architecture: "aarch64".to_owned() };
    let amd = Platform { os: "linux".to_owned(), architecture: "amd64".to_owned() };
    let foreign = world.service_of(1, |spec| spec.task.placement.platforms = vec![arm.clone()]);
    let both = world.service_of(1, |spec| spec.task.placement.platforms = vec![arm, amd]);

    world.settle();

    assert_eq!(told(&world, foreign, 1), "no suitable node (unsupported platform on 2 nodes)");
    assert_eq!(world.wanted_in(both, 1).status.state, TaskState::Assigned);
}

#[test]
fn no_node_has_more_than_max_replicas() {
    let mut world = World::new(2);
    let web = world.service_of(6, |spec| spec.task.placement.max_replicas = 2);

    world.settle();

    assert_eq!(counts(&world, web), [2, 2]);
    assert_eq!(told(&world, web, 5), "no suitable node (max replicas per node limit exceed)");
}

#[test]
fn the_explanation_follows_what_changes_and_is_not_repeated() {
    let mut world = World::new(3);
    let nodes: Vec<NodeId> = world.view().nodes().map(|node| node.id).collect();
    world.set_availability(nodes[0], Availability::Drain);
    let web = world.service_of(3, |spec| spec.endpoint = host_port(80));
    world.settle();
    let text = "no suitable node (host-mode port already in use on 2 nodes; \
                1 node not available for new tasks)";
    assert_eq!(told(&world, web, 3), text);
    assert!(world.plan(Scope::All).groups.is_empty());

    world.set_availability(nodes[0], Availability::Active);
    world.settle();

    assert!(world.wanted_in(web, 3).node.is_some());
}

#[test]
fn a_node_on_which_a_service_keeps_failing_is_avoided_for_five_minutes() {
    let mut world = World::new(1);
    let bad = world.view().nodes().next().expect("a node").id;
    let web = world.service_of(1, |spec| spec.task.restart.delay = Duration::ZERO);
    for _ in 0..4 {
        world.run();
        let task = world.wanted_in(web, 1).id;
        world.report(task, TaskState::Failed);
    }
    world.run();
    let good = world.node();
    // The other node has more to do, and is taken all the same.
    world.set_availability(bad, Availability::Pause);
    world.service(3);
    world.run();
    world.set_availability(bad, Availability::Active);

    let task = world.wanted_in(web, 1).id;
    world.report(task, TaskState::Failed);
    world.run();
    assert_eq!(world.wanted_in(web, 1).node, Some(good));
    world.pass(Duration::from_secs(300));
    let task = world.wanted_in(web, 1).id;
    world.report(task, TaskState::Failed);
    world.run();

    assert_eq!(world.wanted_in(web, 1).node, Some(bad));
}

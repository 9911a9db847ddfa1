//! Nodes that are drained, paused, down or gone (engine.md 7.2: 37, 38).

use std::time::Duration;

use swarm_planner::Scope;
use swarm_types::spec::node::Availability;
use swarm_types::spec::task::TaskRuntime;
use swarm_types::{Change, NodeId, ServiceId, TaskState, Timestamp};

use crate::world::World;

/// Two nodes with two tasks each.
fn two_by_two() -> (World, ServiceId, NodeId, NodeId) {
    let mut world = World::new(2);
    let web = world.service(4);
    world.run();
    let nodes: Vec<NodeId> = world.view().nodes().map(|node| node.id).collect();
    assert_eq!((world.count_on(web, nodes[0]), world.count_on(web, nodes[1])), (2, 2));
    (world, web, nodes[0], nodes[1])
}

#[test]
fn a_drained_node_gives_up_its_tasks_and_others_start_when_they_have_stopped() {
    let (mut world, web, first, second) = two_by_two();

    world.set_availability(first, Availability::Drain);
    world.settle();

    let held: Vec<_> =
        world.wanted(web).into_iter().filter(|task| task.desired == TaskState::Ready).collect();
    assert_eq!(held.len(), 2);
    assert!(held.iter().all(|task| task.node == Some(second)));
    assert!(held.iter().all(|task| task.start_after == Timestamp::default()), "no delay");
    world.run();
    assert!(world.wanted(web).iter().all(|task| task.desired == TaskState::Running));
    assert_eq!(world.slots(web), [1, 2, 3, 4]);
}

#[test]
fn a_paused_node_keeps_what_it_has_and_takes_nothing() {
    let (mut world, web, first, second) = two_by_two();

    world.set_availability(first, Availability::Pause);
    assert_eq!(world.settle(), 0);
    world.scale(web, 6);
    world.run();

    assert_eq!((world.count_on(web, first), world.count_on(web, second)), (2, 4));
    world.set_availability(first, Availability::Active);
    assert_eq!(world.settle(), 0, "nothing is moved back");
}

#[test]
fn tasks_of_a_node_that_is_down_are_replaced_at_once() {
    let (mut world, web, first, second) = two_by_two();

    world.down(first);
    world.settle();

    assert_eq!(world.count_on(web, second), 4);
    assert!(world.wanted(web).iter().all(|task| task.desired == TaskState::Running));
    let old: Vec<_> = world.tasks(web).into_iter().filter(|it| it.node == Some(first)).collect();
    assert!(old.iter().all(|task| task.desired == TaskState::Shutdown));

    world.up(first);
    world.run();
    assert!(world.tasks(web).iter().all(|task| task.wanted() || task.status.state.is_terminal()));
    assert_eq!(world.count_on(web, second), 4);
}

#[test]
fn tasks_of_a_node_that_is_gone_are_replaced() {
    let (mut world, web, first, second) = two_by_two();
    world.down(first);

    world.change(Change::RemoveNode { node: first, refuse_until: world.now });
    world.run();

    assert_eq!(world.count_on(web, second), 4);
    assert_eq!(world.slots(web), [1, 2, 3, 4]);
}

#[test]
fn a_task_that_does_not_stop_is_given_up_on_after_a_minute_or_its_grace_period() {
    for (grace, patience) in [(10, 60), (300, 310)] {
        let mut world = World::new(2);
        let web = world.service_of(1, |spec| {
            if let TaskRuntime::Container(container) = &mut spec.task.runtime {
                container.stop_grace_period = Duration::from_secs(grace);
            }
        });
        world.run();
        let stuck = world.wanted_in(web, 1);
        world.set_availability(stuck.node.expect("it runs"), Availability::Drain);
        world.settle();

        let gate = world.now.after(Duration::from_secs(patience));
        assert_eq!(world.plan(Scope::Service(web)).wake_at, Some(gate));
        world.pass(Duration::from_secs(patience) - Duration::from_nanos(1));
        assert_eq!(world.settle(), 0);
        world.pass(Duration::from_nanos(1));
        world.settle();

        assert_eq!(world.wanted_in(web, 1).desired, TaskState::Running);
        assert!(world.task(stuck.id).may_run());
    }
}

#[test]
fn tasks_of_a_removed_service_do_not_outlive_a_day_of_their_node_being_down() {
    let (mut world, web, first, second) = two_by_two();
    world.down(first);
    world.run();
    world.change(Change::RemoveService(web));
    world.run();
    assert_eq!(world.tasks(web).len(), 2, "they may run still");

    let due = world.now.after(Duration::from_secs(24 * 3600));
    assert_eq!(world.plan(Scope::Service(web)).wake_at, Some(due));
    world.pass(due.since(world.now) - Duration::from_nanos(1));
    assert_eq!(world.settle(), 0);
    world.pass(Duration::from_nanos(1));
    world.run();

    assert!(world.tasks(web).is_empty());
    assert_eq!(world.view().tasks_on_node(&second).count(), 0);
}

#[test]
fn a_node_that_comes_back_in_time_keeps_its_tasks() {
    let (mut world, web, first, _) = two_by_two();
    world.down(first);
    let plan = world.plan(Scope::All);
    assert_eq!(plan.groups.len(), 2);

    world.up(first);
    let applied = world.apply(plan.groups);

    assert!(applied.results.iter().all(Result::is_err));
    world.run();
    assert_eq!(world.count_on(web, first), 2);
}

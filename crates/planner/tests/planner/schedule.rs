//! Where tasks run, and what is said when there is no place (engine.md 7.2: 53, 54, 56-64).

use std::time::Duration;

use swarm_planner::Scope;
use swarm_types::object::node::Plugin;
use swarm_types::spec::Driver;
use swarm_types::spec::mount::{Mount, VolumeOptions};
use swarm_types::spec::node::Availability;
use swarm_types::spec::service::{Protocol, ServiceMode, ServiceSpec};
use swarm_types::spec::task::{GenericResource, Platform, TaskRuntime};
use swarm_types::{Change, NodeId, ServiceId, TaskState};

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

/// The reaper keeps five tasks of a slot; what it drops is not forgotten for the count.
#[test]
fn a_node_stays_avoided_while_the_service_fails_elsewhere() {
    let mut world = World::new(1);
    world.set_history_limit(2);
    let bad = world.view().nodes().next().expect("a node").id;
    let web = world.service_of(1, |spec| spec.task.restart.delay = Duration::ZERO);
    for _ in 0..5 {
        world.run();
        let task = world.wanted_in(web, 1).id;
        world.report(task, TaskState::Failed);
    }
    let good = world.node();
    world.run();

    for _ in 0..3 {
        let task = world.wanted_in(web, 1);
        assert_eq!(task.node, Some(good));
        world.report(task.id, TaskState::Failed);
        world.run();
    }
    world.update(web, |spec| spec.task.force_update += 1);
    let other = world.service(1);
    world.run();
    assert!(world.tasks(web).len() <= 3);
    assert_eq!(world.wanted_in(other, 1).node, Some(bad), "only this service failed there");
}

#[test]
fn constraints_keep_tasks_where_they_hold() {
    let mut world = World::new(2);
    let fast = world.node_of(&[("disk", "ssd")], |_| {});
    let web = world.service_of(2, |spec| {
        let constraints = ["node.labels.disk == SSD", "node.role != manager"];
        spec.task.placement.constraints = constraints.map(str::to_owned).into();
    });
    let nowhere = world.service_of(1, |spec| {
        spec.task.placement.constraints = vec!["node.labels.disk==tape".to_owned()];
    });

    world.settle();

    assert_eq!(world.count_on(web, fast), 2);
    let text = "no suitable node (scheduling constraints not satisfied on 3 nodes)";
    assert_eq!(told(&world, nowhere, 1), text);
    world.set_labels(fast, &[("disk", "tape")]);
    world.settle();
    assert_eq!(world.wanted_in(nowhere, 1).node, Some(fast));
}

fn gpus(count: i64) -> impl Fn(&mut ServiceSpec) {
    move |spec| {
        let kind = "gpu".to_owned();
        let wanted = GenericResource::Discrete { kind, value: count };
        spec.task.resources.reservations.generic = vec![wanted];
    }
}

#[test]
fn named_units_are_handed_out_and_come_back_with_the_end() {
    let unit = |it: &str| GenericResource::Named { kind: "gpu".to_owned(), value: it.to_owned() };
    let mut world = World::new(1);
    let node = world.node_of(&[], |it| it.generic = vec![unit("b"), unit("a"), unit("c")]);
    let pair = world.service_of(1, gpus(2));
    world.run();
    assert_eq!(world.wanted_in(pair, 1).generic, [unit("a"), unit("b")]);

    let other = world.service_of(1, gpus(2));
    let single = world.service_of(1, gpus(1));
    world.settle();
    assert_eq!(world.wanted_in(single, 1).generic, [unit("c")]);
    assert_eq!(told(&world, other, 1), "no suitable node (insufficient resources on 2 nodes)");

    world.scale(pair, 0);
    world.run();
    let task = world.wanted_in(other, 1);
    assert_eq!((task.node, &task.generic[..]), (Some(node), &[unit("a"), unit("b")][..]));
}

#[test]
fn numbers_of_a_resource_are_counted() {
    let mut world = World::new(0);
    world.node_of(&[], |it| {
        it.generic = vec![GenericResource::Discrete { kind: "gpu".to_owned(), value: 3 }];
    });
    let web = world.service_of(4, gpus(1));

    world.settle();

    assert_eq!(counts(&world, web), [3]);
    assert_eq!(told(&world, web, 4), "no suitable node (insufficient resources on 1 node)");
}

#[test]
fn drivers_must_be_on_the_node() {
    let plugin = |kind: &str, name: &str| Plugin { kind: kind.to_owned(), name: name.to_owned() };
    let mut world = World::new(0);
    let all =
        vec![plugin("Volume", "nfs:latest"), plugin("Volume", "local"), plugin("Log", "json-file")];
    let has = world.node_of(&[], |it| it.plugins = all);
    world.node_of(&[], |it| it.plugins = vec![plugin("Volume", "local"), plugin("Log", "syslog")]);
    let driver = |name: &str| Some(Driver { name: name.to_owned(), ..Driver::default() });
    let volume = |name: &'static str| {
        move |spec: &mut ServiceSpec| {
            let TaskRuntime::Container(container) = &mut spec.task.runtime else { return };
            let options = VolumeOptions { driver: driver(name), ..VolumeOptions::default() };
            container.mounts = vec![Mount { volume: Some(options), ..Mount::default() }];
        }
    };
    let nfs = world.service_of(2, volume("nfs"));
    let local = world.service_of(2, volume("local"));
    let ceph = world.service_of(1, volume("ceph"));
    let json = world.service_of(2, |spec| spec.task.log_driver = driver("json-file"));
    let none = world.service_of(2, |spec| spec.task.log_driver = driver("none"));

    world.settle();

    assert_eq!((world.count_on(nfs, has), world.count_on(json, has)), (2, 2));
    assert_eq!((counts(&world, local), counts(&world, none)), (vec![1, 1], vec![1, 1]));
    assert_eq!(told(&world, ceph, 1), "no suitable node (missing plugin on 2 nodes)");
}

#[test]
fn a_port_of_one_protocol_leaves_that_of_another_free() {
    let mut world = World::new(1);
    let tcp = world.service_of(1, |spec| spec.endpoint = host_port(53));
    let udp = world.service_of(2, |spec| {
        spec.endpoint = host_port(53);
        spec.endpoint.ports[0].protocol = Protocol::Udp;
    });

    world.settle();

    assert_eq!(counts(&world, tcp), [1]);
    assert_eq!(counts(&world, udp), [1]);
    assert_eq!(told(&world, udp, 2), "no suitable node (host-mode port already in use on 1 node)");
}

/// The first filter that refuses a node is its only reason, however many would.
#[test]
fn a_node_is_counted_under_its_first_reason() {
    let mut world = World::new(3);
    let nodes: Vec<NodeId> = world.view().nodes().map(|node| node.id).collect();
    world.set_availability(nodes[0], Availability::Pause);
    let web = world.service_of(1, |spec| {
        spec.task.resources.reservations.nano_cpus = 5_000_000_000;
        spec.task.placement.constraints = vec!["node.id==x".to_owned()];
    });

    world.settle();

    let text = "no suitable node (insufficient resources on 2 nodes; \
                1 node not available for new tasks)";
    assert_eq!(told(&world, web, 1), text);
}

#[test]
fn a_task_with_a_preset_node_waits_for_room_and_goes_before_others() {
    let big = |spec: &mut ServiceSpec| spec.task.resources.reservations.memory_bytes = 5 << 30;
    let mut world = World::new(1);
    let first = world.service_of(1, big);
    world.run();
    let open = world.service_of(1, big);
    world.run();
    world.pass(Duration::from_secs(1));
    let preset = world.service_of(0, |spec| {
        spec.mode = ServiceMode::Global;
        big(spec);
    });
    world.run();
    let full = "no suitable node (insufficient resources on 1 node)";
    let waits = world.wanted(preset).remove(0);
    assert_eq!((waits.status.state, waits.status.err.as_str()), (TaskState::Pending, full));
    assert_eq!(told(&world, open, 1), full);

    world.change(Change::RemoveService(first));
    world.run();

    assert_eq!(world.task(waits.id).status.state, TaskState::Running);
    assert_eq!(told(&world, open, 1), full);
}

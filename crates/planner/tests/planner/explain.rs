//! What each node is said to think of a task.

use std::collections::BTreeMap;

use proptest::prelude::*;
use swarm_planner::{Filter, NodeVerdict, Verdict, explain};
use swarm_types::spec::node::Availability;
use swarm_types::spec::task::{GenericResource, Platform};
use swarm_types::{NodeId, TaskId};

use crate::world::{World, host_port};

fn verdicts(world: &World, task: TaskId) -> BTreeMap<NodeId, (Verdict, String)> {
    let said = explain(&world.view(), &world.task(task), world.now);
    said.into_iter()
        .map(|NodeVerdict { node, verdict, detail }| (node, (verdict, detail)))
        .collect()
}

#[test]
fn each_node_names_the_first_filter_that_refuses_and_what_is_missing() {
    let mut world = World::new(0);
    let rack = |world: &mut World, edit: fn(&mut swarm_types::object::node::NodeDescription)| {
        world.node_of(&[("rack", "1")], edit)
    };
    let drained = rack(&mut world, |_| {});
    let silent = rack(&mut world, |_| {});
    let small = rack(&mut world, |it| it.memory_bytes = 1 << 29);
    let no_gpu = rack(&mut world, |_| {});
    let gpu = |it: &mut swarm_types::object::node::NodeDescription| {
        it.generic = vec![GenericResource::Discrete { kind: "gpu".to_owned(), value: 1 }];
    };
    let elsewhere = world.node_of(&[], gpu);
    let arm = rack(&mut world, |it| {
        it.generic = vec![GenericResource::Discrete { kind: "gpu".to_owned(), value: 1 }];
        it.platform.architecture = "aarch64".to_owned();
    });
    let taken = world.node_of(&[("rack", "1")], gpu);
    world.set_availability(drained, Availability::Drain);
    world.down(silent);
    let port = world.service_of(1, |spec| {
        spec.endpoint = host_port(80);
        spec.task.placement.constraints = vec![format!("node.id=={taken}")];
    });
    world.run();
    assert_eq!(world.count_on(port, taken), 1);
    let web = world.service_of(1, |spec| {
        spec.endpoint = host_port(80);
        let wanted = &mut spec.task.resources.reservations;
        (wanted.nano_cpus, wanted.memory_bytes) = (1_500_000_000, 1 << 30);
        wanted.generic = vec![GenericResource::Discrete { kind: "gpu".to_owned(), value: 1 }];
        spec.task.placement.constraints = vec!["node.labels.rack == 1".to_owned()];
        let amd = Platform { os: "linux".to_owned(), architecture: "amd64".to_owned() };
        spec.task.placement.platforms = vec![amd];
    });
    world.settle();

    let said = verdicts(&world, world.wanted_in(web, 1).id);

    for (node, filter, detail) in [
        (drained, Filter::Ready, "availability is drain"),
        (silent, Filter::Ready, "state is down"),
        (
            small,
            Filter::Resources,
            "needs 1024 MiB of memory, 512 of 512 left; needs 1 gpu, 0 left",
        ),
        (no_gpu, Filter::Resources, "needs 1 gpu, 0 left"),
        (elsewhere, Filter::Constraint, "node.labels.rack == 1 does not hold"),
        (arm, Filter::Platform, "is linux/aarch64, the image is for linux/amd64"),
        (taken, Filter::HostPort, "port 80/tcp is in use"),
    ] {
        assert_eq!(said[&node], (Verdict::Refused(filter), detail.to_owned()));
    }
}

#[test]
fn a_task_does_not_stand_in_its_own_way() {
    let mut world = World::new(2);
    let web = world.service_of(2, |spec| {
        spec.endpoint = host_port(80);
        spec.task.placement.max_replicas = 1;
        spec.task.resources.reservations.nano_cpus = 3_000_000_000;
    });
    world.run();
    let (first, other) = (world.wanted_in(web, 1), world.wanted_in(web, 2));

    let said = verdicts(&world, first.id);

    let nothing = "has 0 of the service, 0 in all".to_owned();
    assert_eq!(said[&first.node.expect("placed")], (Verdict::Assigned, nothing));
    let beside = "needs 3 CPUs, 1 of 4 left".to_owned();
    let refused = Verdict::Refused(Filter::Resources);
    assert_eq!(said[&other.node.expect("placed")], (refused, beside));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A task waits exactly when every node refuses it.
    #[test]
    fn a_task_waits_if_and_only_if_no_node_fits(
        cpus in 0..6_i64, max in 0..3_u64, drained in 0..3_usize, port: bool,
    ) {
        let mut world = World::new(3);
        let nodes: Vec<NodeId> = world.view().nodes().map(|node| node.id).collect();
        nodes.iter().take(drained).for_each(|it| world.set_availability(*it, Availability::Drain));
        let web = world.service_of(4, |spec| {
            spec.task.resources.reservations.nano_cpus = cpus * 1_000_000_000;
            spec.task.placement.max_replicas = max;
            if port {
                spec.endpoint = host_port(80);
            }
        });
        world.settle();

        for task in world.wanted(web) {
            let fits = verdicts(&world, task.id).values().any(|(it, _)| *it == Verdict::Fits);
            let placed = task.node.is_some();
            prop_assert!(placed || !fits, "{:?}", verdicts(&world, task.id));
            let assigned = verdicts(&world, task.id).values().any(|(it, _)| *it == Verdict::Assigned);
            prop_assert_eq!(placed, assigned);
        }
    }
}

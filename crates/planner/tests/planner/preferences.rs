//! Spreading over labels (engine.md 7.2: 55).

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use swarm_types::spec::service::ServiceSpec;
use swarm_types::spec::task::PlacementPreference;
use swarm_types::{NodeId, ServiceId};

use crate::world::World;

/// Spreads over these labels, the most important first.
fn over(labels: &'static [&'static str]) -> impl Fn(&mut ServiceSpec) {
    move |spec| {
        let spread = |label: &&str| PlacementPreference::Spread { descriptor: (*label).to_owned() };
        spec.task.placement.preferences = labels.iter().map(spread).collect();
    }
}

/// Wanted tasks of the service by value of a node's label.
fn by_label(world: &World, service: ServiceId, label: &str) -> BTreeMap<String, usize> {
    let view = world.view();
    let mut counts = BTreeMap::new();
    for node in view.nodes() {
        let value = node.spec.annotations.labels.get(label).cloned().unwrap_or_default();
        *counts.entry(value).or_insert(0) += world.count_on(service, node.id);
    }
    counts
}

fn counts<const N: usize>(counts: [(&str, usize); N]) -> BTreeMap<String, usize> {
    counts.map(|(value, count)| (value.to_owned(), count)).into()
}

#[test]
fn tasks_are_spread_over_the_values_of_a_label_and_then_over_their_nodes() {
    let mut world = World::new(0);
    let in_a: Vec<NodeId> = (0..3).map(|_| world.node_of(&[("az", "a")], |_| {})).collect();
    world.node_of(&[("az", "b")], |_| {});
    world.node();
    let web = world.service_of(9, over(&["node.labels.az"]));

    world.settle();

    assert_eq!(by_label(&world, web, "az"), counts([("", 3), ("a", 3), ("b", 3)]));
    assert!(in_a.iter().all(|node| world.count_on(web, *node) == 1));
}

#[test]
fn two_levels_are_balanced_one_after_the_other() {
    let mut world = World::new(0);
    for (az, rack, nodes) in [("a", "1", 1), ("a", "2", 3), ("b", "3", 1)] {
        for _ in 0..nodes {
            world.node_of(&[("az", az), ("rack", rack)], |_| {});
        }
    }
    let web = world.service_of(12, over(&["node.labels.az", "node.labels.rack"]));

    world.settle();

    assert_eq!(by_label(&world, web, "az"), counts([("a", 6), ("b", 6)]));
    assert_eq!(by_label(&world, web, "rack"), counts([("1", 3), ("2", 3), ("3", 6)]));
}

#[test]
fn labels_of_the_machine_count_too_and_unknown_descriptors_do_not() {
    let mut world = World::new(0);
    let ssd = world.node_of(&[], |it| {
        it.engine_labels.insert("disk".to_owned(), "ssd".to_owned());
    });
    world.node();
    world.node();
    let web = world.service_of(4, over(&["node.id", "engine.labels.disk"]));

    world.settle();

    assert_eq!(world.count_on(web, ssd), 2);
}

#[test]
fn a_branch_that_is_full_leaves_its_share_to_the_others() {
    let mut world = World::new(0);
    world.node_of(&[("az", "a")], |it| it.memory_bytes = 1 << 30);
    world.node_of(&[("az", "b")], |_| {});
    world.node_of(&[("az", "c")], |_| {});
    let web = world.service_of(9, |spec| {
        over(&["node.labels.az"])(spec);
        spec.task.resources.reservations.memory_bytes = 1 << 30;
    });

    world.settle();

    assert_eq!(by_label(&world, web, "az"), counts([("a", 1), ("b", 4), ("c", 4)]));
}

#[test]
fn scaling_up_mends_an_imbalance_that_is_there() {
    let mut world = World::new(0);
    world.node_of(&[("az", "a")], |_| {});
    let web = world.service_of(4, over(&["node.labels.az"]));
    world.settle();
    world.node_of(&[("az", "b")], |_| {});
    world.node_of(&[("az", "c")], |_| {});

    world.scale(web, 9);
    world.settle();

    assert_eq!(by_label(&world, web, "az"), counts([("a", 4), ("b", 3), ("c", 2)]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Values differ by at most one task, and below a value its nodes do.
    #[test]
    fn every_level_is_even(zones in vec(1..4usize, 1..4), replicas in 0..25u64) {
        let mut world = World::new(0);
        for (zone, nodes) in zones.iter().enumerate() {
            for _ in 0..*nodes {
                world.node_of(&[("az", &format!("z{zone}"))], |_| {});
            }
        }
        let web = world.service_of(replicas, over(&["node.labels.az"]));

        world.settle();

        let even = |counts: Vec<usize>| {
            let (min, max) = (counts.iter().min().copied(), counts.iter().max().copied());
            max.unwrap_or(0) - min.unwrap_or(0) <= 1
        };
        prop_assert!(even(by_label(&world, web, "az").into_values().collect()));
        for zone in 0..zones.len() {
            let view = world.view();
            let here = view.nodes().filter(|it| it.spec.annotations.labels["az"] == format!("z{zone}"));
            prop_assert!(even(here.map(|it| world.count_on(web, it.id)).collect()));
        }
    }
}

//! Laws that hold after every entry, whatever the entries are.

use std::collections::BTreeMap;

use proptest::prelude::*;
use swarm_state::{Batch, Event, Snapshot, State};
use swarm_types::spec::node::NodeRole;
use swarm_types::*;

use crate::kit::*;

/// Applies an entry of random groups: each die chooses a change and what it acts on.
pub(crate) fn random_entry(world: &mut World, dice: &[u8]) -> swarm_state::Applied {
    let groups = dice.chunks(3).map(|dice| {
        let changes = dice.iter().filter_map(|die| change(world, *die)).collect();
        world.group(vec![], changes)
    });
    let groups = groups.collect();
    world.at += i64::from(dice.first().copied().unwrap_or(0)) - 64;
    world.entry(groups)
}

fn pick<T: Clone>(items: impl Iterator<Item = T>, die: u8) -> Option<T> {
    let items: Vec<_> = items.collect();
    (!items.is_empty()).then(|| items[usize::from(die / 16) % items.len()].clone())
}

fn change(world: &mut World, die: u8) -> Option<Change> {
    let view = world.view();
    let name = format!("name-{}", die / 32);
    let a_service = || pick(view.services(), die).map(|it| it.id);
    let a_task = || pick(view.tasks(), die).cloned();
    let a_node = || pick(view.nodes(), die).cloned();
    Some(match die % 16 {
        0 => Change::CreateService(Box::new(service(world.ids.draw(), spec(&name)))),
        1 => Change::CreateNode(Box::new(node(world.ids.draw(), NodeRole::Worker))),
        2 => Change::UpdateService(a_service()?, Box::new(spec(&name))),
        3 if die > 200 => Change::RemoveService(a_service()?),
        3..=5 => {
            let mut task = world.new_task(a_service()?, u64::from(die / 64));
            task.node = a_node().filter(|_| die > 128).map(|it| it.id);
            Change::CreateTask(Box::new(task))
        }
        6 | 7 => assign(a_task()?.id, a_node()?.id),
        8 => desire(a_task()?.id, [TaskState::Running, TaskState::Remove][usize::from(die / 128)]),
        9 => end(a_task()?.id, [TaskState::Shutdown, TaskState::Orphaned][usize::from(die / 128)]),
        10 => Change::RemoveTask(a_task()?.id),
        11 => open(a_node()?.id, world.ids.draw()),
        12 | 13 => {
            let task = a_task()?;
            let session = view.node(&task.node?)?.session.as_ref()?.id;
            let state = TaskState::ALL[usize::from(die / 19) % TaskState::ALL.len()];
            observe(task.id, task.node?, session, state)
        }
        14 if die > 220 => {
            Change::RemoveNode { node: a_node()?.id, refuse_until: Timestamp(i64::MAX) }
        }
        14 => Change::CreateNetwork(Box::new(network(world.ids.draw(), &name))),
        _ => Change::SetTaskPending(a_task()?.id, vec![]),
    })
}

/// Every lookup answers what a scan of the tables answers.
fn check_indexes(view: &Snapshot) {
    for service in view.tasks().filter_map(|task| task.service()) {
        let mut scan: Vec<_> =
            view.tasks().filter(|task| task.service() == Some(service)).cloned().collect();
        scan.sort_by_key(|task| (task.slot, task.meta.spec_version, task.id));
        assert_eq!(view.tasks_of_service(&service).cloned().collect::<Vec<_>>(), scan);
        for version in scan.iter().map(|task| task.spec_version()) {
            assert!(view.template(&service, version).is_some());
        }
    }
    for node in view.tasks().filter_map(|task| task.node) {
        let found: BTreeMap<_, _> = view.tasks_on_node(&node).map(|task| (task.id, task)).collect();
        let scan = view.tasks().filter(|task| task.node == Some(node));
        assert_eq!(found, scan.map(|task| (task.id, task)).collect());
    }
    let waits = |task: &&std::sync::Arc<Task>| {
        task.status.state < TaskState::Assigned && task.desired <= TaskState::Complete
    };
    assert!(view.unassigned().eq(view.tasks().filter(waits)));
    for service in view.services() {
        let name = &service.spec.annotations.name;
        assert_eq!(view.service_by_name(&name.to_ascii_uppercase()), Some(service));
    }
}

fn objects(view: &Snapshot) -> BTreeMap<ObjectId, Object> {
    let objects = view.records().filter_map(|record| match record {
        Record::Object(object) => Some((object.id(), object)),
        _ => None,
    });
    objects.collect()
}

fn replay(copy: &mut BTreeMap<ObjectId, Object>, batch: &Batch) {
    for event in &batch.events {
        let id = event.object();
        match event {
            Event::Created(object) => assert_eq!(copy.insert(id, object.clone()), None),
            Event::Updated { old, new } => {
                assert_eq!(copy.insert(id, new.clone()).as_ref(), Some(old));
            }
            Event::Removed(object) => assert_eq!(copy.remove(&id).as_ref(), Some(object)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Indexes agree with tables, events with both, and a restored copy with all of it.
    #[test]
    fn whatever_happens_the_state_is_consistent(
        entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..12), 1..25)
    ) {
        let mut world = World::new();
        let mut copy = BTreeMap::new();
        for dice in &entries {
            let before = objects(&world.view());
            let applied = random_entry(&mut world, dice);

            let view = world.view();
            check_indexes(&view);
            replay(&mut copy, &applied.events);
            prop_assert_eq!(&copy, &objects(&view));
            if applied.results.iter().all(Result::is_err) {
                prop_assert_eq!(before, objects(&view));
                prop_assert!(applied.events.events.is_empty());
            }
        }
        let view = world.view();
        let restored = State::restore(view.records()).unwrap().snapshot();
        prop_assert_eq!(restored.hash(), view.hash());
        prop_assert!(restored.records().eq(view.records()));
        check_indexes(&restored);
    }

    /// Changes in one group come to what they come to in groups of their own: a task that is
    /// written again and again differs in nothing from one that was looked up in between.
    #[test]
    fn a_group_is_the_sum_of_its_changes(dice in prop::collection::vec(any::<u8>(), 1..16)) {
        let (mut apart, mut together) = (World::new(), World::new());
        let changes = life_of_two(&mut apart, &dice);
        prop_assert_eq!(&changes, &life_of_two(&mut together, &dice));

        let groups: Vec<_> =
            changes.iter().map(|change| apart.group(vec![], vec![change.clone()])).collect();
        let one_by_one = apart.entry(groups);
        let passed = changes.into_iter().zip(&one_by_one.results).filter(|(_, it)| it.is_ok());
        let group = together.group(vec![], passed.map(|(change, _)| change).collect());
        let at_once = together.entry(vec![group]);

        prop_assert!(at_once.results[0].is_ok());
        prop_assert_eq!(&at_once.events, &one_by_one.events);
        let view = together.view();
        prop_assert_eq!(objects(&view), objects(&apart.view()));
        check_indexes(&view);
        let restored = State::restore(view.records()).unwrap().snapshot();
        prop_assert_eq!(restored.hash(), view.hash());
    }
}

/// Changes of a task that is there and of one that the first change makes.
fn life_of_two(world: &mut World, dice: &[u8]) -> Vec<Change> {
    let (service, node) = (world.service("two"), world.node(NodeRole::Worker));
    let old = world.task(service, 1);
    let new = world.new_task(service, 2);
    let ids = [old, new.id];
    let life = dice.iter().map(|die| {
        let task = ids[usize::from(die / 100).min(1)];
        match die % 8 {
            0 | 1 => Change::SetTaskPending(task, vec![]),
            2 | 3 => assign(task, node),
            4 => desire(task, [TaskState::Shutdown, TaskState::Remove][usize::from(die / 128)]),
            5 => end(task, TaskState::Shutdown),
            6 => Change::RemoveTask(task),
            _ => Change::ExplainTask(task, "no suitable node".to_owned()),
        }
    });
    [Change::CreateTask(Box::new(new))].into_iter().chain(life).collect()
}

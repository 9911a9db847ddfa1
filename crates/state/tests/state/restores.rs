//! Snapshots that contradict themselves, and what a restored state goes on with.

use std::sync::Arc;

use swarm_state::{REQUEST_LIMIT, RestoreError, State};
use swarm_types::*;

use crate::kit::*;
use crate::refusals::{create, with_secret};

fn restore(records: Vec<Record>) -> RestoreError {
    State::restore(records.into_iter()).err().unwrap()
}

fn object(object: Object) -> Record {
    Record::Object(object)
}

#[test]
fn what_refers_to_nothing_is_refused() {
    let mut world = World::new();
    let key = world.secret("key");
    let change = create(&mut world, with_secret("web", key, "key"));
    world.must(change);
    let mut records: Vec<_> = world.view().records().collect();
    records.retain(|record| !matches!(record, Record::Object(Object::Secret(_))));
    let missing = ObjectId::Secret(key);
    assert!(matches!(restore(records), RestoreError::Dangling { object, .. } if object == missing));
}

#[test]
fn two_objects_of_one_name_are_refused() {
    let mut world = World::new();
    world.service("web");
    let twin = service(world.ids.draw(), spec("WEB"));
    let mut records: Vec<_> = world.view().records().collect();
    records.push(object(Object::Service(Arc::new(twin))));
    let why = restore(records);
    assert!(matches!(why, RestoreError::Contradiction { why: Refusal::NameTaken { .. }, .. }));
}

#[test]
fn tasks_of_one_version_have_one_template() {
    let mut world = World::new();
    let service = world.service("web");
    let (one, two) = (world.task(service, 1), world.task(service, 2));
    let change = |record| match record {
        Record::Object(Object::Task(task)) if task.id == one.max(two) => {
            let template = Template { global: true, ..(*task.template).clone() };
            object(Object::Task(Arc::new(Task { template: Arc::new(template), ..(*task).clone() })))
        }
        other => other,
    };
    let records = world.view().records().map(change).collect();
    assert_eq!(restore(records), RestoreError::TwoTemplates(one.max(two)));
}

#[test]
fn requests_out_of_order_are_refused() {
    let mut world = World::new();
    let first = world.group(vec![], vec![]);
    world.entry(vec![first.clone()]);
    world.at += 1;
    world.act(vec![]).unwrap();
    let mut records: Vec<_> = world.view().records().collect();
    records.swap(1, 2);
    assert_eq!(restore(records), RestoreError::RequestOutOfOrder(first.request));
}

/// A proposer's clock may be ahead by hours: until the others catch up, the state's stands
/// still, and only the order of applying says which requests are old.
#[test]
fn while_the_clock_stands_still_the_oldest_requests_are_forgotten_first() {
    let mut world = World::new();
    for _ in 0..REQUEST_LIMIT / 4096 {
        let groups = (0..4096).map(|_| world.group(vec![], vec![])).collect();
        world.entry(groups);
    }
    let requests = |world: &World| {
        let view = world.view();
        let requests = view.records().filter_map(|record| match record {
            Record::Request(it) => Some(it.request),
            _ => None,
        });
        requests.collect::<Vec<_>>()
    };
    let before = requests(&world);
    let smallest = Arc::new(Group { request: RequestId::MIN, expect: vec![], changes: vec![] });

    let mut copy = State::restore(world.view().records()).unwrap();
    world.entry(vec![smallest.clone()]);

    assert!(world.view().request(&RequestId::MIN).is_some());
    let mut wanted = before[1..].to_vec();
    wanted.push(RequestId::MIN);
    assert_eq!(requests(&world), wanted);
    let entry = Entry { level: LEVEL, at: Timestamp(1), groups: vec![smallest], check: None };
    copy.apply(world.index, &entry).unwrap();
    assert_eq!(copy.snapshot().hash(), world.view().hash());
    assert!(copy.snapshot().records().eq(world.view().records()));
}

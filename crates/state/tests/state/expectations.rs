//! What groups expect, and what several groups of one entry do to each other.

use swarm_types::*;

use crate::kit::*;

fn expect(object: ObjectId, what: Expected) -> Vec<Expect> {
    vec![Expect { object, what }]
}

#[test]
fn each_expectation_holds_or_refuses_with_what_was_found() {
    let mut world = World::new();
    let (task, node, session) = world.assigned();
    let decided = world.index;
    world.must(observe(task, node, session, TaskState::Running));
    let (object, version) = (ObjectId::Task(task), world.index);
    let nobody = ObjectId::Task(world.ids.draw());
    let mut act = |object, what| world.act_if(expect(object, what), vec![]).map(drop);

    assert_eq!(act(nobody, Expected::Absent), Ok(()));
    assert_eq!(act(object, Expected::Absent), Err(Refusal::Exists(object)));
    assert_eq!(act(object, Expected::Version(version)), Ok(()));
    assert_eq!(act(object, Expected::Decided(decided)), Ok(()));
    let stale = |expected, found| Err(Refusal::Stale { object, expected, found });
    assert_eq!(act(object, Expected::Version(decided)), stale(decided, version));
    assert_eq!(act(object, Expected::Decided(version)), stale(version, decided));
    for what in [Expected::Version(0), Expected::SpecVersion(0), Expected::Decided(0)] {
        assert_eq!(act(nobody, what), Err(Refusal::NotFound(nobody)));
    }
}

#[test]
fn of_two_groups_that_saw_the_same_version_one_happens() {
    let mut world = World::new();
    let (task, _, _) = world.assigned();
    let seen = expect(ObjectId::Task(task), Expected::Decided(world.index));
    let wanted = [TaskState::Shutdown, TaskState::Remove];
    let groups = wanted.map(|state| world.group(seen.clone(), vec![desire(task, state)]));

    let results = world.entry(groups.to_vec()).results;

    assert!(results[0].is_ok());
    assert!(matches!(results[1], Err(Refusal::Stale { .. })));
    assert_eq!(world.view().task(&task).unwrap().desired, TaskState::Shutdown);
}

#[test]
fn a_spec_is_updated_once_per_entry_also_around_a_rollback() {
    let mut world = World::new();
    let id = world.service("web");
    world.must(Change::UpdateService(id, Box::new(spec("web"))));
    let update = |name: &str| vec![Change::UpdateService(id, Box::new(spec(name)))];
    let back = vec![Change::RollbackService(id, Box::new(rollback()))];
    let groups = [update("one"), update("two"), back, update("three")];
    let groups = groups.map(|changes| world.group(vec![], changes)).to_vec();

    let results = world.entry(groups).results;

    let happened: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(happened, [true, false, true, false]);
    assert_eq!(world.view().service(&id).unwrap().spec, spec("web"));
}

#[test]
fn a_service_does_not_come_back_while_its_tasks_are_there() {
    let mut world = World::new();
    let id = world.service("web");
    let task = world.task(id, 1);
    let again = Change::CreateService(Box::new(service(id, global("web"))));
    let swap = vec![Change::RemoveService(id), again.clone()];
    let exists = Err(Refusal::Exists(ObjectId::Service(id)));
    assert_eq!(world.act(swap), exists);
    assert!(world.view().service(&id).is_some());

    world.must(Change::RemoveService(id));
    assert_eq!(world.act(vec![again.clone()]), exists);
    world.must(end(task, TaskState::Shutdown));
    world.must(Change::RemoveTask(task));
    world.must(again);
}

#[test]
fn a_request_keeps_its_first_result_whatever_comes_under_its_id() {
    let mut world = World::new();
    let create = |world: &mut World, name: &str| {
        Change::CreateService(Box::new(service(world.ids.draw(), spec(name))))
    };
    let (a, b) = (create(&mut world, "a"), create(&mut world, "b"));
    let first = world.group(vec![], vec![a]);
    let other = Group { changes: vec![b], ..(*first).clone() };

    let results = world.entry(vec![first, other.into()]).results;

    assert!(results[1].as_ref().unwrap().replayed);
    assert!(world.view().service_by_name("b").is_none());
}

#[test]
fn a_group_refused_at_its_end_leaves_nothing_of_any_kind() {
    let mut world = World::new();
    let (task, node, session) = world.assigned();
    let (web, net) = (world.service("web"), world.network("net"));
    let before: Vec<_> = world.view().records().skip(1).filter(is_object).collect();
    let fresh = world.new_task(web, 7);
    let changes = vec![
        observe(task, node, session, TaskState::Failed),
        Change::RemoveTask(task),
        Change::CreateTask(Box::new(fresh)),
        Change::UpdateService(web, Box::new(spec("other"))),
        Change::RemoveNetwork(net),
        Change::RemoveNode { node, refuse_until: Timestamp(9) },
        Change::RemoveNetwork(net),
    ];
    let good = world.group(vec![], vec![Change::ExplainTask(task, String::new())]);
    let bad = world.group(vec![], changes);
    let late = world.group(vec![], vec![desire(task, TaskState::Shutdown)]);

    let applied = world.entry(vec![good, bad, late]);

    assert_eq!(applied.results[1], Err(Refusal::NotFound(ObjectId::Network(net))));
    assert!(applied.results[2].is_ok());
    assert_eq!(applied.events.events.len(), 1);
    let view = world.view();
    let after: Vec<_> = view.records().skip(1).filter(is_object).collect();
    let same = before.iter().filter(|it| after.contains(it)).count();
    assert_eq!((same, after.len()), (before.len() - 1, before.len()));
    assert!(view.service_by_name("other").is_none() && view.service_by_name("web").is_some());
    assert_eq!(view.tasks_of_service(&web).count(), 0);
    assert_eq!(view.tasks_on_node(&node).count(), 1);
    assert_eq!(swarm_state::State::restore(view.records()).unwrap().snapshot().hash(), view.hash());
}

fn is_object(record: &Record) -> bool {
    matches!(record, Record::Object(_))
}

//! Scenarios 1-6 of the reference, and what the control plane adds to them.

use swarm_state::{
    CHECK_EVERY, Event, Halt, REQUEST_KEPT, REQUEST_LIMIT, REQUEST_MEMORY, RestoreError, State,
};
use swarm_types::*;

use crate::kit::*;

#[test]
fn scenario_1_stale_versions_are_refused_and_fresh_ones_pass() {
    let mut world = World::new();
    let id = world.service("web");
    let object = ObjectId::Service(id);
    let seen = world.view().service(&id).unwrap().meta.spec_version;
    let update = || vec![Change::UpdateService(id, Box::new(spec("web")))];
    let expect = |version| vec![Expect { object, what: Expected::SpecVersion(version) }];

    world.act_if(expect(seen), update()).unwrap();
    let stale = world.act_if(expect(seen), update());

    assert_eq!(stale, Err(Refusal::Stale { object, expected: seen, found: seen + 1 }));
    let again = Change::CreateService(Box::new(service(id, spec("other"))));
    assert_eq!(world.act(vec![again]), Err(Refusal::Exists(object)));
    world.must(Change::RemoveService(id));
    assert_eq!(world.act(update()), Err(Refusal::NotFound(object)));
}

#[test]
fn scenario_2_a_failed_group_leaves_no_trace_and_no_event() {
    let mut world = World::new();
    world.service("web");
    let before: Vec<_> = world.view().records().skip(1).collect();
    let (fresh, clash) = (world.ids.draw(), world.ids.draw());
    let create = |id, name| Change::CreateService(Box::new(service(id, spec(name))));

    let failed = world.group(vec![], vec![create(fresh, "new"), create(clash, "WEB")]);
    let applied = world.entry(vec![failed]);

    assert!(matches!(applied.results[0], Err(Refusal::NameTaken { .. })));
    assert_eq!(applied.events.events, []);
    let objects = |records: &[Record]| {
        records.iter().filter(|it| matches!(it, Record::Object(_))).cloned().collect::<Vec<_>>()
    };
    let after: Vec<_> = world.view().records().skip(1).collect();
    assert_eq!(objects(&after), objects(&before));
    assert!(world.view().service_by_name("new").is_none());
}

#[test]
fn scenario_3_groups_before_and_after_a_failed_one_stay() {
    let mut world = World::new();
    let mut create = |name: &str| {
        let service = service(world.ids.draw(), spec(name));
        world.group(vec![], vec![Change::CreateService(Box::new(service))])
    };
    let groups = vec![create("a"), create("A"), create("b")];

    let applied = world.entry(groups);

    let kept: Vec<_> = applied.results.iter().map(Result::is_ok).collect();
    assert_eq!(kept, [true, false, true]);
    assert_eq!(applied.events.events.len(), 2);
}

#[test]
fn scenario_4_names_are_unique_in_any_case_and_renames_conflict() {
    let mut world = World::new();
    let (web, _) = (world.service("Web"), world.service("db"));
    world.network("web");

    let renamed = world.act(vec![Change::UpdateService(web, Box::new(spec("DB")))]);

    assert!(matches!(renamed, Err(Refusal::NameTaken { .. })));
    assert_eq!(world.view().service_by_name("wEB").unwrap().id, web);
    world.must(Change::UpdateService(web, Box::new(spec("front"))));
    assert!(world.view().service_by_name("web").is_none());
    world.service("WEB");
}

#[test]
fn scenario_5_a_snapshot_and_the_batches_after_it_miss_and_repeat_nothing() {
    let mut world = World::new();
    let service = world.service("web");
    let snapshot = world.view();
    let seen = snapshot.tasks().count();

    let batches: Vec<_> = (1..=3)
        .map(|slot| {
            let task = world.new_task(service, slot);
            let group = world.group(vec![], vec![Change::CreateTask(Box::new(task))]);
            world.entry(vec![group]).events
        })
        .collect();

    assert_eq!(snapshot.tasks().count(), seen);
    let indexes: Vec<_> = batches.iter().map(|batch| batch.index).collect();
    let next = snapshot.applied() + 1;
    assert_eq!(indexes, [next, next + 1, next + 2]);
    let created = batches.iter().flat_map(|batch| &batch.events);
    assert_eq!(created.filter(|event| matches!(event, Event::Created(_))).count(), 3);
    assert_eq!(world.view().tasks().count(), seen + 3);
}

#[test]
fn scenario_6_a_restored_state_is_the_same_and_remembers() {
    let mut world = World::new();
    let service = world.service("web");
    world.task(service, 1);
    world.task(service, 1);
    let request = world.group(vec![], vec![Change::RemoveService(service)]);
    let first = world.entry(vec![request.clone()]).results;

    let restored = State::restore(world.view().records()).unwrap();

    let view = restored.snapshot();
    assert_eq!(view.hash(), world.view().hash());
    assert_eq!(view.records().collect::<Vec<_>>(), world.view().records().collect::<Vec<_>>());
    let shared: Vec<_> = view.tasks().map(|task| std::sync::Arc::as_ptr(&task.template)).collect();
    assert_eq!(shared[0], shared[1]);
    world.state = restored;
    let again = world.entry(vec![request]).results;
    assert_eq!(again[0].as_ref().unwrap().version, first[0].as_ref().unwrap().version);
    assert!(again[0].as_ref().unwrap().replayed);
}

#[test]
fn damaged_snapshots_are_refused() {
    let mut world = World::new();
    world.service("web");
    let good: Vec<_> = world.view().records().collect();
    let restore = |records: Vec<Record>| State::restore(records.into_iter()).err().unwrap();

    assert_eq!(restore(vec![]), RestoreError::NoHeader);
    assert_eq!(restore(good[1..].to_vec()), RestoreError::NoHeader);
    assert!(matches!(restore(good[..1].to_vec()), RestoreError::HashMismatch { .. }));
    let twice = [&good[..], &good[1..2]].concat();
    assert!(matches!(restore(twice), RestoreError::ObjectTwice(_)));
    let two = [&good[..], &good[..1]].concat();
    assert_eq!(restore(two), RestoreError::SecondHeader);
    let asked_twice = [&good[..], &good[good.len() - 1..]].concat();
    assert!(matches!(restore(asked_twice), RestoreError::RequestTwice(_)));
}

#[test]
fn a_retry_gets_the_first_result_until_it_is_forgotten() {
    let mut world = World::new();
    let (id, other) = (world.ids.draw(), world.ids.draw());
    let create = |id| vec![Change::CreateService(Box::new(service(id, spec("web"))))];
    let first = world.group(vec![], create(id));
    let refused = world.group(vec![], create(other));
    let both = world.entry(vec![first.clone(), refused.clone(), first.clone()]).results;

    assert!(!both[0].as_ref().unwrap().replayed && both[2].as_ref().unwrap().replayed);
    world.must(Change::RemoveService(id));
    assert_eq!(world.entry(vec![refused.clone()]).results, both[1..2]);
    world.at += i64::try_from(REQUEST_MEMORY.as_nanos()).unwrap();
    assert_eq!(world.entry(vec![refused.clone()]).results, both[1..2], "a clock was set ahead");
    let later = (0..REQUEST_KEPT).map(|_| world.group(vec![], vec![])).collect();
    world.entry(later);
    assert!(world.view().request(&refused.request).is_none());
    assert!(world.entry(vec![refused]).results[0].is_ok());
}

#[test]
fn the_memory_of_requests_is_bounded() {
    let mut world = World::new();
    let first = world.group(vec![], vec![]);
    world.entry(vec![first.clone()]);
    world.at += 1;
    for _ in 0..REQUEST_LIMIT / 4096 {
        let groups = (0..4096).map(|_| world.group(vec![], vec![])).collect();
        world.entry(groups);
    }
    assert!(world.view().request(&first.request).is_none());
    let requests = world.view().records().filter(|it| matches!(it, Record::Request(_))).count();
    assert_eq!(requests, REQUEST_LIMIT);
}

#[test]
fn the_clock_never_goes_back() {
    let mut world = World::new();
    world.at = 100;
    world.service("web");
    world.at = 50;
    let id = world.service("db");
    assert_eq!(world.view().service(&id).unwrap().meta.created_at, Timestamp(100));
    assert_eq!(world.view().at(), Timestamp(100));
}

#[test]
fn unknown_levels_old_entries_and_other_hashes_halt() {
    let mut world = World::new();
    world.index = CHECK_EVERY - 1;
    let id = world.service("web");
    let hash = world.state.hash_at(CHECK_EVERY).unwrap();
    assert_eq!(hash, world.view().hash());
    let entry = |level, hash| Entry {
        level,
        at: Timestamp(1),
        groups: vec![],
        check: Some(HashCheck { index: CHECK_EVERY, hash }),
    };
    let next = CHECK_EVERY + 1;

    let unknown = world.state.apply(next, &entry(LEVEL + 1, hash));
    assert!(matches!(unknown, Err(Halt::UnknownLevel { .. })));
    assert!(matches!(world.state.apply(next, &entry(0, hash)), Err(Halt::UnknownLevel { .. })));
    let differs = world.state.apply(next, &entry(LEVEL, [7; 32]));
    assert!(matches!(differs, Err(Halt::HashMismatch { .. })));
    let old = world.state.apply(CHECK_EVERY, &entry(LEVEL, hash));
    assert!(matches!(old, Err(Halt::OutOfOrder { .. })));
    assert_eq!(world.view().applied(), CHECK_EVERY);
    assert!(world.view().service(&id).is_some());

    let mut restored = State::restore(world.view().records()).unwrap();
    assert!(restored.apply(next, &entry(LEVEL, [7; 32])).is_err());
    world.state.apply(next, &entry(LEVEL, hash)).unwrap();
}

#[test]
fn reports_move_only_the_version_decisions_and_users_their_own() {
    let mut world = World::new();
    let (task, node, session) = world.assigned();
    let versions = |world: &World| {
        let meta = world.view().task(&task).unwrap().meta;
        (meta.version, meta.spec_version, meta.decided_version)
    };
    let (_, spec_before, decided) = versions(&world);

    world.must(observe(task, node, session, TaskState::Running));
    assert_eq!(versions(&world), (world.index, spec_before, decided));
    world.must(desire(task, TaskState::Shutdown));
    assert_eq!(versions(&world), (world.index, spec_before, world.index));

    let id = world.service("web");
    let created = world.index;
    world.must(Change::UpdateService(id, Box::new(spec("web"))));
    let meta = world.view().service(&id).unwrap().meta;
    let all = (meta.version, meta.spec_version, meta.decided_version);
    assert_eq!(all, (world.index, world.index, created));
}

#[test]
fn a_report_that_says_nothing_new_is_ignored_without_event() {
    let mut world = World::new();
    let (task, node, session) = world.assigned();
    world.must(observe(task, node, session, TaskState::Running));
    let before = world.view().task(&task).unwrap().clone();

    for state in [TaskState::Running, TaskState::Ready, TaskState::New] {
        let group = world.group(vec![], vec![observe(task, node, session, state)]);
        let applied = world.entry(vec![group]);
        assert!(applied.results[0].is_ok() && applied.events.events.is_empty());
    }
    assert_eq!(world.view().task(&task), Some(&before));
}

#[test]
fn a_task_remembers_when_it_ran_and_one_that_never_did_says_so() {
    for (reports, ran) in [
        (&[TaskState::Starting, TaskState::Failed][..], false),
        (&[TaskState::Running, TaskState::Failed][..], true),
    ] {
        let mut world = World::new();
        let (task, node, session) = world.assigned();
        let mut at = Timestamp::default();
        for state in reports {
            world.at += 1_000;
            world.must(observe(task, node, session, *state));
            if *state == TaskState::Running {
                at = world.view().at();
            }
        }
        assert_eq!(world.view().task(&task).unwrap().ran_at, at);
        assert_eq!(at != Timestamp::default(), ran);
    }
}

#[test]
fn removing_a_node_orphans_its_tasks_and_refuses_its_identity() {
    let mut world = World::new();
    let (task, id, _) = world.assigned();
    world.must(Change::RemoveNode { node: id, refuse_until: Timestamp(1_000) });
    assert_eq!(world.view().task(&task).unwrap().status.state, TaskState::Orphaned);
    assert_eq!(world.view().tasks_on_node(&id).count(), 1);
    assert!(world.view().node(&id).is_none());
}

#[test]
fn a_rollback_swaps_specs_and_versions() {
    let mut world = World::new();
    let id = world.service("web");
    let first = world.view().service(&id).unwrap().meta.spec_version;
    world.must(Change::UpdateService(id, Box::new(global("web"))));
    let second = world.index;
    let status = object::service::UpdateStatus {
        state: object::service::UpdateState::RollbackStarted,
        started_at: None,
        completed_at: None,
        message: String::new(),
    };

    world.must(Change::RollbackService(id, Box::new(status)));

    let service = world.view().service(&id).unwrap().clone();
    assert_eq!((service.meta.spec_version, service.spec.clone()), (first, spec("web")));
    let previous = service.previous.as_ref().unwrap();
    assert_eq!((previous.spec_version, &previous.spec), (second, &global("web")));
}

//! How many tasks a service has, and in which slots (engine.md 7.2: 31, 32).

use std::time::Duration;

use swarm_planner::{Dirty, MAX_CHANGES, Reason, Scope, round};
use swarm_types::spec::task::RestartCondition;
use swarm_types::{Change, IdSource, ServiceId, TaskState};

use crate::world::World;

#[test]
fn a_new_service_is_filled_placed_and_at_rest_after_one_round() {
    let mut world = World::new(1);
    let web = world.service(3);

    let plan = world.step();

    assert_eq!(plan.groups.len(), 3);
    assert!(plan.why.iter().all(|why| why.reason == Reason::SlotEmpty));
    assert_eq!(world.slots(web), [1, 2, 3]);
    for task in world.wanted(web) {
        assert_eq!(task.status.state, TaskState::Assigned);
        assert_eq!(task.desired, TaskState::Running);
    }
    assert_eq!(world.settle(), 0);
}

#[test]
fn scaling_up_takes_the_lowest_free_slots() {
    let mut world = World::new(2);
    let web = world.service(4);
    world.run();
    let second = world.wanted_in(web, 2).id;
    world.scale(web, 3);
    world.run();
    let kept = world.slots(web);

    world.scale(web, 6);
    world.run();

    assert_eq!(kept.len(), 3);
    assert_eq!(world.slots(web), [1, 2, 3, 4, 5, 6]);
    assert_eq!(kept.contains(&2), world.wanted_in(web, 2).id == second);
}

#[test]
fn scaling_down_on_one_node_keeps_the_lowest_slots() {
    let mut world = World::new(1);
    let web = world.service(5);
    world.run();

    world.scale(web, 2);
    let plan = world.step();

    assert_eq!(world.slots(web), [1, 2]);
    let removes =
        |change: &Change| matches!(change, Change::SetDesired { desired: TaskState::Remove, .. });
    assert!(plan.groups.iter().all(|group| group.changes.iter().all(removes)));
    assert_eq!(world.tasks(web).len(), 5, "what runs is kept until it has ended");
    world.run();
    assert_eq!(world.tasks(web).len(), 2);
}

#[test]
fn scaling_down_prefers_slots_without_a_node_then_the_busiest_node_then_what_does_not_run() {
    let mut world = World::new(1);
    let first = world.view().nodes().next().expect("a node").id;
    let web = world.service_of(3, |spec| spec.task.placement.max_replicas = 3);
    world.run();
    let second = world.node();
    world.scale(web, 4);
    world.run();
    assert_eq!((world.count_on(web, first), world.count_on(web, second)), (3, 1));
    world.scale(web, 7);
    world.settle();
    assert_eq!((world.count_on(web, first), world.count_on(web, second)), (3, 3));
    world.scale(web, 8);
    world.settle();
    let homeless = world.wanted_in(web, 8);
    assert_eq!(homeless.node, None);

    // Of 8, 7 goes for it has no node; then those that do not run yet on the second node.
    world.scale(web, 7);
    world.settle();
    assert_eq!(world.slots(web), [1, 2, 3, 4, 5, 6, 7]);
    world.scale(web, 4);
    world.settle();

    assert_eq!(world.slots(web), [1, 2, 4, 5]);
    assert_eq!((world.count_on(web, first), world.count_on(web, second)), (2, 2));
}

#[test]
fn scaling_down_on_one_node_gives_up_what_does_not_run_first() {
    let mut world = World::new(1);
    let web = world.service(3);
    world.settle();
    for slot in [2, 3] {
        let task = world.wanted_in(web, slot).id;
        world.report(task, TaskState::Running);
    }

    world.scale(web, 2);
    world.settle();

    assert_eq!(world.slots(web), [2, 3]);
}

#[test]
fn scaling_to_nothing_and_back_starts_over() {
    let mut world = World::new(1);
    let web = world.service(2);
    world.run();

    world.scale(web, 0);
    world.run();
    assert!(world.tasks(web).is_empty());
    world.scale(web, 1);
    world.run();

    assert_eq!(world.slots(web), [1]);
}

#[test]
fn a_slot_that_is_still_stopping_starts_its_next_task_when_it_has_stopped() {
    for condition in [RestartCondition::Any, RestartCondition::None] {
        let mut world = World::new(1);
        let web = world.service_of(1, |spec| spec.task.restart.condition = condition);
        world.run();
        let old = world.wanted_in(web, 1).id;
        world.scale(web, 0);
        world.settle();
        world.scale(web, 1);
        world.settle();

        let new = world.wanted_in(web, 1);
        assert_eq!((new.desired, new.replaces), (TaskState::Ready, Some(old)));
        world.report(old, TaskState::Shutdown);
        world.settle();

        assert_eq!(world.wanted_in(web, 1).desired, TaskState::Running);
        assert!(world.tasks(web).iter().all(|task| task.id != old));
    }
}

#[test]
fn a_removed_service_takes_its_tasks_along() {
    let mut world = World::new(1);
    let web = world.service(2);
    world.run();

    world.change(Change::RemoveService(web));
    world.settle();
    assert!(world.tasks(web).iter().all(|task| task.desired == TaskState::Remove));
    world.run();

    assert!(world.tasks(web).is_empty());
}

#[test]
fn tasks_that_no_node_has_go_at_once_with_their_service() {
    let mut world = World::new(0);
    let web = world.service(2);
    world.settle();

    world.change(Change::RemoveService(web));
    world.step();

    assert!(world.tasks(web).is_empty());
}

#[test]
fn more_replicas_than_a_plan_holds_take_several_rounds() {
    let mut world = World::new(3);
    let web = world.service(6_000);

    let plan = world.step();

    let changes: usize = plan.groups.iter().map(|group| group.changes.len()).sum();
    assert!((2_000..=MAX_CHANGES).contains(&changes), "{changes}");
    assert_eq!(plan.wake_at, Some(world.now));
    world.settle();
    assert_eq!(world.slots(web), (1..=6_000).collect::<Vec<_>>());
    assert!(world.wanted(web).iter().all(|task| task.node.is_some()));
}

#[test]
fn a_plan_is_bounded_whatever_is_asked_for() {
    let mut world = World::new(1);
    world.service(u64::MAX);
    let small = [world.service(1), world.service(1)];

    let plan = world.step();

    let changes: usize = plan.groups.iter().map(|group| group.changes.len()).sum();
    assert!((2_000..=MAX_CHANGES).contains(&changes), "{changes}");
    assert!(world.dirty.is_due(world.now), "the rest is planned next");
    world.step();
    assert!(small.iter().all(|it| world.slots(*it) == [1]), "they wait for one plan at most");
}

#[test]
fn a_service_of_many_tasks_is_looked_at_once_while_it_is_filled() {
    let mut world = World::new(2);
    let web = world.service(6_000);

    let first = world.step().groups.len();
    let second = world.step();

    // Each slot is looked at once to fill it and once to place it, and each node once.
    assert!(second.groups.len() >= first, "{} groups", second.groups.len());
    let most = 2 * second.groups.len() + 2 + 2;
    assert!(second.examined <= most, "{} for {most}", second.examined);
    world.settle();
    assert_eq!(world.slots(web), (1..=6_000).collect::<Vec<_>>());
}

#[test]
fn a_dirty_node_does_not_make_a_service_be_looked_at_while_it_is_filled() {
    let mut world = World::new(2);
    world.dirty.mark(Scope::All);
    world.service(6_000);

    world.step();
    let second = world.step();

    assert!(second.examined <= 2 * second.groups.len() + 4, "{}", second.examined);
}

/// What befalls a service whose tasks are made by several plans.
fn interrupted(event: impl Fn(&mut World, ServiceId)) -> (World, ServiceId) {
    let mut world = World::new(2);
    let web = world.service(3_000);
    world.step();
    assert!(world.slots(web).len() < 3_000, "one plan does not do");
    event(&mut world, web);
    world.settle();
    (world, web)
}

#[test]
fn a_service_that_is_scaled_while_it_is_filled_gets_what_is_asked_then() {
    for replicas in [2_800, 3_500, 10] {
        let (world, web) = interrupted(|world, web| world.scale(web, replicas));
        assert_eq!(world.slots(web), (1..=replicas).collect::<Vec<_>>());
    }
}

#[test]
fn who_leads_next_goes_on_filling_a_service() {
    let (world, web) = interrupted(|world, _| {
        world.dirty = Dirty::default();
        world.dirty.mark(Scope::All);
    });
    assert_eq!(world.slots(web), (1..=3_000).collect::<Vec<_>>());
}

#[test]
fn a_service_that_is_removed_while_it_is_filled_leaves_nothing() {
    let (mut world, web) = interrupted(|world, web| world.change(Change::RemoveService(web)));
    assert!(world.wanted(web).is_empty());
    world.run();
    assert!(world.tasks(web).is_empty());
}

#[test]
fn a_task_that_fails_while_its_service_is_filled_is_replaced() {
    let (world, web) = interrupted(|world, web| {
        let task = world.wanted_in(web, 7).id;
        world.report(task, TaskState::Failed);
    });
    assert_eq!(world.slots(web), (1..=3_000).collect::<Vec<_>>());
    let seventh = world.tasks(web).into_iter().filter(|task| task.slot == 7).count();
    assert_eq!(seventh, 2);
}

#[test]
fn what_is_refused_while_a_service_is_filled_is_decided_again() {
    let mut world = World::new(2);
    let web = world.service(3_000);
    let view = world.view();
    let mut ids = IdSource::seeded(3);
    let plan = round(&view, &mut world.dirty, &mut ids, world.now);
    let (lost, made) = plan.groups.split_at(100);
    world.apply(made.to_vec());
    lost.iter().for_each(|group| world.dirty.retry(group));

    world.settle();

    assert_eq!(world.slots(web), (1..=3_000).collect::<Vec<_>>());
}

#[test]
fn a_plan_decided_on_what_has_changed_is_refused_and_decided_again() {
    let mut world = World::new(1);
    let web = world.service(2);
    let stale = world.plan(Scope::All);
    world.scale(web, 1);

    let applied = world.apply(stale.groups.clone());
    assert!(applied.results.iter().all(Result::is_err), "{:?}", applied.results);
    stale.groups.iter().for_each(|group| world.dirty.retry(group));
    world.pass(Duration::from_secs(1));
    world.run();

    assert_eq!(world.slots(web), [1]);
}

#[test]
fn what_is_left_of_a_removed_service_costs_one_look_at_each_task() {
    let mut world = World::new(2);
    let web = world.service(300);
    world.run();
    world.change(Change::RemoveService(web));
    world.settle();

    let task = world.tasks(web).remove(0).id;
    world.report(task, TaskState::Shutdown);
    let plan = world.step();

    assert_eq!(plan.why.iter().map(|why| why.reason).collect::<Vec<_>>(), [Reason::Removable]);
    assert!(plan.examined <= 2, "{}", plan.examined);
    world.run();
    assert!(world.tasks(web).is_empty());
}

//! What follows the end of a task (engine.md 7.2: 33-36).

use std::time::Duration;

use swarm_planner::{Reason, Scope};
use swarm_types::spec::task::{RestartCondition, RestartPolicy};
use swarm_types::{ServiceId, TaskState, Timestamp, defaults};

use crate::world::World;

/// One replica that runs under that policy.
fn running(policy: RestartPolicy) -> (World, ServiceId) {
    let mut world = World::new(2);
    let web = world.service_of(1, |spec| spec.task.restart = policy);
    world.run();
    (world, web)
}

fn when(condition: RestartCondition) -> RestartPolicy {
    RestartPolicy { condition, delay: Duration::ZERO, ..RestartPolicy::default() }
}

fn ends(world: &mut World, web: ServiceId, state: TaskState) {
    let task = world.wanted_in(web, 1).id;
    world.report(task, state);
    world.run();
}

#[test]
fn the_condition_says_which_ends_are_followed_by_another_task() {
    use RestartCondition::{Any, None, OnFailure};
    use TaskState::{Complete, Failed, Rejected};
    let cases = [
        (Any, Failed, true),
        (Any, Rejected, true),
        (Any, Complete, true),
        (OnFailure, Failed, true),
        (OnFailure, Rejected, true),
        (OnFailure, Complete, false),
        (None, Failed, false),
        (None, Complete, false),
    ];
    for (condition, end, replaced) in cases {
        let (mut world, web) = running(when(condition));

        ends(&mut world, web, end);

        assert_eq!(world.wanted(web).len(), usize::from(replaced), "{condition:?} {end}");
    }
}

#[test]
fn a_slot_that_ended_for_good_is_not_filled_again() {
    let (mut world, web) = running(when(RestartCondition::None));
    ends(&mut world, web, TaskState::Complete);

    world.scale(web, 2);
    world.run();

    assert_eq!(world.slots(web), [2]);
    let first = &world.tasks(web)[0];
    assert_eq!((first.slot, first.desired), (1, TaskState::Shutdown));
    assert!(world.plan(Scope::All).groups.is_empty());
}

#[test]
fn a_replacement_is_prepared_at_once_and_starts_after_the_delay() {
    let (mut world, web) = running(RestartPolicy::default());
    let old = world.wanted_in(web, 1).id;
    world.report(old, TaskState::Failed);

    let plan = world.step();
    let opens = world.now.after(defaults::RESTART_DELAY);
    assert_eq!(plan.wake_at, Some(opens));
    assert_eq!(plan.why[0].reason, Reason::TaskEnded);
    world.run();
    let new = world.wanted_in(web, 1);
    assert_eq!((new.desired, new.status.state), (TaskState::Ready, TaskState::Ready));
    assert_eq!((new.replaces, new.start_after), (Some(old), opens));

    world.pass(defaults::RESTART_DELAY - Duration::from_nanos(1));
    assert!(!world.dirty.is_due(world.now));
    assert!(world.plan(Scope::All).groups.is_empty());
    world.pass(Duration::from_nanos(1));
    assert!(world.dirty.is_due(world.now));
    world.run();
    assert_eq!(world.wanted_in(web, 1).status.state, TaskState::Running);
}

#[test]
fn another_leader_starts_what_was_held_back_after_the_delay_that_is_left() {
    let (mut world, web) = running(RestartPolicy::default());
    ends(&mut world, web, TaskState::Failed);
    let opens = world.wanted_in(web, 1).start_after;

    world.pass(Duration::from_secs(2));
    let plan = world.plan(Scope::All);

    assert!(plan.groups.is_empty());
    assert_eq!(plan.wake_at, Some(opens));
    world.pass(Duration::from_secs(3));
    assert_eq!(world.plan(Scope::All).why[0].reason, Reason::MayStart);
}

/// Clocks of leaders differ, and people set them: a delay ends by either.
#[test]
fn a_clock_that_is_put_back_costs_no_more_than_the_delay() {
    for (back, starts) in [(30, false), (3600, true)] {
        let (mut world, web) = running(RestartPolicy::default());
        ends(&mut world, web, TaskState::Failed);
        assert_eq!(world.wanted_in(web, 1).desired, TaskState::Ready);

        world.now = Timestamp(world.now.0 - back * 1_000_000_000);
        world.dirty.mark(Scope::All);
        world.run();

        assert_eq!(world.wanted_in(web, 1).desired == TaskState::Running, starts, "{back} s");
    }
}

#[test]
fn a_clock_that_was_put_back_does_not_take_the_delay_of_what_ends_later() {
    let (mut world, web) = running(RestartPolicy::default());
    world.now = Timestamp(world.now.0 - 3_600_000_000_000);

    ends(&mut world, web, TaskState::Failed);

    let new = world.wanted_in(web, 1);
    assert_eq!(new.desired, TaskState::Ready);
    assert_eq!(new.start_after, world.now.after(defaults::RESTART_DELAY));
    world.pass(defaults::RESTART_DELAY);
    world.run();
    assert_eq!(world.wanted_in(web, 1).status.state, TaskState::Running);
}

#[test]
fn a_task_that_cannot_be_prepared_is_not_replaced_before_its_own_delay_is_over() {
    let (mut world, web) = running(RestartPolicy::default());
    ends(&mut world, web, TaskState::Failed);
    let first = world.wanted_in(web, 1);
    world.report(first.id, TaskState::Rejected);

    let plan = world.step();
    assert!(plan.groups.is_empty());
    assert_eq!(plan.wake_at, Some(first.start_after));
    world.pass(defaults::RESTART_DELAY);
    world.settle();

    let second = world.wanted_in(web, 1);
    assert_eq!(second.replaces, Some(first.id));
    assert_eq!(second.start_after, first.start_after.after(defaults::RESTART_DELAY));
}

#[test]
fn attempts_are_limited_and_another_leader_counts_the_same() {
    let policy = RestartPolicy { max_attempts: 2, ..when(RestartCondition::Any) };
    let (mut world, web) = running(policy);

    for _ in 0..2 {
        ends(&mut world, web, TaskState::Failed);
        assert_eq!(world.wanted(web).len(), 1);
    }
    let last = world.wanted_in(web, 1).id;
    world.report(last, TaskState::Failed);

    assert_eq!(world.plan(Scope::All).why[0].reason, Reason::NotReplaced);
    world.run();
    assert!(world.wanted(web).is_empty());
    assert_eq!(world.tasks(web).len(), 3);
}

#[test]
fn a_new_spec_may_try_again() {
    let policy = RestartPolicy { max_attempts: 1, ..when(RestartCondition::Any) };
    let (mut world, web) = running(policy);
    world.update(web, |spec| spec.task.force_update = 1);

    for _ in 0..2 {
        ends(&mut world, web, TaskState::Failed);
        assert_eq!(world.wanted(web).len(), 1);
    }
    ends(&mut world, web, TaskState::Failed);

    assert!(world.wanted(web).is_empty());
}

#[test]
fn with_a_window_only_the_attempts_within_it_count() {
    let window = Duration::from_secs(60);
    let policy = RestartPolicy { max_attempts: 2, window, ..when(RestartCondition::Any) };
    let (mut world, web) = running(policy);

    for _ in 0..6 {
        world.pass(Duration::from_secs(40));
        ends(&mut world, web, TaskState::Failed);
        assert_eq!(world.wanted(web).len(), 1);
    }
    world.pass(Duration::from_secs(1));
    ends(&mut world, web, TaskState::Failed);

    assert!(world.wanted(web).is_empty());
}

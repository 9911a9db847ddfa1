//! Updates whose tasks fail, and roll-backs (engine.md 7.2: 43, 44).

use std::sync::Arc;

use swarm_planner::Scope;
use swarm_types::object::service::{UpdateState, UpdateStatus};
use swarm_types::spec::service::{FailureAction, UpdateConfig, UpdateOrder};
use swarm_types::spec::task::ResourceReference;
use swarm_types::{Change, Task, TaskState};

use crate::update::{SECOND, image, running};

#[test]
fn a_failure_pauses_an_update_and_a_paused_one_does_nothing() {
    let (mut world, web) = running(4, UpdateConfig::default());
    world.roll(web, "web:2");

    assert_eq!(world.finish_failing(web, "web:2", 1), Some(UpdateState::Paused));

    let text = "update paused due to failure or early termination of task ";
    assert!(world.status(web).message.starts_with(text));
    let left = world.of(web, "web").len();
    assert!(left >= 2, "{left} of 4 are old");
    world.pass(3600 * SECOND);
    world.run();
    assert!(world.plan(Scope::All).groups.is_empty());
    assert_eq!((world.of(web, "web").len(), world.status(web).completed_at), (left, None));
    // What fails is replaced, and by the present spec.
    let old = world.of(web, "web").remove(0);
    world.report(old.id, TaskState::Failed);
    world.run();
    assert_eq!(world.of(web, "web").len(), left - 1);
    // Another update begins anew.
    world.roll(web, "web:3");
    assert_eq!(world.finish(web), Some(UpdateState::Completed));
    assert_eq!(world.of(web, "web:3").len(), 4);
}

#[test]
fn so_many_failures_are_tolerated_as_the_ratio_says() {
    for (fails, end) in [(2, UpdateState::Completed), (3, UpdateState::Paused)] {
        for limit in [0, 5] {
            let config =
                UpdateConfig { max_failure_millionths: 500_000, ..UpdateConfig::default() };
            let (mut world, web) = running(4, config);
            world.set_history_limit(limit);
            world.roll(web, "web:2");
            let mut slots = Vec::new();

            // Failures of one slot count once.
            for slot in 1..=fails {
                while world.of(web, "web:2").iter().all(|it| it.slot != slot) {
                    world.run();
                }
                let task = world.wanted_in(web, slot);
                world.report(task.id, TaskState::Failed);
                world.settle();
                slots.push(slot);
            }

            assert_eq!(world.finish(web), Some(end), "{fails} of 4, {limit} kept");
        }
    }
}

#[test]
fn a_task_that_ends_after_the_monitor_is_no_failure_of_the_update() {
    let monitor = 5 * SECOND;
    for (after, state) in [(monitor, UpdateState::Paused), (6 * SECOND, UpdateState::Completed)] {
        let (mut world, web) =
            running(2, UpdateConfig { delay: 20 * SECOND, monitor, ..UpdateConfig::default() });
        world.roll(web, "web:2");
        world.run();
        let new = world.of(web, "web:2").remove(0);

        world.pass(after);
        world.report(new.id, TaskState::Complete);

        assert_eq!(world.finish(web), Some(state), "{after:?}");
    }
}

#[test]
fn with_continue_failures_are_not_looked_at() {
    let failure_action = FailureAction::Continue;
    let (mut world, web) = running(3, UpdateConfig { failure_action, ..UpdateConfig::default() });
    world.roll(web, "web:2");

    assert_eq!(world.finish_failing(web, "web:2", 6), Some(UpdateState::Completed));

    assert_eq!(world.of(web, "web:2").len(), 3);
}

#[test]
fn with_rollback_a_failure_brings_the_old_spec_back() {
    let failure_action = FailureAction::Rollback;
    let config = UpdateConfig { failure_action, parallelism: 2, ..UpdateConfig::default() };
    let (mut world, web) = running(4, config);
    world.roll(web, "web:2");

    assert_eq!(world.finish_failing(web, "web:2", 1), Some(UpdateState::RollbackCompleted));

    assert_eq!(world.of(web, "web").len(), 4);
    assert_eq!(world.status(web).message, "rollback completed");
    assert!(world.plan(Scope::All).groups.is_empty());
}

#[test]
fn a_rollback_that_fails_is_paused_and_never_rolled_back() {
    let failure_action = FailureAction::Rollback;
    let (mut world, web) = running(4, UpdateConfig { failure_action, ..UpdateConfig::default() });
    world.roll(web, "web:2");
    world.run();
    while world.update_state(web) == Some(UpdateState::Updating) {
        let task = world.of(web, "web:2").remove(0);
        world.report(task.id, TaskState::Failed);
        world.settle();
    }
    assert_eq!(world.update_state(web), Some(UpdateState::RollbackStarted));

    let original = |it: &Arc<Task>| it.replaces.is_none();
    for _ in 0..10 {
        world.settle();
        let again = world.of(web, "web").into_iter().find(|it| !original(it) && it.may_run());
        if let Some(task) = again {
            world.report(task.id, TaskState::Rejected);
            world.settle();
            break;
        }
        world.obey();
    }

    assert_eq!(world.update_state(web), Some(UpdateState::RollbackPaused));
    assert!(world.status(web).message.starts_with("rollback paused due to failure"));
    world.run();
    assert!(world.plan(Scope::All).groups.is_empty());
}

#[test]
fn a_user_rolls_back_and_forward_again() {
    let (mut world, web) = running(3, UpdateConfig::default());
    world.roll(web, "web:2");
    assert_eq!(world.finish(web), Some(UpdateState::Completed));

    for to in ["web", "web:2", "web"] {
        let status = UpdateStatus {
            state: UpdateState::RollbackStarted,
            started_at: Some(world.now),
            completed_at: None,
            message: "manually requested rollback".to_owned(),
        };
        world.change(Change::RollbackService(web, Box::new(status)));
        world.settle();
        assert_eq!(world.of(web, to).len(), 1, "one at a time");
        assert_eq!(world.finish(web), Some(UpdateState::RollbackCompleted));
        assert_eq!(world.of(web, to).len(), 3);
    }
}

#[test]
fn going_back_while_start_first_is_under_way_keeps_the_old_task() {
    let order = UpdateOrder::StartFirst;
    let (mut world, web) = running(1, UpdateConfig { order, ..UpdateConfig::default() });
    let old = world.wanted_in(web, 1).id;
    world.roll(web, "web:2");
    world.settle();

    world.roll(web, "web");
    world.finish(web);

    assert_eq!(world.wanted_in(web, 1).id, old);
}

#[test]
fn without_the_secret_the_old_spec_wants_there_is_no_way_back() {
    let failure_action = FailureAction::Rollback;
    let (mut world, web) = running(2, UpdateConfig { failure_action, ..UpdateConfig::default() });
    let secret = world.secret();
    world.update(web, |spec| spec.task.references = vec![ResourceReference::Secret(secret)]);
    assert_eq!(world.finish(web), Some(UpdateState::Completed));
    world.update(web, |spec| {
        spec.task.references.clear();
        image(spec, "web:2");
    });
    world.change(Change::RemoveSecret(secret));

    assert_eq!(world.finish_failing(web, "web:2", 1), Some(UpdateState::Paused));
}

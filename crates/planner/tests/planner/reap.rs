//! Which task objects are dropped (engine.md 7.2: 50).

use std::time::Duration;

use swarm_types::spec::task::{RestartCondition, RestartPolicy};
use swarm_types::{ServiceId, TaskId, TaskState};

use crate::world::World;

/// One replica that failed that many times.
fn failed(times: usize, policy: RestartPolicy) -> (World, ServiceId, Vec<TaskId>) {
    failed_in(World::new(1), times, policy)
}

fn failed_in(
    mut world: World,
    times: usize,
    policy: RestartPolicy,
) -> (World, ServiceId, Vec<TaskId>) {
    let policy = RestartPolicy { delay: Duration::ZERO, ..policy };
    let web = world.service_of(1, |spec| spec.task.restart = policy);
    let mut made = Vec::new();
    for _ in 0..times {
        world.run();
        let task = world.wanted_in(web, 1).id;
        made.push(task);
        world.pass(Duration::from_secs(1));
        world.report(task, TaskState::Failed);
    }
    world.run();
    made.extend(world.wanted(web).iter().map(|task| task.id));
    (world, web, made)
}

#[test]
fn a_slot_keeps_its_five_newest_tasks() {
    let (world, web, made) = failed(8, RestartPolicy::default());

    let kept: Vec<TaskId> = world.tasks(web).iter().map(|task| task.id).collect();

    assert_eq!(kept, made[4..]);
}

#[test]
fn a_negative_limit_keeps_all_and_none_keeps_the_newest() {
    for (limit, kept) in [(-1, 9), (0, 1), (1, 1), (3, 3)] {
        let mut world = World::new(1);
        world.set_history_limit(limit);
        let (world, web, made) = failed_in(world, 8, RestartPolicy::default());

        let found: Vec<TaskId> = world.tasks(web).iter().map(|task| task.id).collect();
        assert_eq!(found, made[made.len() - kept..], "limit {limit}");
    }
}

#[test]
fn a_slot_that_ended_for_good_keeps_the_task_that_says_so() {
    let mut world = World::new(1);
    world.set_history_limit(0);
    let once = RestartPolicy { condition: RestartCondition::None, ..RestartPolicy::default() };

    let (world, web, made) = failed_in(world, 1, once);

    assert_eq!(world.tasks(web).iter().map(|task| task.id).collect::<Vec<_>>(), made);
}

#[test]
fn limited_restarts_keep_what_is_needed_to_count_them() {
    let policy = RestartPolicy {
        max_attempts: 7,
        condition: RestartCondition::OnFailure,
        ..RestartPolicy::default()
    };
    let (world, web, made) = failed(8, policy);

    assert_eq!(world.tasks(web).len(), 8);
    assert_eq!(made.len(), 8, "the eighth failure is not followed by another task");
}

#[test]
fn tasks_that_end_at_their_nodes_word_only_are_kept_until_then() {
    let mut world = World::new(1);
    let web = world.service(1);
    world.run();
    world.scale(web, 0);

    world.settle();
    assert_eq!(world.tasks(web).len(), 1);
    let task = world.tasks(web)[0].id;
    world.report(task, TaskState::Shutdown);
    world.settle();

    assert!(world.tasks(web).is_empty());
}

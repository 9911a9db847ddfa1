//! Health checks, as the worker acts on them.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_task_with_a_health_check_runs_when_it_is_healthy() {
    let unwell = Probed::Failed { why: "not yet".to_owned() };
    let world = World { probe: Some(unwell), ..World::default() };
    let (mut bench, task) = (Bench::new(world), plain(1));

    bench.assign(&[&task]).await;
    bench.fake.until(|world| world.count("probe", task.id) >= 5).await;
    let state = bench.reporter.status(task.id).map(|status| status.state);
    assert_eq!(state, Some(TaskState::Starting));
    bench.fake.change(|world| world.probe = Some(Probed::Passed));

    bench.reached(&task, TaskState::Running).await;
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_task_is_ended_and_has_failed() {
    let world = World { probe: Some(Probed::Passed), ..World::default() };
    let (mut bench, task) = (Bench::new(world), plain(1));
    bench.assign(&[&task]).await;
    bench.reached(&task, TaskState::Running).await;

    bench.fake.change(|world| world.probe = Some(Probed::Failed { why: "no".to_owned() }));

    let failed = bench.reached(&task, TaskState::Complete).await;
    assert_eq!(failed.state, TaskState::Failed);
    assert_eq!(failed.err, "task: non-zero exit (143): dockerexec: unhealthy container");
    assert_eq!(bench.fake.get(&task), Some(Container::Ended(143)));
}

#[tokio::test(start_paused = true)]
async fn restarts_and_absences_are_no_failed_probes() {
    let world = World { probe: Some(Probed::Passed), ..World::default() };
    let (mut bench, task) = (Bench::new(world), plain(1));
    bench.assign(&[&task]).await;
    bench.reached(&task, TaskState::Running).await;
    let count = |bench: &Bench| bench.fake.count("probe", &task);

    for _ in 0..4 {
        // Each agent sees one failure; two in a row under one agent would end the task.
        bench.fake.change(|world| world.probe = Some(Probed::Failed { why: "no".to_owned() }));
        let before = count(&bench);
        bench.fake.until(|world| world.count("probe", task.id) > before).await;
        bench.restart().await;
    }
    bench.fake.change(|world| world.probe = Some(Probed::Unasked { why: "away".to_owned() }));
    let before = count(&bench);
    bench.fake.until(|world| world.count("probe", task.id) > before + 5).await;

    assert_eq!(bench.fake.get(&task), Some(Container::Running));
}

#[tokio::test(start_paused = true)]
async fn a_container_that_ends_before_it_is_healthy_has_ended() {
    let unwell = Probed::Failed { why: "not yet".to_owned() };
    let world = World { probe: Some(unwell), ..World::default() };
    let (mut bench, fails, done) = (Bench::new(world), plain(1), plain(2));
    bench.assign(&[&fails, &done]).await;
    let both = [&fails, &done];
    bench.fake.until(|world| both.iter().all(|task| world.count("probe", task.id) > 0)).await;

    bench.fake.set(&fails, Container::Ended(4));
    bench.fake.set(&done, Container::Ended(0));

    assert_eq!(bench.reached(&fails, TaskState::Complete).await.state, TaskState::Failed);
    assert_eq!(bench.reached(&done, TaskState::Complete).await.state, TaskState::Complete);
}

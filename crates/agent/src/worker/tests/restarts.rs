//! What one agent leaves to the next.

use super::*;

#[tokio::test]
async fn a_fresh_agent_goes_on_before_any_manager_answers() {
    let (mut bench, runs, ends) = (Bench::new(World::default()), plain(1), plain(2));
    bench.assign(&[&runs, &ends]).await;
    bench.reached(&runs, TaskState::Running).await;
    bench.reached(&ends, TaskState::Running).await;

    bench.restart_while(|fake| fake.set(&ends, Container::Ended(3))).await;

    let failed = bench.reached(&ends, TaskState::Complete).await;
    assert_eq!((failed.state, failed.at), (TaskState::Failed, ENDED), "when it happened");
    assert_eq!(failed.container.and_then(|container| container.exit_code), Some(3));
    assert_eq!(bench.reached(&runs, TaskState::Running).await.state, TaskState::Running);
    assert_eq!((bench.fake.count("start", &runs), bench.fake.count("stop", &runs)), (1, 0));
    bench.fake.set(&runs, Container::Ended(0));
    bench.reached(&runs, TaskState::Complete).await;
}

#[tokio::test]
async fn an_end_is_told_once_over_restarts() {
    let (mut bench, task) = (Bench::new(World::default()), plain(1));
    bench.assign(&[&task]).await;
    bench.reached(&task, TaskState::Running).await;
    bench.fake.set(&task, Container::Ended(3));
    let first = bench.reached(&task, TaskState::Complete).await;

    bench.restart().await;

    assert_eq!(bench.reached(&task, TaskState::Complete).await, first, "the same, word for word");
    bench.fake.until(|world| world.count("stop", task.id) == 1).await;
    assert_eq!(bench.fake.count("start", &task), 1);
}

#[tokio::test(start_paused = true)]
async fn a_task_under_way_goes_on_and_one_under_removal_too() {
    let (mut bench, web, gone) = (Bench::new(World::default()), plain(1), plain(2));
    bench.assign(&[&gone]).await;
    bench.reached(&gone, TaskState::Running).await;
    bench.fake.change(|world| world.away = true);
    bench.assign(&[&web]).await;
    bench.fake.until(|world| world.count("prepare", web.id) > 0).await;

    bench.restart_while(|fake| fake.change(|world| world.away = false)).await;

    bench.reached(&web, TaskState::Running).await;
    bench.fake.until(|world| world.containers.keys().eq([&web.id])).await;
    bench.restart().await;
    assert_eq!(bench.worker.runners.len(), 1, "what was removed is forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_task_ordered_again_while_it_is_removed_runs_again() {
    let (mut bench, task) = (Bench::new(World::default()), plain(1));
    bench.assign(&[&task]).await;
    bench.reached(&task, TaskState::Running).await;

    bench.obey(Extent::Changes, &[], &[task.id]).await;
    bench.update(&task).await;
    bench.reached(&task, TaskState::Running).await;
    bench.obey(Extent::Changes, &[], &[task.id]).await;
    bench.fake.until(|world| world.containers.is_empty()).await;
    bench.update(&task).await;

    bench.reached(&task, TaskState::Running).await;
    bench.fake.until(|world| world.containers.contains_key(&task.id)).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_is_told_when_nothing_runs() {
    let (mut bench, task) =
        (Bench::new(World { no_start: true, no_stop: true, ..World::default() }), plain(1));

    bench.assign(&[&task]).await;
    bench.fake.until(|world| world.count("stop", task.id) >= 3).await;
    let state = bench.reporter.status(task.id).map(|status| status.state);
    assert_eq!(state, Some(TaskState::Starting));
    bench.fake.change(|world| world.no_stop = false);

    let failed = bench.reached(&task, TaskState::Complete).await;
    assert_eq!(failed.state, TaskState::Failed);
    assert!(failed.err.contains("no such command"), "{}", failed.err);
}

#[tokio::test(start_paused = true)]
async fn an_agent_knows_when_it_watches_all_of_its_tasks_again() {
    let (mut bench, runs, waits, done) =
        (Bench::new(World::default()), plain(1), plain(2), plain(3));
    bench.assign(&[&runs, &wanted(&waits, TaskState::Ready), &done]).await;
    bench.reached(&runs, TaskState::Running).await;
    bench.reached(&waits, TaskState::Ready).await;
    bench.fake.set(&done, Container::Ended(0));
    bench.reached(&done, TaskState::Complete).await;
    assert_eq!(bench.worker.adoption.left(), 0);

    bench.fake.change(|world| world.away = true);
    bench.restart().await;
    assert_eq!(bench.worker.adoption.left(), 2, "what has ended needs no watching");
    bench.fake.change(|world| world.away = false);

    let calls = bench.fake.count("wait", &runs);
    bench.fake.until(|world| world.count("wait", runs.id) > calls).await;
    assert_eq!(bench.worker.adoption.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_cluster_founded_anew_does_not_know_is_ended_and_kept_for_a_day() {
    let (mut bench, known, lost) = (Bench::new(World::default()), plain(1), plain(2));
    bench.assign(&[&known, &lost]).await;
    bench.reached(&known, TaskState::Running).await;
    bench.reached(&lost, TaskState::Running).await;
    let began = Instant::now();

    bench.obey(Extent::Anew, &[&known], &[]).await;
    bench.sweep().await;
    bench.fake.until(|world| world.count("stop", lost.id) > 0).await;
    bench.restart().await;
    // The orders that follow do not name it either.
    bench.assign(&[&known]).await;
    bench.sweep().await;

    bench.fake.until(|world| world.containers.get(&lost.id) == Some(&Container::Ended(143))).await;
    assert_eq!(bench.fake.get(&known), Some(Container::Running));
    assert_eq!(bench.reporter.status(lost.id), None);
    let day = Duration::from_secs(24 * 3600);
    timeout_at(began + 2 * day, async {
        while bench.fake.get(&lost).is_some() {
            sleep(Duration::from_secs(60)).await;
        }
    })
    .await
    .unwrap();
    assert!(began.elapsed() >= day - Duration::from_secs(60), "{:?}", began.elapsed());
    bench.restart().await;
    assert_eq!(bench.worker.runners.len(), 1, "then it is forgotten");
}

#[tokio::test]
async fn managers_that_want_an_ended_task_back_hear_of_its_end() {
    let (mut bench, task) = (Bench::new(World::default()), plain(1));
    bench.assign(&[&task]).await;
    bench.reached(&task, TaskState::Running).await;
    bench.fake.set(&task, Container::Ended(3));
    bench.reached(&task, TaskState::Complete).await;

    bench.obey(Extent::Anew, &[], &[]).await;
    assert_eq!(bench.reporter.status(task.id), None);
    bench.assign(&[&observed(&task, TaskState::Running)]).await;

    let ended = bench.reached(&task, TaskState::Complete).await;
    assert_eq!((ended.state, ended.err.as_str()), (TaskState::Failed, "task: non-zero exit (3)"));
}

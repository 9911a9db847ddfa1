use proptest::prelude::*;
use proptest::sample::select;
use swarm_types::spec::task::TaskRuntime;
use tempfile::TempDir;

use super::*;
use crate::executor::fake::{Container, ENDED, Fake, PID, World};
use crate::task::health::Probed;
use crate::task::samples::{observed, task, wanted};

/// A worker on a fake executor.
struct Bench {
    fake: Arc<Fake>,
    reporter: Reporter,
    worker: Worker<Fake>,
    dir: TempDir,
}

impl Bench {
    fn new(world: World) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (fake, reporter) = (Arc::new(Fake::new(world)), Reporter::default());
        let (store, kept) = Store::in_test(dir.path());
        let worker = Worker::adopt(Arc::clone(&fake), reporter.clone(), store, kept);
        Self { fake, reporter, worker, dir }
    }

    /// Stops the agent, and starts the next one on what the store kept; no manager is heard.
    async fn restart(&mut self) {
        self.restart_while(|_| {}).await;
    }

    /// The same, and things happen in between.
    async fn restart_while(&mut self, meanwhile: impl FnOnce(&Fake)) {
        let idle = Store::in_test(tempfile::tempdir().unwrap().path());
        let reporter = Reporter::default();
        let stand_in = Worker::adopt(Arc::clone(&self.fake), reporter.clone(), idle.0, idle.1);
        std::mem::replace(&mut self.worker, stand_in).stop().await;
        let (store, kept) = Store::reopened(self.dir.path()).await;
        meanwhile(&self.fake);
        self.worker = Worker::adopt(Arc::clone(&self.fake), reporter.clone(), store, kept);
        self.reporter = reporter;
    }

    async fn assign(&mut self, tasks: &[&Task]) {
        self.obey(Extent::Everything, tasks, &[]).await;
    }

    async fn update(&mut self, task: &Task) {
        self.obey(Extent::Changes, &[task], &[]).await;
    }

    async fn obey(&mut self, extent: Extent, tasks: &[&Task], removed: &[TaskId]) {
        let tasks = tasks.iter().map(|task| (*task).clone()).collect();
        let (unreadable, removed) = (Vec::new(), removed.to_vec());
        let assignment = Assignment { extent, tasks, unreadable, removed };
        self.worker.obey(assignment, Obeyed::default()).await.unwrap();
    }

    async fn sweep(&mut self) {
        let found = self.worker.strays().await;
        self.worker.discard(found);
    }

    /// The status of `task` once it came that far.
    async fn reached(&self, task: &Task, state: TaskState) -> TaskStatus {
        self.reporter.reached(task.id, state).await
    }
}

fn with_grace(seconds: u64) -> Task {
    task(1, |task| {
        if let TaskRuntime::Container(container) = &mut task.runtime {
            container.stop_grace_period = Duration::from_secs(seconds);
        }
    })
}

fn plain(slot: u64) -> Task {
    task(slot, |_| {})
}

#[tokio::test]
async fn an_assigned_task_runs_and_its_end_is_told() {
    let (mut bench, task) = (Bench::new(World::default()), plain(1));

    bench.assign(&[&task]).await;

    let running = bench.reached(&task, TaskState::Running).await;
    assert_eq!((running.state, running.message.as_str()), (TaskState::Running, "started"));
    assert_eq!(running.container.map(|container| container.pid), Some(PID));
    bench.fake.set(&task, Container::Ended(3));
    let failed = bench.reached(&task, TaskState::Complete).await;
    assert_eq!((failed.state, failed.err.as_str()), (TaskState::Failed, "task: non-zero exit (3)"));
    assert_eq!(failed.message, "started", "the last state it reached");
    assert_eq!(failed.container.and_then(|container| container.exit_code), Some(3));
    assert_eq!(bench.fake.count("start", &task), 1);
}

#[tokio::test]
async fn a_task_is_held_ready_until_it_may_run() {
    let (mut bench, task) = (Bench::new(World::default()), plain(1));

    bench.assign(&[&wanted(&task, TaskState::Ready)]).await;
    assert_eq!(bench.reached(&task, TaskState::Ready).await.message, "prepared");
    assert_eq!(bench.fake.get(&task), Some(Container::Made));
    bench.update(&task).await;

    bench.reached(&task, TaskState::Running).await;
}

#[tokio::test]
async fn a_task_told_to_end_keeps_its_container_until_it_is_removed() {
    let (mut bench, task) = (Bench::new(World::default()), plain(1));
    bench.assign(&[&task]).await;
    bench.reached(&task, TaskState::Running).await;

    bench.update(&wanted(&task, TaskState::Shutdown)).await;
    let ended = bench.reached(&task, TaskState::Shutdown).await;
    assert_eq!(ended.container.and_then(|container| container.exit_code), Some(143));
    assert_eq!(bench.fake.get(&task), Some(Container::Ended(143)));

    bench.obey(Extent::Changes, &[], &[task.id]).await;
    bench.fake.until(|world| world.containers.is_empty()).await;
    assert_eq!(bench.reporter.status(task.id), None);
}

#[tokio::test]
async fn a_task_without_image_is_rejected_with_the_reason() {
    let (mut bench, task) = (Bench::new(World { no_image: true, ..World::default() }), plain(1));

    bench.assign(&[&task]).await;

    let rejected = bench.reached(&task, TaskState::Complete).await;
    assert_eq!(rejected.state, TaskState::Rejected);
    assert_eq!(rejected.err, "no such image: web:1");
}

#[tokio::test(start_paused = true)]
async fn tasks_wait_for_containerd_to_come_back() {
    let (mut bench, task) = (Bench::new(World { away: true, ..World::default() }), plain(1));
    bench.assign(&[&task]).await;
    bench.fake.until(|world| world.count("prepare", task.id) >= 3).await;

    bench.fake.change(|world| world.away = false);
    bench.reached(&task, TaskState::Running).await;
    bench.fake.change(|world| world.away = true);
    bench.fake.until(|world| world.count("wait", task.id) >= 3).await;

    assert_eq!(bench.reached(&task, TaskState::Running).await.state, TaskState::Running);
    bench.fake.change(|world| world.away = false);
    bench.fake.set(&task, Container::Ended(0));
    assert_eq!(bench.reached(&task, TaskState::Complete).await.state, TaskState::Complete);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_to_wait_ends_no_task() {
    let (mut bench, task) = (Bench::new(World { no_wait: true, ..World::default() }), plain(1));

    bench.assign(&[&task]).await;
    bench.fake.until(|world| world.count("wait", task.id) >= 3).await;

    assert_eq!(bench.reporter.status(task.id).map(|it| it.state), Some(TaskState::Running));
    assert_eq!(bench.fake.get(&task), Some(Container::Running));
    bench.fake.change(|world| world.no_wait = false);
    bench.fake.set(&task, Container::Ended(0));
    assert_eq!(bench.reached(&task, TaskState::Complete).await.state, TaskState::Complete);
}

#[tokio::test]
async fn containers_of_an_earlier_agent_are_adopted() {
    let (mut bench, runs, ended, early) =
        (Bench::new(World::default()), plain(1), plain(2), plain(3));
    bench.fake.set(&runs, Container::Running);
    bench.fake.set(&ended, Container::Ended(9));
    bench.fake.set(&early, Container::Running);

    let as_known = |task| observed(task, TaskState::Running);
    bench.assign(&[&as_known(&runs), &as_known(&ended), &early]).await;

    let failed = bench.reached(&ended, TaskState::Failed).await;
    assert_eq!(failed.err, "task: non-zero exit (9)");
    bench.reached(&early, TaskState::Running).await;
    bench.fake.until(|world| world.count("wait", runs.id) == 1).await;
    assert_eq!(bench.fake.count("start", &runs), 0);
    assert_eq!(bench.fake.get(&runs), Some(Container::Running));
}

#[tokio::test]
async fn a_running_task_without_container_has_failed() {
    let (mut bench, task) = (Bench::new(World::default()), plain(1));

    bench.assign(&[&observed(&task, TaskState::Running)]).await;

    let failed = bench.reached(&task, TaskState::Failed).await;
    assert_eq!((failed.state, failed.container), (TaskState::Failed, None));
    assert!(failed.err.contains("gone"), "{}", failed.err);
}

#[tokio::test]
async fn a_complete_assignment_ends_whatever_it_does_not_name() {
    let (mut bench, kept, dropped, stray) =
        (Bench::new(World::default()), plain(1), plain(2), plain(3));
    bench.fake.set(&stray, Container::Running);
    bench.assign(&[&kept, &dropped]).await;
    bench.reached(&kept, TaskState::Running).await;
    bench.reached(&dropped, TaskState::Running).await;

    bench.assign(&[&kept]).await;
    bench.sweep().await;

    bench.fake.until(|world| world.containers.keys().eq([&kept.id])).await;
    assert_eq!(bench.fake.get(&kept), Some(Container::Running));
}

#[tokio::test]
async fn what_the_managers_hold_for_ended_does_not_run_on() {
    let (mut bench, known, found) = (Bench::new(World::default()), plain(1), plain(2));
    bench.fake.set(&found, Container::Running);
    bench.assign(&[&known]).await;
    bench.reached(&known, TaskState::Running).await;

    let given_up = |task| observed(task, TaskState::Orphaned);
    bench.assign(&[&given_up(&known), &given_up(&found)]).await;

    let ended = |task: &Task| (task.id, Container::Ended(143));
    let all = BTreeMap::from([ended(&known), ended(&found)]);
    bench.fake.until(|world| world.containers == all).await;
    bench.reached(&known, TaskState::Shutdown).await;
    assert_eq!(bench.reporter.status(found.id), None);
}

#[tokio::test(start_paused = true)]
async fn repeated_orders_do_not_restart_the_grace_period() {
    let (mut bench, task) = (Bench::new(World::default()), with_grace(10));
    bench.fake.change(|world| {
        world.stubborn.insert(task.id);
    });
    bench.assign(&[&task]).await;
    bench.reached(&task, TaskState::Running).await;
    let began = Instant::now();

    bench.update(&wanted(&task, TaskState::Shutdown)).await;
    bench.fake.until(|world| world.count("stop", task.id) == 1).await;
    sleep(Duration::from_secs(4)).await;
    bench.update(&wanted(&task, TaskState::Remove)).await;
    sleep(Duration::from_secs(4)).await;
    assert_eq!(bench.fake.count("stop", &task), 1);
    bench.obey(Extent::Changes, &[], &[task.id]).await;

    bench.fake.until(|world| world.containers.is_empty()).await;
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn stopping_the_worker_leaves_containers_alone() {
    let (mut bench, task) = (Bench::new(World::default()), plain(1));
    bench.assign(&[&task]).await;
    bench.reached(&task, TaskState::Running).await;

    bench.worker.stop().await;

    assert_eq!(bench.fake.get(&task), Some(Container::Running));
    assert_eq!(bench.fake.0.receiver_count(), 0, "no runner waits any more");
}

#[tokio::test]
async fn an_unreadable_task_is_rejected_unless_it_runs() {
    let (mut bench, runs, other) = (Bench::new(World::default()), plain(1), plain(2));
    bench.assign(&[&runs]).await;
    bench.reached(&runs, TaskState::Running).await;

    let unreadable =
        [&runs, &other].map(|task| Unreadable { task: task.id, why: "new".to_owned() });
    let assignment = Assignment {
        extent: Extent::Everything,
        tasks: Vec::new(),
        unreadable: unreadable.into(),
        removed: Vec::new(),
    };
    bench.worker.obey(assignment, Obeyed::default()).await.unwrap();
    bench.sweep().await;

    let rejected = bench.reached(&other, TaskState::Rejected).await;
    assert_eq!(rejected.err, "new");
    bench.assign(&[&runs]).await;
    assert_eq!(bench.reporter.status(other.id), None);
    assert_eq!(bench.fake.get(&runs), Some(Container::Running));
    assert_eq!(bench.reached(&runs, TaskState::Running).await.state, TaskState::Running);
}

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
async fn a_pull_that_fails_for_now_is_tried_again() {
    let (mut bench, task) = (Bench::new(World { failing_pulls: 4, ..World::default() }), plain(1));

    bench.assign(&[&task]).await;

    bench.reached(&task, TaskState::Running).await;
    assert_eq!(bench.fake.count("prepare", &task), 5);
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

/// A turn of the law below: what happens, and to which of four tasks.
#[derive(Clone, Debug)]
enum Turn {
    Everything(BTreeSet<usize>),
    Want(usize, TaskState),
    Drop(usize),
    Exit(usize),
    Restart,
    Away(bool),
}

fn turns() -> impl Strategy<Value = Turn> {
    let states = vec![TaskState::Ready, TaskState::Running, TaskState::Shutdown, TaskState::Remove];
    prop_oneof![
        prop::collection::btree_set(0usize..4, 0..4).prop_map(Turn::Everything),
        (0usize..4, select(states)).prop_map(|(task, state)| Turn::Want(task, state)),
        (0usize..4).prop_map(Turn::Drop),
        (0usize..4).prop_map(Turn::Exit),
        Just(Turn::Restart),
        any::<bool>().prop_map(Turn::Away),
    ]
}

/// Does `turn`; `desired` is what the managers want of the tasks of this node.
async fn take(turn: Turn, bench: &mut Bench, desired: &mut BTreeMap<usize, TaskState>) {
    match turn {
        Turn::Everything(kept) => {
            *desired = kept.iter().map(|task| (*task, TaskState::Running)).collect();
            assign_all(bench, desired).await;
        }
        Turn::Want(slot, state) => {
            let state = desired.get(&slot).map_or(state, |before| state.max(*before));
            desired.insert(slot, state);
            bench.update(&wanted(&plain(slot as u64), state)).await;
        }
        Turn::Drop(slot) => {
            desired.remove(&slot);
            bench.obey(Extent::Changes, &[], &[plain(slot as u64).id]).await;
        }
        Turn::Exit(slot) => bench.fake.change(|world| {
            if let Some(container) = world.containers.get_mut(&plain(slot as u64).id)
                && *container == Container::Running
            {
                *container = Container::Ended(1);
            }
        }),
        Turn::Restart => {
            bench.restart().await;
        }
        Turn::Away(away) => bench.fake.change(|world| world.away = away),
    }
    tokio::task::yield_now().await;
}

async fn assign_all(bench: &mut Bench, desired: &BTreeMap<usize, TaskState>) {
    let tasks: Vec<Task> =
        desired.iter().map(|(slot, state)| wanted(&plain(*slot as u64), *state)).collect();
    bench.assign(&tasks.iter().collect::<Vec<_>>()).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens on the way, in the end the containers here are those of the tasks named
    /// last, and none runs that should not.
    #[test]
    fn the_last_complete_assignment_wins(
        turns in prop::collection::vec(turns(), 0..12),
        last in prop::collection::btree_set(0usize..4, 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (mut bench, mut desired) = (Bench::new(World::default()), BTreeMap::new());
            for turn in turns {
                take(turn, &mut bench, &mut desired).await;
            }
            take(Turn::Away(false), &mut bench, &mut desired).await;

            let ended: Vec<Task> = last
                .iter()
                .map(|slot| wanted(&plain(*slot as u64), TaskState::Shutdown))
                .collect();
            bench.assign(&ended.iter().collect::<Vec<_>>()).await;
            bench.sweep().await;

            let ids: BTreeSet<TaskId> = ended.iter().map(|task| task.id).collect();
            bench.fake.until(|world| world.containers.iter().all(|(id, container)| {
                ids.contains(id) && *container != Container::Running
            })).await;
        });
    }
}

use proptest::prelude::*;
use proptest::sample::select;
use swarm_types::spec::task::TaskRuntime;

use super::*;
use crate::executor::fake::{Container, Fake, PID, World};
use crate::task::samples::{observed, task, wanted};

/// A worker on a fake executor.
struct Bench {
    fake: Arc<Fake>,
    reporter: Reporter,
    worker: Worker<Fake>,
}

impl Bench {
    fn new(world: World) -> Self {
        let (fake, reporter) = (Arc::new(Fake::new(world)), Reporter::default());
        let worker = Worker::new(Arc::clone(&fake), reporter.clone());
        Self { fake, reporter, worker }
    }

    fn assign(&mut self, tasks: &[&Task]) {
        self.obey(Extent::Everything, tasks, &[]);
    }

    fn update(&mut self, task: &Task) {
        self.obey(Extent::Changes, &[task], &[]);
    }

    fn obey(&mut self, extent: Extent, tasks: &[&Task], removed: &[TaskId]) {
        let tasks = tasks.iter().map(|task| (*task).clone()).collect();
        let (unreadable, removed) = (Vec::new(), removed.to_vec());
        self.worker.obey(Assignment { extent, tasks, unreadable, removed });
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

    bench.assign(&[&task]);

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

    bench.assign(&[&wanted(&task, TaskState::Ready)]);
    assert_eq!(bench.reached(&task, TaskState::Ready).await.message, "prepared");
    assert_eq!(bench.fake.get(&task), Some(Container::Made));
    bench.update(&task);

    bench.reached(&task, TaskState::Running).await;
}

#[tokio::test]
async fn a_task_told_to_end_keeps_its_container_until_it_is_removed() {
    let (mut bench, task) = (Bench::new(World::default()), plain(1));
    bench.assign(&[&task]);
    bench.reached(&task, TaskState::Running).await;

    bench.update(&wanted(&task, TaskState::Shutdown));
    let ended = bench.reached(&task, TaskState::Shutdown).await;
    assert_eq!(ended.container.and_then(|container| container.exit_code), Some(143));
    assert_eq!(bench.fake.get(&task), Some(Container::Ended(143)));

    bench.obey(Extent::Changes, &[], &[task.id]);
    bench.fake.until(|world| world.containers.is_empty()).await;
    assert_eq!(bench.reporter.status(task.id), None);
}

#[tokio::test]
async fn a_task_without_image_is_rejected_with_the_reason() {
    let (mut bench, task) = (Bench::new(World { no_image: true, ..World::default() }), plain(1));

    bench.assign(&[&task]);

    let rejected = bench.reached(&task, TaskState::Complete).await;
    assert_eq!(rejected.state, TaskState::Rejected);
    assert_eq!(rejected.err, "no such image: web:1");
}

#[tokio::test(start_paused = true)]
async fn tasks_wait_for_containerd_to_come_back() {
    let (mut bench, task) = (Bench::new(World { away: true, ..World::default() }), plain(1));
    bench.assign(&[&task]);
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

    bench.assign(&[&task]);
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
    bench.assign(&[&as_known(&runs), &as_known(&ended), &early]);

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

    bench.assign(&[&observed(&task, TaskState::Running)]);

    let failed = bench.reached(&task, TaskState::Failed).await;
    assert_eq!((failed.state, failed.container), (TaskState::Failed, None));
    assert!(failed.err.contains("gone"), "{}", failed.err);
}

#[tokio::test]
async fn a_complete_assignment_ends_whatever_it_does_not_name() {
    let (mut bench, kept, dropped, stray) =
        (Bench::new(World::default()), plain(1), plain(2), plain(3));
    bench.fake.set(&stray, Container::Running);
    bench.assign(&[&kept, &dropped]);
    bench.reached(&kept, TaskState::Running).await;
    bench.reached(&dropped, TaskState::Running).await;

    bench.assign(&[&kept]);
    bench.sweep().await;

    bench.fake.until(|world| world.containers.keys().eq([&kept.id])).await;
    assert_eq!(bench.fake.get(&kept), Some(Container::Running));
}

#[tokio::test]
async fn what_the_managers_hold_for_ended_does_not_run_on() {
    let (mut bench, known, found) = (Bench::new(World::default()), plain(1), plain(2));
    bench.fake.set(&found, Container::Running);
    bench.assign(&[&known]);
    bench.reached(&known, TaskState::Running).await;

    let given_up = |task| observed(task, TaskState::Orphaned);
    bench.assign(&[&given_up(&known), &given_up(&found)]);

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
    bench.assign(&[&task]);
    bench.reached(&task, TaskState::Running).await;
    let began = Instant::now();

    bench.update(&wanted(&task, TaskState::Shutdown));
    bench.fake.until(|world| world.count("stop", task.id) == 1).await;
    sleep(Duration::from_secs(4)).await;
    bench.update(&wanted(&task, TaskState::Remove));
    sleep(Duration::from_secs(4)).await;
    assert_eq!(bench.fake.count("stop", &task), 1);
    bench.obey(Extent::Changes, &[], &[task.id]);

    bench.fake.until(|world| world.containers.is_empty()).await;
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn stopping_the_worker_leaves_containers_alone() {
    let (mut bench, task) = (Bench::new(World::default()), plain(1));
    bench.assign(&[&task]);
    bench.reached(&task, TaskState::Running).await;

    bench.worker.stop().await;

    assert_eq!(bench.fake.get(&task), Some(Container::Running));
    assert_eq!(bench.fake.0.receiver_count(), 0, "no runner waits any more");
}

#[tokio::test]
async fn an_unreadable_task_is_rejected_unless_it_runs() {
    let (mut bench, runs, other) = (Bench::new(World::default()), plain(1), plain(2));
    bench.assign(&[&runs]);
    bench.reached(&runs, TaskState::Running).await;

    let unreadable =
        [&runs, &other].map(|task| Unreadable { task: task.id, why: "new".to_owned() });
    bench.worker.obey(Assignment {
        extent: Extent::Everything,
        tasks: Vec::new(),
        unreadable: unreadable.into(),
        removed: Vec::new(),
    });
    bench.sweep().await;

    let rejected = bench.reached(&other, TaskState::Rejected).await;
    assert_eq!(rejected.err, "new");
    bench.assign(&[&runs]);
    assert_eq!(bench.reporter.status(other.id), None);
    assert_eq!(bench.fake.get(&runs), Some(Container::Running));
    assert_eq!(bench.reached(&runs, TaskState::Running).await.state, TaskState::Running);
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
            assign_all(bench, desired);
        }
        Turn::Want(slot, state) => {
            let state = desired.get(&slot).map_or(state, |before| state.max(*before));
            desired.insert(slot, state);
            bench.update(&wanted(&plain(slot as u64), state));
        }
        Turn::Drop(slot) => {
            desired.remove(&slot);
            bench.obey(Extent::Changes, &[], &[plain(slot as u64).id]);
        }
        Turn::Exit(slot) => bench.fake.change(|world| {
            if let Some(container) = world.containers.get_mut(&plain(slot as u64).id)
                && *container == Container::Running
            {
                *container = Container::Ended(1);
            }
        }),
        Turn::Restart => {
            let fresh = Worker::new(Arc::clone(&bench.fake), bench.reporter.clone());
            std::mem::replace(&mut bench.worker, fresh).stop().await;
            assign_all(bench, desired);
        }
        Turn::Away(away) => bench.fake.change(|world| world.away = away),
    }
    tokio::task::yield_now().await;
}

fn assign_all(bench: &mut Bench, desired: &BTreeMap<usize, TaskState>) {
    let tasks: Vec<Task> =
        desired.iter().map(|(slot, state)| wanted(&plain(*slot as u64), *state)).collect();
    bench.assign(&tasks.iter().collect::<Vec<_>>());
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
            bench.assign(&ended.iter().collect::<Vec<_>>());
            bench.sweep().await;

            let ids: BTreeSet<TaskId> = ended.iter().map(|task| task.id).collect();
            bench.fake.until(|world| world.containers.iter().all(|(id, container)| {
                ids.contains(id) && *container != Container::Running
            })).await;
        });
    }
}

mod health;
mod law;
mod restarts;

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
    assert_eq!(rejected.err, "no such image: web:1: connection refused");
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

//! Needs root, containerd and runc; the daemon is a private one.

use std::sync::Arc;

use swarm_runtime::{Options, Spare, Status};
use swarm_types::spec::task::TaskRuntime;
use swarm_types::{TaskState, TaskStatus};
use tempfile::TempDir;
use testbed::{Config, Format, Front, Layers, Registry, busybox, busybox_archive};

use super::*;
use crate::reporter::Reporter;
use crate::session::Obeyed;
use crate::store::Store;
use crate::task::samples::{observed, task, wanted};
use crate::worker::{Assignment, Extent, Worker};

/// Runs until it is asked to end, and then ends with 7.
const PATIENT: &str = "trap 'exit 7' TERM; while :; do sleep 0.02; done";

/// A node with `busybox:test`.
struct World {
    // Dropped in this order: the daemon before its directory.
    containerd: testbed::Containerd,
    runtime: Runtime,
    dir: TempDir,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("ag").tempdir().unwrap();
        let containerd = testbed::Containerd::start(dir.path());
        let options = Options {
            socket: containerd.socket(),
            cgroup_parent: containerd.cgroup_parent(),
            runc_root: Some(containerd.runc_root()),
            spool_dir: dir.path().to_owned(),
            log_dir: dir.path().join("logs"),
            // Writes nothing; the containers here are silent.
            log_writer: "/bin/true".into(),
            ..Options::default()
        };
        let runtime = Runtime::connect(options).await.unwrap();
        let archive = busybox_archive(Format::Oci, Layers::Plain);
        runtime.load(archive.as_slice(), None).await.unwrap();
        Self { containerd, runtime, dir }
    }

    fn executor(&self) -> Containerd {
        let files = self.dir.path().join("tasks");
        let (runtime, node) = (self.runtime.clone(), NodeFacts::default());
        Containerd { runtime, net: None, node, files }
    }

    /// A worker as a fresh agent has it.
    fn worker(&self) -> (Worker<Containerd>, Reporter) {
        let (executor, reporter) = (self.executor(), Reporter::default());
        let (store, kept) = Store::in_test(&self.dir.path().join("worker"));
        (Worker::adopt(Arc::new(executor), reporter.clone(), store, kept), reporter)
    }

    async fn status(&self, task: &Task) -> Option<Status> {
        let found = self.runtime.containers().await.unwrap();
        found.into_iter().find(|it| it.id == task.id.as_str()).map(|it| it.status)
    }
}

fn shell(slot: u64, script: &str) -> Task {
    of_image(slot, "busybox:test", script)
}

fn of_image(slot: u64, image: &str, script: &str) -> Task {
    task(slot, |task| {
        if let TaskRuntime::Container(container) = &mut task.runtime {
            container.image = image.to_owned();
            container.command = ["/bin/sh", "-c", script].map(String::from).into();
            container.stop_grace_period = Duration::from_secs(10);
        }
    })
}

async fn assign(worker: &mut Worker<Containerd>, tasks: &[&Task]) {
    let tasks = tasks.iter().map(|task| (*task).clone()).collect();
    let (unreadable, removed) = (Vec::new(), Vec::new());
    let assignment = Assignment { extent: Extent::Everything, tasks, unreadable, removed };
    worker.obey(assignment, Obeyed::default()).await.unwrap();
}

fn code(status: &TaskStatus) -> Option<i32> {
    status.container.as_ref().and_then(|container| container.exit_code)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_outlives_agent_and_containerd_and_ends_on_order() {
    let (mut world, web, stray) = (World::new().await, shell(1, PATIENT), shell(2, PATIENT));
    let (mut worker, reporter) = world.worker();
    assign(&mut worker, &[&web, &stray]).await;
    let running = reporter.reached(web.id, TaskState::Running).await;
    reporter.reached(stray.id, TaskState::Running).await;
    worker.stop().await;

    // The next agent is told of one of them only.
    let (mut worker, reporter) = world.worker();
    assign(&mut worker, &[&observed(&web, TaskState::Running)]).await;
    let found = worker.strays().await;
    worker.discard(found);
    world.containerd.restart();
    assign(&mut worker, &[&wanted(&observed(&web, TaskState::Running), TaskState::Shutdown)]).await;

    let ended = reporter.reached(web.id, TaskState::Shutdown).await;
    assert_eq!((ended.state, code(&ended)), (TaskState::Shutdown, Some(7)));
    assert!(running.container.is_some_and(|container| container.pid > 0));
    assign(&mut worker, &[]).await;
    worker.finished().await;
    assert_eq!(world.runtime.containers().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_are_told_with_their_reasons() {
    let world = World::new().await;
    let (fails, done, odd) = (shell(1, "exit 3"), shell(2, "exit 0"), shell(3, ""));
    let nowhere = task(4, |task| {
        if let TaskRuntime::Container(container) = &mut task.runtime {
            container.image = "localhost:1/web:1".to_owned();
        }
    });
    let missing = task(5, |task| {
        if let TaskRuntime::Container(container) = &mut task.runtime {
            container.image = "busybox:test".to_owned();
            container.command = vec!["/bin/not-there".to_owned()];
        }
    });
    let (mut worker, reporter) = world.worker();

    assign(&mut worker, &[&fails, &done, &odd, &nowhere, &missing]).await;

    let end = |task: &Task| reporter.reached(task.id, TaskState::Complete);
    let failed = end(&fails).await;
    assert_eq!((failed.state, code(&failed)), (TaskState::Failed, Some(3)));
    assert_eq!(failed.err, "task: non-zero exit (3)");
    assert_eq!(end(&done).await.state, TaskState::Complete);
    assert_eq!(end(&odd).await.state, TaskState::Complete);
    let rejected = end(&nowhere).await;
    assert_eq!(rejected.state, TaskState::Rejected);
    assert!(rejected.err.starts_with("no such image: localhost:1/web:1: "), "{}", rejected.err);
    assert!(rejected.err.contains("refused"), "{}", rejected.err);
    let failed = end(&missing).await;
    assert_eq!(failed.state, TaskState::Failed);
    assert!(failed.err.contains("not-there"), "{}", failed.err);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_lost_in_a_reboot_has_failed() {
    let (mut world, web) = (World::new().await, shell(1, PATIENT));
    let (mut worker, reporter) = world.worker();
    assign(&mut worker, &[&web]).await;
    reporter.reached(web.id, TaskState::Running).await;
    worker.stop().await;

    world.containerd.reboot();
    let (mut worker, reporter) = world.worker();
    assign(&mut worker, &[&observed(&web, TaskState::Running)]).await;

    let failed = reporter.reached(web.id, TaskState::Complete).await;
    assert_eq!((failed.state, code(&failed)), (TaskState::Failed, None));
    assert!(failed.err.contains("gone"), "{}", failed.err);
    assert_eq!(world.status(&web).await, Some(Status::Lost));
    worker.stop().await;
}

#[tokio::test]
async fn an_image_that_goes_after_it_was_found_is_fetched_again() {
    let world = World::new().await;
    let dir = world.dir.path().join("registry");
    std::fs::create_dir(&dir).unwrap();
    let registry = Registry::start(&dir, &Front::default());
    let pushed = busybox("web:1", &Config::default(), Layers::Gzip);
    pushed.push(&registry.host(), "web", "1").unwrap();
    let image = format!("{}/web:1", registry.host());
    let (executor, task) = (world.executor(), of_image(1, &image, "exit 0"));
    let spec = task.spec().container().unwrap();
    let config = config::container(&task, &executor.node).unwrap();
    executor.fetch(spec).await.unwrap();

    world.runtime.remove_image(&image, Spare::Used).await.unwrap();
    executor.create(spec, &config).await.unwrap();

    assert!(world.status(&task).await.is_some());
}

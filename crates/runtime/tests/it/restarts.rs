//! What a restart of containerd does, and one of its shims.

use std::time::Duration;

use containerd_client::services::v1::CreateTaskRequest;
use containerd_client::services::v1::snapshots::MountsRequest;
use containerd_client::services::v1::snapshots::snapshots_client::SnapshotsClient;
use containerd_client::services::v1::tasks_client::TasksClient;
use containerd_client::with_namespace;
use hyper_util::rt::TokioIo;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use swarm_runtime::{Error, Status};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};
use tonic::Request;
use tonic::transport::Endpoint;

use crate::logs::writer;
use crate::world::{PATIENCE, World};

#[tokio::test]
async fn a_restart_of_containerd_ends_no_container() {
    let mut world = World::alone().await;
    world.shell("lives", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done").await;
    let pid = world.runtime.start("lives").await.unwrap();
    world.output_with("lives", "ready").await;

    world.tenant.containerd_mut().restart();

    assert_eq!(world.status("lives").await, Some(Status::Running { pid }));
    let exit = world.runtime.stop("lives", None, PATIENCE).await.unwrap().unwrap();
    assert_eq!(exit.code, 9);
}

/// Killed anywhere in a start, containerd comes back to a container that runs or never will.
///
/// Killed before it calls the shim, it keeps what it made for it and refuses the id from then on:
/// such a container never runs, and the refusal says so.
#[tokio::test]
async fn a_start_that_containerd_did_not_survive_is_carried_on() {
    let mut world = World::alone().await;
    let before = world.holdings();
    for late in (0..100).step_by(10) {
        let id = format!("cut-{late}");
        world.shell(&id, "exec sleep 600").await;
        let (runtime, name) = (world.runtime.clone(), id.clone());
        let cut = tokio::spawn(async move { runtime.start(&name).await });
        sleep(Duration::from_millis(late)).await;

        world.tenant.containerd_mut().restart();
        let _ = timeout(PATIENCE, cut).await.expect("the start hangs").unwrap();
        world.containers().await;
        if late % 20 == 10 {
            world.runtime.remove(&id).await.unwrap();
            left_nothing(&world, &before).await;
            continue;
        }
        let again = world.runtime.start(&id).await;

        let status = world.status(&id).await;
        match again {
            Ok(pid) => assert_eq!(status, Some(Status::Running { pid }), "{late}"),
            Err(Error::AlreadyRan { .. }) => {
                let ended = matches!(status, Some(Status::Stopped(_) | Status::Lost));
                assert!(ended, "{late}: {status:?}");
            }
            Err(Error::NotStarted { why, .. }) if why.contains("file exists") => {
                assert_eq!(status, Some(Status::Created), "{late}");
            }
            Err(other) => panic!("{late}: {other:?}, {status:?}"),
        }
        world.runtime.remove(&id).await.unwrap();
        assert!(world.tenant.cgroups(&id).is_empty(), "{late}");
        left_nothing(&world, &before).await;
    }
}

/// Cut off between its two halves, a start leaves a process whose log writer the shim has ended:
/// what it wrote would go nowhere, and break it.
#[tokio::test]
async fn what_a_start_that_was_cut_off_left_is_not_built_upon() {
    let world = World::with_busybox().await;
    world.shell("half", "echo heard; exec sleep 600").await;
    let dir = world.output_path("half");
    create_task(&world, "half").await;
    kill(Pid::from_raw(writer(&dir).unwrap()), Signal::SIGKILL).unwrap();

    let pid = world.runtime.start("half").await.unwrap();

    assert_eq!(world.output_with("half", "heard").await, "heard\n");
    assert_eq!(world.status("half").await, Some(Status::Running { pid }));
}

/// Cut off after the mark that says so, the process may be about to run: it is not made again.
#[tokio::test]
async fn what_was_marked_as_started_is_not_made_again() {
    let world = World::with_busybox().await;
    world.shell("marked", "echo heard; exec sleep 600").await;
    create_task(&world, "marked").await;
    world.ctr(&["containers", "label", "marked", "io.swarm.started=1"]);
    let made = world.ctr(&["tasks", "ls"]);

    let pid = world.runtime.start("marked").await.unwrap();

    assert!(made.contains(&format!(" {pid} ")), "{pid}: {made}");
    assert_eq!(world.output_with("marked", "heard").await, "heard\n");
}

/// The first half of a start.
async fn create_task(world: &World, id: &str) {
    let socket = world.options.socket.clone();
    let connector = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://containerd");
    let channel = endpoint.connect_with_connector(connector).await.unwrap();
    let mounts = MountsRequest { snapshotter: "overlayfs".into(), key: id.into() };
    let mounts = with_namespace!(mounts, world.options.namespace);
    let rootfs = SnapshotsClient::new(channel.clone()).mounts(mounts).await.unwrap();
    let (program, dir) = (world.options.log_writer.display(), world.output_path(id));
    let output = format!("binary://{program}?log-writer={}", dir.display());
    let request = CreateTaskRequest {
        container_id: id.into(),
        rootfs: rootfs.into_inner().mounts,
        stdout: output.clone(),
        stderr: output,
        ..CreateTaskRequest::default()
    };
    let request = with_namespace!(request, world.options.namespace);
    TasksClient::new(channel).create(request).await.unwrap();
}

async fn left_nothing(world: &World, before: &[String]) {
    let deadline = Instant::now() + PATIENCE;
    while shims(world) > 0 && Instant::now() < deadline {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(shims(world), 0);
    assert_eq!(world.holdings(), before);
}

fn shims(world: &World) -> usize {
    let socket = world.tenant.containerd().socket();
    let socket = socket.to_str().unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|it| std::fs::read_to_string(it.path().join("cmdline")).ok());
    lines.filter(|line| line.contains("containerd-shim") && line.contains(socket)).count()
}

/// As `systemctl restart containerd` does it: nobody may take the interrupted wait for an end.
#[tokio::test]
async fn a_wait_outlives_an_orderly_stop_of_containerd() {
    let mut world = World::alone().await;
    world.shell("lives", "exec sleep 600").await;
    let pid = world.runtime.start("lives").await.unwrap();
    let runtime = world.runtime.clone();
    let wait = tokio::spawn(async move { runtime.wait("lives").await });
    assert_eq!(world.status("lives").await, Some(Status::Running { pid }));

    let daemon = Pid::from_raw(i32::try_from(world.tenant.containerd().pid()).unwrap());
    kill(daemon, Signal::SIGTERM).unwrap();
    let waited = timeout(PATIENCE, wait).await.expect("the wait hangs").unwrap();
    world.tenant.containerd_mut().restart();

    assert!(matches!(waited, Err(Error::Unavailable { .. })), "{waited:?}");
    assert_eq!(world.status("lives").await, Some(Status::Running { pid }));
}

/// containerd then says that the state is unknown; that is no process with the number 0.
#[tokio::test]
async fn a_shim_that_does_not_answer_is_not_taken_for_a_start() {
    let world = World::with_busybox().await;
    world.shell("stuck", "exec sleep 600").await;
    let pid = world.runtime.start("stuck").await.unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let parent = stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap();
    let shim = Pid::from_raw(parent.parse().unwrap());

    kill(shim, Signal::SIGSTOP).unwrap();
    let started = world.runtime.start("stuck").await;
    kill(shim, Signal::SIGCONT).unwrap();

    assert!(matches!(started, Err(Error::Unavailable { .. })), "{started:?}");
    assert_eq!(world.runtime.start("stuck").await.unwrap(), pid);
}

#[tokio::test]
async fn a_container_whose_shim_died_is_lost_not_fresh() {
    let mut world = World::alone().await;
    world.shell("lost", "sleep 600").await;
    world.runtime.start("lost").await.unwrap();

    world.tenant.containerd_mut().reboot();

    assert_eq!(world.status("lost").await, Some(Status::Lost));
    let again = world.runtime.start("lost").await;
    assert!(matches!(again, Err(swarm_runtime::Error::AlreadyRan { .. })), "{again:?}");
    let wait = world.runtime.wait("lost").await;
    assert!(matches!(wait, Err(swarm_runtime::Error::NoProcess { .. })), "{wait:?}");
    world.runtime.remove("lost").await.unwrap();
    assert_eq!(world.status("lost").await, None);
}

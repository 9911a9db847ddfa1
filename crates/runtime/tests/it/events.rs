//! Exits as events, and what a restart of containerd does.

use swarm_runtime::{ContainerEvent, Events, Status};
use tokio::time::timeout;

use crate::world::{PATIENCE, World};

async fn next(events: &mut Events) -> ContainerEvent {
    timeout(PATIENCE, events.next()).await.expect("no event in time").expect("the watch ended")
}

#[tokio::test]
async fn exits_are_told_after_the_first_resync() {
    let world = World::with_busybox().await;
    let mut events = world.runtime.events();
    assert_eq!(next(&mut events).await, ContainerEvent::Resync);
    world.shell("five", "exit 5").await;

    world.runtime.start("five").await.unwrap();

    let exit = world.runtime.wait("five").await.unwrap();
    let told = ContainerEvent::Exited { id: "five".into(), code: 5, at: exit.at };
    assert_eq!(next(&mut events).await, told);
}

#[tokio::test]
async fn a_restart_of_containerd_is_told_and_ends_no_container() {
    let mut world = World::with_busybox().await;
    let mut events = world.runtime.events();
    assert_eq!(next(&mut events).await, ContainerEvent::Resync);
    world.shell("lives", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done").await;
    let pid = world.runtime.start("lives").await.unwrap();
    world.output_with("lives", "ready").await;

    world.containerd.restart();

    assert_eq!(next(&mut events).await, ContainerEvent::Resync);
    assert_eq!(world.status("lives").await, Some(Status::Running { pid }));
    let exit = world.runtime.stop("lives", None, PATIENCE).await.unwrap().unwrap();
    assert_eq!(exit.code, 9);
    let told = ContainerEvent::Exited { id: "lives".into(), code: 9, at: exit.at };
    assert_eq!(next(&mut events).await, told);
}

#[tokio::test]
async fn a_container_whose_shim_died_is_lost_not_fresh() {
    let mut world = World::with_busybox().await;
    world.shell("lost", "sleep 600").await;
    world.runtime.start("lost").await.unwrap();

    world.containerd.reboot();

    assert_eq!(world.status("lost").await, Some(Status::Lost));
    let again = world.runtime.start("lost").await;
    assert!(matches!(again, Err(swarm_runtime::Error::AlreadyRan { .. })), "{again:?}");
    let wait = world.runtime.wait("lost").await;
    assert!(matches!(wait, Err(swarm_runtime::Error::NoProcess { .. })), "{wait:?}");
    world.runtime.remove("lost").await.unwrap();
    assert_eq!(world.status("lost").await, None);
}

//! What a container uses, against what it does.

use std::time::Duration;

use swarm_runtime::{ContainerConfig, Error, Resources};
use tokio::time::{Instant, sleep};

use crate::world::{PATIENCE, World, shell};

#[tokio::test]
async fn use_is_counted_while_a_container_runs() {
    let world = World::with_busybox().await;
    let script = "dd if=/dev/zero of=/dev/shm/x bs=1M count=16 2>/dev/null; echo ready; \
        while :; do :; done";
    let resources = Resources { memory_bytes: 64 << 20, pids: 20, ..Resources::default() };
    let config = ContainerConfig { resources, ..shell("busy", script) };
    world.runtime.create(&config).await.unwrap();
    let idle = world.runtime.stats("busy").await;
    assert!(matches!(idle, Err(Error::NoProcess { .. })), "{idle:?}");
    world.runtime.start("busy").await.unwrap();
    world.output_with("busy", "ready").await;

    let first = world.runtime.stats("busy").await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut later = first.clone();
    while later.cpu_ns < first.cpu_ns + 50_000_000 {
        assert!(Instant::now() < deadline, "{first:?} then {later:?}");
        sleep(Duration::from_millis(20)).await;
        later = world.runtime.stats("busy").await.unwrap();
    }

    assert!(first.memory_bytes > 16 << 20 && first.memory_bytes < 64 << 20, "{first:?}");
    assert_eq!(first.memory_limit_bytes, 64 << 20);
    assert_eq!(first.pids, 1);
    assert!(first.online_cpus > 0 && later.system_cpu_ns > first.system_cpu_ns);
    assert_eq!((first.network_received_bytes, first.network_sent_bytes), (0, 0));
    world.runtime.remove("busy").await.unwrap();
    let gone = world.runtime.stats("busy").await;
    assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
}

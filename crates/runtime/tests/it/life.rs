//! Containers from creation to removal.

use std::time::{Duration, Instant, SystemTime};

use swarm_runtime::{ContainerConfig, Error, Privileges, Resources, Signal, Status};

use testbed::{Format, Layers, busybox_archive};

use tokio::time::timeout;

use crate::world::{PATIENCE, World, shell};

#[tokio::test]
async fn exit_codes_are_exact_and_may_be_asked_twice() {
    let world = World::with_busybox().await;
    world.shell("seven", "exit 7").await;
    assert_eq!(world.status("seven").await, Some(Status::Created));
    let before = SystemTime::now();

    let pid = world.runtime.start("seven").await.unwrap();
    let exit = world.runtime.wait("seven").await.unwrap();

    assert!(pid > 1);
    assert_eq!(exit.code, 7);
    assert!(exit.at >= before - Duration::from_secs(1) && exit.at <= SystemTime::now());
    assert_eq!(world.runtime.wait("seven").await.unwrap(), exit);
    assert_eq!(world.status("seven").await, Some(Status::Stopped(exit)));
    let again = world.runtime.start("seven").await;
    assert!(matches!(again, Err(Error::AlreadyRan { .. })), "{again:?}");
}

#[tokio::test]
async fn stopping_asks_first() {
    let world = World::with_busybox().await;
    let script = "trap 'exit 3' USR1; echo ready; while :; do sleep 0.05; done";
    let config = ContainerConfig {
        stop_signal: Some("SIGUSR1".parse().unwrap()),
        ..shell("polite", script)
    };
    world.runtime.create(&config).await.unwrap();
    world.runtime.start("polite").await.unwrap();
    world.output_with("polite", "ready").await;

    let exit = world.runtime.stop("polite", None, PATIENCE).await.unwrap();

    assert_eq!(exit.map(|exit| exit.code), Some(3));
    assert_eq!(world.runtime.stop("polite", None, PATIENCE).await.unwrap(), exit);
}

#[tokio::test]
async fn stopping_kills_who_does_not_listen() {
    let world = World::with_busybox().await;
    world.shell("deaf", "trap '' TERM; echo ready; while :; do sleep 0.05; done").await;
    world.runtime.start("deaf").await.unwrap();
    world.output_with("deaf", "ready").await;
    let grace = Duration::from_millis(300);
    let asked = Instant::now();

    let exit = world.runtime.stop("deaf", Some(Signal::TERM), grace).await.unwrap();

    assert_eq!(exit.map(|exit| exit.code), Some(137));
    assert!(asked.elapsed() >= grace);
}

#[tokio::test]
async fn removing_leaves_nothing_and_may_be_repeated() {
    let world = World::with_busybox().await;
    let before = world.holdings();
    world.shell("gone", "echo ready; sleep 600").await;
    let pid = world.runtime.start("gone").await.unwrap();
    world.output_with("gone", "ready").await;
    assert!(!world.tenant.cgroups("gone").is_empty());
    assert_ne!(world.holdings(), before);

    world.runtime.remove("gone").await.unwrap();

    assert_eq!(world.holdings(), before);
    assert_eq!(world.tenant.cgroups("gone"), Vec::<std::path::PathBuf>::new());
    assert!(!world.output_path("gone").exists());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    world.runtime.remove("gone").await.unwrap();
    world.runtime.remove("never-there").await.unwrap();
}

#[tokio::test]
async fn everything_may_be_asked_again() {
    let world = World::with_busybox().await;
    let config = world.shell("twice", "sleep 600").await;

    world.runtime.create(&config).await.unwrap();
    let pid = world.runtime.start("twice").await.unwrap();
    world.ctr(&["images", "rm", "--sync", "docker.io/library/busybox:test"]);
    world.runtime.create(&config).await.unwrap();

    assert_eq!(world.runtime.start("twice").await.unwrap(), pid);
    assert_eq!(world.status("twice").await, Some(Status::Running { pid }));
    world.runtime.remove("twice").await.unwrap();
    world.load(&busybox_archive(Format::Oci, Layers::Plain)).await.unwrap();
    world.runtime.create(&config).await.unwrap();
    assert_eq!(world.status("twice").await, Some(Status::Created));
    assert_eq!(world.runtime.stop("twice", None, PATIENCE).await.unwrap(), None);
    world.runtime.kill("twice", Signal::KILL).await.unwrap();
    world.runtime.remove("twice").await.unwrap();
}

/// Orders change at any time: a start given up anywhere, and then a removal, leave nothing.
#[tokio::test]
async fn a_start_given_up_half_way_leaves_nothing_behind() {
    let world = World::with_busybox().await;
    let before = world.holdings();
    for late in (0..160).step_by(16) {
        let id = format!("given-up-{late}");
        let begun = async {
            world.shell(&id, "exec sleep 600").await;
            world.runtime.start(&id).await.map(drop)
        };
        let _ = timeout(Duration::from_millis(late), begun).await;

        world.runtime.remove(&id).await.unwrap();
    }

    let deadline = Instant::now() + PATIENCE;
    while (world.holdings() != before || !cgroups(&world).is_empty()) && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.holdings(), before);
    assert_eq!(cgroups(&world), Vec::<std::path::PathBuf>::new());
    assert_eq!(
        std::fs::read_dir(world.tenant.containerd().runc_root().join(world.tenant.namespace()))
            .unwrap()
            .count(),
        0
    );
}

fn cgroups(world: &World) -> Vec<std::path::PathBuf> {
    let begun = (0..160).step_by(16).map(|late| format!("given-up-{late}"));
    begun.flat_map(|id| world.tenant.cgroups(&id)).collect()
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let world = World::with_busybox().await;
    let missing = ContainerConfig { image: "nothing".into(), ..shell("a", "true") };
    let stranger = ContainerConfig { user: "stranger".into(), ..shell("a", "true") };
    let before = world.holdings();

    let created = [
        world.runtime.create(&missing).await,
        world.runtime.create(&stranger).await,
        world.runtime.create(&shell("../a", "true")).await,
    ];

    assert!(matches!(&created[0], Err(Error::ImageMissing { reference })
        if reference == "docker.io/library/nothing:latest"));
    assert!(matches!(created[1], Err(Error::BadConfig { field: "user", .. })));
    assert!(matches!(created[2], Err(Error::BadConfig { field: "id", .. })));
    assert_eq!(world.holdings(), before);
    for outcome in [
        world.runtime.start("a").await.map(drop),
        world.runtime.kill("a", Signal::TERM).await,
        world.runtime.wait("a").await.map(drop),
        world.runtime.stop("a", None, PATIENCE).await.map(drop),
    ] {
        assert!(matches!(outcome, Err(Error::NotFound { .. })), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_command_that_is_not_there_is_not_tried_again() {
    let world = World::with_busybox().await;
    let command = vec!["/no/such/program".into()];
    let config = ContainerConfig { command, ..shell("bad", "") };
    world.runtime.create(&config).await.unwrap();

    let started = world.runtime.start("bad").await;

    assert!(
        matches!(&started, Err(Error::NotStarted { why, .. }) if why.contains("no such file")),
        "{started:?}"
    );
    world.runtime.remove("bad").await.unwrap();
    assert_eq!(world.status("bad").await, None);
}

#[tokio::test]
async fn the_process_is_what_the_configuration_says() {
    let world = World::with_busybox().await;
    let script = "id -u; id -g; pwd; hostname; echo $A-$B; grep NoNewPrivs /proc/self/status; \
        grep CapBnd /proc/self/status; cat /proc/self/cgroup; cat /sys/fs/cgroup/memory/memory.limit_in_bytes \
        /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null; \
        touch /etc/hosts 2>/dev/null || echo hosts-fixed; echo done";
    let config = ContainerConfig {
        user: "nobody:root".into(),
        dir: "/made/here".into(),
        hostname: Some("box".into()),
        env: vec!["A=1".into(), "B=2".into()],
        privileges: Privileges::NoNew,
        resources: Resources {
            nano_cpus: 500_000_000,
            memory_bytes: 64 << 20,
            pids: 20,
            ..Resources::default()
        },
        labels: [("long".into(), "x".repeat(9000))].into(),
        ..shell("told", script)
    };
    world.runtime.create(&config).await.unwrap();
    world.runtime.start("told").await.unwrap();

    let output = world.output_with("told", "done").await;

    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[..5], ["65534", "0", "/made/here", "box", "1-2"]);
    assert_eq!(lines[5], "NoNewPrivs:\t1");
    assert_eq!(lines[6], "CapBnd:\t00000000a80425fb");
    assert!(lines.contains(&"hosts-fixed"), "{output}");
    if std::path::Path::new("/sys/fs/cgroup/memory").exists() {
        assert!(output.contains(&format!("{}/told", world.tenant.cgroup_parent())), "{output}");
        for limit in ["67108864", "20", "50000"] {
            assert!(lines.contains(&limit), "{limit} in {output}");
        }
    }
    let found = world.containers().await;
    assert_eq!(found[0].labels, config.labels);
    assert_eq!(found[0].name, "web.1.told");
    assert_eq!(found[0].image, "docker.io/library/busybox:test");
}

#[tokio::test]
async fn containers_are_listed_however_large_all_of_them_are() {
    let world = World::with_busybox().await;
    for n in 0..5 {
        let labels = [("note".to_owned(), "x".repeat(4 << 20))].into();
        let config = ContainerConfig { labels, ..shell(&format!("c{n}"), "true") };
        world.runtime.create(&config).await.unwrap();
    }

    let found = world.containers().await;

    assert_eq!(found.len(), 5);
    assert!(found.iter().all(|container| container.labels["note"].len() == 4 << 20));
}

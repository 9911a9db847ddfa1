//! Named volumes, from their first use to their removal.

use std::collections::BTreeMap;
use std::path::Path;

use swarm_runtime::{ContainerConfig, Error, Mount, NewVolume};
use testbed::{Config, Format, Layers, busybox};

use crate::world::{World, shell};

fn volume(name: &str, target: &str) -> Mount {
    Mount::Volume {
        name: name.into(),
        target: target.into(),
        read_only: false,
        no_copy: false,
        subpath: String::new(),
        driver: String::new(),
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
    }
}

fn part(name: &str, target: &str, part: &str) -> Mount {
    match volume(name, target) {
        Mount::Volume { name, target, driver, labels, options, .. } => Mount::Volume {
            name,
            target,
            read_only: true,
            no_copy: true,
            subpath: part.into(),
            driver,
            labels,
            options,
        },
        other => other,
    }
}

async fn ran(world: &World, id: &str, mounts: Vec<Mount>, script: &str) -> String {
    let script = format!("{{ {script}; }} 2>&1; echo done");
    let config = ContainerConfig { mounts, ..shell(id, &script) };
    world.runtime.create(&config).await.unwrap();
    world.runtime.start(id).await.unwrap();
    let output = world.output_with(id, "done").await;
    world.runtime.wait(id).await.unwrap();
    output
}

#[tokio::test]
async fn a_volume_outlives_its_containers_and_is_kept_while_one_has_it() {
    let world = World::with_busybox().await;
    ran(&world, "first", vec![volume("data", "/data")], "echo kept > /data/file").await;

    let in_use = world.runtime.remove_volume("data").await;
    assert!(
        matches!(in_use, Err(Error::VolumeInUse { ref container, .. }) if container == "first")
    );
    world.runtime.remove("first").await.unwrap();
    let second = ran(&world, "second", vec![volume("data", "/other")], "cat /other/file").await;
    world.runtime.remove("second").await.unwrap();

    assert_eq!(second, "kept\ndone\n");
    let found = world.runtime.volumes().await.unwrap();
    assert_eq!(found.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["data"]);
    assert!(found[0].mountpoint.join("file").exists());
    world.runtime.remove_volume("data").await.unwrap();
    assert!(!found[0].mountpoint.exists());
    let gone = world.runtime.remove_volume("data").await;
    assert!(matches!(gone, Err(Error::VolumeMissing { .. })));
}

#[tokio::test]
async fn an_empty_volume_gets_the_image_s_files_unless_told_not_to() {
    let world = World::with_busybox().await;
    let script = "ls /a | grep -c busybox; stat -c %a-%u /a; ls /b /c | grep -c busybox";
    let bare = Mount::Volume {
        name: "bare".into(),
        target: "/usr/bin".into(),
        read_only: false,
        no_copy: true,
        subpath: String::new(),
        driver: String::new(),
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
    };
    let mounts = vec![volume("copied", "/bin"), volume("empty", "/not/in/the/image"), bare];
    ran(&world, "fill", mounts, "true").await;

    let mounts = vec![volume("copied", "/a"), volume("empty", "/b"), volume("bare", "/c")];
    let output = ran(&world, "look", mounts, script).await;

    assert_eq!(output, "1\n755-0\n0\ndone\n");
}

#[tokio::test]
async fn a_part_of_a_volume_is_shown_and_nothing_beyond() {
    let world = World::with_busybox().await;
    let script = "mkdir -p /data/in/side; echo part > /data/in/side/file; ln -s /etc /data/out";
    ran(&world, "writer", vec![volume("data", "/data")], script).await;

    let shown = vec![part("data", "/part", "in/side"), part("data", "/one", "in/side/file")];
    let output =
        ran(&world, "reader", shown, "cat /part/file /one; touch /part/x || echo fixed").await;
    let out = ContainerConfig { mounts: vec![part("data", "/x", "out")], ..shell("out", "true") };
    world.runtime.create(&out).await.unwrap();
    let refused = world.runtime.start("out").await.unwrap_err();

    assert!(output.starts_with("part\npart\n") && output.contains("fixed\n"), "{output}");
    assert!(matches!(refused, Error::BadVolume { .. }), "{refused:?}");
    world.runtime.remove("reader").await.unwrap();
    world.runtime.remove("out").await.unwrap();
    let left = world.dir().join("volumes/.subpaths");
    assert_eq!(std::fs::read_dir(left).unwrap().count(), 0);
    assert!(
        !std::fs::read_to_string("/proc/self/mountinfo")
            .unwrap()
            .contains(&*world.dir().join("volumes").to_string_lossy())
    );
}

#[tokio::test]
async fn an_image_s_volumes_go_with_their_container() {
    let world = World::empty().await;
    let config =
        Config { cmd: vec!["/bin/sh".into()], volumes: vec!["/cache".into()], ..Config::default() };
    let mut archive = Vec::new();
    busybox("busybox:test", &config, Layers::Plain).write(Format::Oci, &mut archive).unwrap();
    world.load(&archive).await.unwrap();

    let output = ran(
        &world,
        "own",
        vec![volume("", "/mine")],
        "echo x > /cache/x; echo y > /mine/y; grep -c /volumes/ /proc/self/mountinfo",
    )
    .await;

    let found = world.runtime.volumes().await.unwrap();
    assert_eq!(output, "2\ndone\n");
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .all(|it| it.name.len() == 64 && it.labels.contains_key("com.docker.volume.anonymous"))
    );
    world.runtime.remove("own").await.unwrap();
    assert_eq!(world.runtime.volumes().await.unwrap(), []);
}

#[tokio::test]
async fn a_volume_with_a_device_is_mounted_while_it_is_used() {
    let world = World::with_busybox().await;
    let options = [("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=4m,uid=5")];
    let options = options.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let wanted = NewVolume { name: "fast".into(), options, ..NewVolume::default() };
    let made = world.runtime.create_volume(&wanted).await.unwrap();
    let mounted = || {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        mounts.contains(&*made.mountpoint.to_string_lossy())
    };
    assert!(!mounted());

    let mounts = || vec![volume("fast", "/fast")];
    let output = ran(
        &world,
        "one",
        mounts(),
        "df -k /fast | tail -n1 | awk '{print $2}'; stat -c %u /fast; echo x > /fast/x",
    )
    .await;
    let shared = ran(&world, "two", mounts(), "cat /fast/x").await;

    assert_eq!((output.as_str(), shared.as_str()), ("4096\n5\ndone\n", "x\ndone\n"));
    world.runtime.remove("one").await.unwrap();
    assert!(mounted());
    world.runtime.remove("two").await.unwrap();
    assert!(!mounted());
    world.runtime.remove_volume("fast").await.unwrap();
}

#[tokio::test]
async fn a_refused_container_leaves_nothing_mounted() {
    let world = World::with_busybox().await;
    let options = [("type", "tmpfs"), ("device", "tmpfs")];
    let options = options.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let wanted = NewVolume { name: "fast".into(), options, ..NewVolume::default() };
    let made = world.runtime.create_volume(&wanted).await.unwrap();
    let broken = NewVolume {
        name: "broken".into(),
        options: [("type", "nothing"), ("device", "none")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..NewVolume::default()
    };
    world.runtime.create_volume(&broken).await.unwrap();
    let mounts = vec![volume("fast", "/fast"), volume("broken", "/broken")];
    let config = ContainerConfig { mounts, ..shell("refused", "true") };

    assert!(world.runtime.create(&config).await.is_err());

    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&*made.mountpoint.to_string_lossy()));
}

#[tokio::test]
async fn a_refused_container_leaves_no_volume_of_its_own_and_may_be_asked_again() {
    let world = World::with_busybox().await;
    let absent = |source: &Path| Mount::Bind {
        source: source.into(),
        target: "/x".into(),
        read_only: false,
        options: Default::default(),
    };
    let source = world.dir().join("later");
    let config = ContainerConfig {
        mounts: vec![volume("", "/own"), absent(&source)],
        ..shell("again", "echo done")
    };
    let refused = world.runtime.create(&config).await;
    assert!(refused.is_err());
    assert_eq!(world.runtime.volumes().await.unwrap(), []);

    std::fs::create_dir(&source).unwrap();
    world.runtime.create(&config).await.unwrap();
    world.runtime.create(&config).await.unwrap();

    assert_eq!(world.runtime.volumes().await.unwrap().len(), 1);
    world.runtime.remove("again").await.unwrap();
    world.runtime.remove("again").await.unwrap();
    assert_eq!(world.runtime.volumes().await.unwrap(), []);
}

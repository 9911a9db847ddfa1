//! Links in an image that point out of it.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;

use mkimage::{Image, Tree};
use swarm_runtime::{ContainerConfig, File, Mount, TmpfsOptions};
use testbed::{Config, Format, Layers, busybox_tree};

use crate::world::{World, shell};

/// An image `busybox:test` with what is in `dir` on top.
fn archive(dir: &Path) -> Vec<u8> {
    let mut links = Tree::skeleton();
    links.add_host(dir, "/").unwrap();
    let trees = vec![busybox_tree(), links];
    let image = Image::build("busybox:test", &Config::default(), trees, Layers::Plain).unwrap();
    let mut archive = Vec::new();
    image.write(Format::Oci, &mut archive).unwrap();
    archive
}

#[tokio::test]
async fn nothing_is_made_or_shown_outside_of_the_container() {
    let world = World::empty().await;
    let [links, outside] = ["links", "outside"].map(|name| world.dir().join(name));
    std::fs::create_dir_all(links.join("etc")).unwrap();
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "of the host").unwrap();
    let up = format!("../../../../../../../../..{}", outside.display());
    symlink(format!("{up}-too/hosts"), links.join("etc/hosts")).unwrap();
    symlink(&outside, links.join("out")).unwrap();
    symlink(&up, links.join("up")).unwrap();
    world.load(&archive(&links)).await.unwrap();
    let hosts = world.dir().join("hosts");
    std::fs::write(&hosts, "ours\n").unwrap();
    let volume = |name: &str, target: &str| Mount::Volume {
        name: name.into(),
        target: target.into(),
        read_only: false,
        no_copy: false,
        subpath: String::new(),
        driver: String::new(),
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
    };
    let tmpfs = Mount::Tmpfs {
        target: "/up/tmpfs".into(),
        read_only: false,
        options: TmpfsOptions::default(),
    };
    let config = ContainerConfig {
        dir: "/out/made".into(),
        files: vec![File { source: hosts, target: "/etc/hosts".into() }],
        mounts: vec![volume("one", "/out"), volume("two", "/up/volume"), tmpfs],
        ..shell("linked", "cat /etc/hosts; ls /out /up/; echo done")
    };

    world.runtime.create(&config).await.unwrap();
    world.runtime.start("linked").await.unwrap();
    let output = world.output_with("linked", "done").await;

    assert!(output.starts_with("ours\n") && !output.contains("secret"), "{output}");
    let found: Vec<_> = std::fs::read_dir(&outside).unwrap().flatten().collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(!world.dir().join("outside-too").exists());
    for name in ["one", "two"] {
        let volume = world.runtime.volume(name).await.unwrap().unwrap();
        assert!(!volume.mountpoint.join("secret").exists());
    }
}

//! `swarm dev` itself killed half-way.

use std::path::PathBuf;
use std::process::Stdio;

use netns_test::{Cluster, Traces};
use node_test::until;

/// Runs `up` until a file of the cluster is there, then kills it.
fn killed_at(cluster: &Cluster, file: &str) {
    let path: PathBuf = cluster.dir().join(file);
    let mut up = cluster.command(&["up", "--workers", "1"]);
    let mut up = up.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("up comes so far", || if path.exists() { Ok(()) } else { Err(file.to_owned()) });
    up.kill().unwrap();
    up.wait().unwrap();
}

/// In the order they come about.
const STEPS: [&str; 6] = [
    "cluster.json",
    "hub.netns",
    "w1/netns",
    "w1/containerd.toml",
    "m1/containerd.pid",
    "m1/daemon.pid",
];

#[test]
fn down_removes_what_an_up_left_that_was_killed() {
    for step in STEPS {
        let cluster = Cluster::named();
        killed_at(&cluster, step);
        let traces = Traces::of(&cluster);

        let _ = cluster.dev(&["down"]).ok();

        // A process that was just being started ends by itself: it finds no cluster to be part of.
        until("nothing is left", || match traces.left() {
            left if left.is_empty() => Ok(()),
            left => Err(format!("{step}: {left:#?}")),
        });
    }
}

#[test]
fn up_takes_nothing_of_what_a_killed_down_left() {
    let cluster = Cluster::up(0);
    let before = cluster.swarm("m1", &["info", "--format", "{{.Swarm.NodeID}}"]);
    // As far as `down` comes before it removes files.
    let _ = cluster.dev(&["kill", "--all", "m1"]).ok();
    std::fs::remove_file(cluster.dir().join("cluster.json")).unwrap();

    let _ = cluster.dev(&["up", "--workers", "0"]).ok();

    let after = cluster.swarm("m1", &["info", "--format", "{{.Swarm.NodeID}}"]);
    assert_ne!(before.ok(), after.ok());
}

#[test]
fn up_goes_on_where_one_was_killed() {
    let cluster = Cluster::named();
    for step in STEPS {
        killed_at(&cluster, step);
    }

    let _ = cluster.dev(&["up", "--workers", "1"]).ok();

    let members = cluster.swarm("m1", &["node", "ls", "--format", "{{.Hostname}} {{.Status}}"]);
    assert_eq!(members.ok(), "m1 Ready\nw1 Ready");
}

//! Nodes that end, stop and come back.

use netns_test::Cluster;
use serde_json::Value;

/// The state of a process, a letter.
fn state(pid: u32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    rest.chars().take(1).collect()
}

#[test]
fn tasks_outlive_their_daemon_and_their_containerd() {
    let cluster = Cluster::up(0);
    let pids = cluster.sleeper();
    let before = cluster.status("m1");

    for (victim, pid) in [(vec![], "Pid"), (vec!["--containerd"], "ContainerdPid")] {
        let _ = cluster.dev(&[&["kill", "m1"], &victim[..]].concat()).ok();
        assert_eq!(cluster.status("m1")[pid], Value::Null);
        assert_eq!(cluster.tasks("m1"), pids);

        // As a crash of the machine leaves a file: what the node keeps is found without it.
        std::fs::write(cluster.dir().join("m1/daemon.toml"), "").unwrap();
        let _ = cluster.dev(&["start", "m1"]).ok();
        let after = cluster.status("m1");
        assert_eq!(after["State"], "running");
        assert!(after[pid].is_u64() && after[pid] != before[pid], "{after}");
        assert_eq!(cluster.running_task("m1"), pids);
    }
}

#[test]
fn a_node_without_power_loses_its_tasks_and_comes_back() {
    let cluster = Cluster::up(0);
    let pids = cluster.sleeper();

    let _ = cluster.dev(&["kill", "--all", "m1"]).ok();

    let off = cluster.status("m1");
    assert_eq!((&off["State"], &off["Pid"]), (&Value::from("down"), &Value::Null));
    assert_eq!(cluster.tasks("m1").len(), 0);
    let refusal = cluster.dev(&["exec", "m1", "true"]);
    let start = format!("swarm dev start --name {} m1", cluster.name());
    assert!(refusal.refusal().contains(&start), "{refusal}");

    let _ = cluster.dev(&["start", "m1"]).ok();
    assert!(cluster.running_task("m1").is_disjoint(&pids));
}

#[test]
fn a_paused_node_stands_still_with_its_tasks() {
    let cluster = Cluster::up(0);
    let pids = cluster.sleeper();

    let _ = cluster.dev(&["pause", "m1"]).ok();

    assert_eq!(cluster.status("m1")["State"], "paused");
    assert!(pids.iter().all(|pid| state(*pid) == "T"), "{pids:?}");
    let _ = cluster.dev(&["resume", "m1"]).ok();
    assert_eq!(cluster.status("m1")["State"], "running");
    assert_eq!(cluster.running_task("m1"), pids);

    let _ = cluster.dev(&["pause", "m1"]).ok();
    let _ = cluster.dev(&["start", "m1"]).ok();
    assert_eq!(cluster.status("m1")["State"], "running");
}

//! Tasks of other nodes, asked at a manager.

use netns_test::Cluster;

#[test]
fn a_manager_reaches_the_tasks_of_every_node() {
    reaches(&Cluster::up(2), &["m1"], &["m1", "w1", "w2"]);
}

#[test]
fn every_manager_reaches_the_tasks_of_every_node() {
    reaches(&Cluster::of(3, 1), &["m1", "m2", "m3"], &["m1", "m2", "m3", "w1"]);
}

fn reaches(cluster: &Cluster, managers: &[&str], nodes: &[&str]) {
    cluster.load_image();
    let said = "echo from $(hostname); exec sleep 1000";
    let create = ["service", "create", "--name", "all", "--mode", "global"];
    let command = ["--hostname", "{{.Node.Hostname}}", "busybox:test", "sh", "-c", said];
    let _ = cluster.swarm("m1", &[&create[..], &command].concat()).ok();

    for manager in managers {
        let logs = cluster.swarm(manager, &["service", "logs", "--raw", "all"]);
        assert_eq!(logs.ok().lines().count(), nodes.len(), "{logs}");
        for node in nodes {
            let task = format!("all.{node}");
            let ran = cluster.swarm(manager, &["exec", &task, "sh", "-c", "hostname; exit 7"]);
            assert_eq!((ran.code, ran.stdout.trim()), (Some(7), *node), "{ran}");
            let used = cluster.swarm(manager, &["stats", "--no-stream", "-q", &task]);
            assert_eq!(used.ok().lines().count(), 1, "{used}");
        }
    }

    let _ = cluster.dev(&["pause", "w1"]).ok();
    let silent = cluster.swarm("m1", &["logs", "all.w1"]);
    assert!(silent.refusal().contains("node w1: "), "{silent}");
    let _ = cluster.dev(&["resume", "w1"]).ok();
}

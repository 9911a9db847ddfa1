//! A cluster whose majority is lost for good.

use netns_test::Cluster;
use node_test::until;

/// Waits until `node ls` at `m3` has exactly these rows: host, status, manager status.
fn listed(cluster: &Cluster, wanted: &[&str]) {
    let format = "{{.Hostname}} {{.Status}} {{.ManagerStatus}}";
    until(&format!("the nodes are {wanted:?}"), || {
        let ran = cluster.swarm("m3", &["node", "ls", "--format", format]);
        let mut rows: Vec<&str> = ran.stdout.lines().map(str::trim_end).collect();
        rows.sort_unstable();
        if rows == wanted { Ok(()) } else { Err(ran.to_string()) }
    });
}

#[test]
fn one_manager_goes_on_alone_when_it_is_told_to() {
    let cluster = Cluster::of(3, 1);
    cluster.load_image();
    let how = ["--detach", "--name", "web", "--replicas", "2"];
    let what = ["--constraint", "node.role==worker", "busybox:test", "sleep", "1000000"];
    let _ = cluster.swarm("m1", &[&["service", "create"], &how[..], &what[..]].concat()).ok();
    // What is there before they run starts them.
    let before = until("two tasks run", || {
        let listed = cluster.swarm("m1", &["ps", "--format", "{{.CurrentState}}"]);
        let running = listed.stdout.matches("Running ").count();
        let pids = cluster.tasks("w1");
        if (running, pids.len()) == (2, 2) { Ok(pids) } else { Err(format!("{listed}{pids:?}")) }
    });
    let force = ["init", "--force-new-cluster"];
    let refused = cluster.swarm("m3", &force);
    assert!(refused.refusal().contains("a quorum of this swarm's managers answers"), "{refused}");
    let refused = cluster.swarm("w1", &force);
    assert!(refused.refusal().contains("not a manager"), "{refused}");
    let settings = cluster.swarm("m3", &[&force[..], &["--cert-expiry", "2h"]].concat());
    assert!(settings.refusal().contains("swarm update"), "{settings}");

    let _ = cluster.dev(&["kill", "m1,m2"]).ok();
    let forced = cluster.swarm("m3", &force);
    assert!(forced.ok().contains("is now a manager"), "{forced}");

    listed(&cluster, &["m1 Down", "m2 Down", "m3 Ready Leader", "w1 Ready"]);
    let update = ["service", "update", "--detach", "--label-add", "forced=yes", "web"];
    let _ = cluster.swarm("m3", &update).ok();
    assert_eq!(cluster.tasks("w1"), before, "tasks run on");

    // What comes back is a stranger to the new cluster's managers, and its node a worker.
    let _ = cluster.dev(&["start", "m1"]).ok();
    listed(&cluster, &["m1 Ready", "m2 Down", "m3 Ready Leader", "w1 Ready"]);
    let _ = cluster.swarm("m3", &["node", "promote", "m1"]).ok();
    listed(&cluster, &["m1 Ready Reachable", "m2 Down", "m3 Ready Leader", "w1 Ready"]);
    let label = ["service", "inspect", "--format", "{{json .Spec.Labels}}", "web"];
    assert!(cluster.swarm("m1", &label).ok().contains("forced"));
    assert_eq!(cluster.tasks("w1"), before, "tasks run on");
}

//! Nodes that are lost, and what goes on without them.

use netns_test::Cluster;
use node_test::until;

const MANAGERS: [&str; 3] = ["m1", "m2", "m3"];

/// Who leads, as a manager that is there says, and the others.
fn roles(cluster: &Cluster, asked: &str) -> (&'static str, Vec<&'static str>) {
    let leader = until("somebody leads", || {
        cluster.leader(asked).ok_or_else(|| cluster.swarm(asked, &["node", "ls"]).to_string())
    });
    let leader = MANAGERS.into_iter().find(|name| *name == leader).unwrap();
    (leader, MANAGERS.into_iter().filter(|name| *name != leader).collect())
}

/// Writes through a manager, as soon as that is possible.
fn write(cluster: &Cluster, manager: &str, label: &str) {
    let update = ["service", "update", "--detach", "--label-add", label, "web"];
    until(&format!("{label} is written"), || {
        let ran = cluster.swarm(manager, &update);
        if ran.code == Some(0) { Ok(()) } else { Err(ran.to_string()) }
    });
}

/// Labels of the service, as a manager reads them now.
fn labels(cluster: &Cluster, manager: &str) -> String {
    let ran =
        cluster.swarm(manager, &["service", "inspect", "--format", "{{json .Spec.Labels}}", "web"]);
    ran.ok().to_owned()
}

/// Waits until a node is in a state, as a manager sees it.
fn awaits(cluster: &Cluster, asked: &str, node: &str, wanted: &str) {
    let format = "{{.Hostname}} {{.Status}} {{.ManagerStatus}}";
    until(&format!("{node} is {wanted}"), || {
        let listed = cluster.swarm(asked, &["node", "ls", "--format", format]);
        let row = format!("{node} {wanted}");
        if listed.stdout.lines().any(|line| line.trim_end() == row) {
            Ok(())
        } else {
            Err(listed.to_string())
        }
    });
}

/// Waits until all four tasks run on these nodes, as a manager sees them, two or more on each.
fn runs_on(cluster: &Cluster, asked: &str, nodes: &[&str]) {
    let format = "{{.Node}} {{.CurrentState}}";
    let filter = "desired-state=running";
    until(&format!("four tasks run on {nodes:?}"), || {
        let listed =
            cluster.swarm(asked, &["service", "ps", "--filter", filter, "--format", format, "web"]);
        let rows: Vec<&str> = listed.stdout.lines().collect();
        let on = |node: &str| {
            rows.iter().filter(|row| row.starts_with(&format!("{node} Running "))).count()
        };
        let all: usize = nodes.iter().map(|node| on(node)).sum();
        let spread = nodes.iter().all(|node| on(node) >= 4 / nodes.len());
        if rows.len() == 4 && all == 4 && spread { Ok(()) } else { Err(listed.to_string()) }
    });
}

#[test]
fn tasks_and_writes_go_on_without_the_nodes_that_are_lost() {
    let cluster = Cluster::of(3, 2);
    cluster.load_image();
    let how = ["--detach", "--name", "web", "--replicas", "4", "--stop-grace-period", "1s"];
    let what = ["--constraint", "node.role==worker", "busybox:test", "sleep", "1000000"];
    let _ = cluster.swarm("m2", &[&["service", "create"], &how[..], &what[..]].concat()).ok();
    runs_on(&cluster, "m3", &["w1", "w2"]);

    // A leader that is killed: others lead, and it follows when it is back.
    let (leader, others) = roles(&cluster, "m1");
    let _ = cluster.dev(&["kill", leader]).ok();
    assert_ne!(cluster.leader(others[0]).as_deref(), Some(leader), "an answer after the election");
    write(&cluster, others[0], "leader=killed");
    let _ = cluster.dev(&["start", leader]).ok();
    awaits(&cluster, others[0], leader, "Ready Reachable");
    assert!(labels(&cluster, leader).contains("killed"));
    runs_on(&cluster, leader, &["w1", "w2"]);

    // A worker that is cut off: its tasks run elsewhere, and are gone when it is back.
    let _ = cluster.dev(&["partition", "w1"]).ok();
    runs_on(&cluster, others[0], &["w2"]);
    awaits(&cluster, others[1], "w1", "Down");
    let _ = cluster.dev(&["heal"]).ok();
    awaits(&cluster, leader, "w1", "Ready");
    until("its old tasks end", || match cluster.tasks("w1") {
        pids if pids.is_empty() => Ok(()),
        pids => Err(format!("{pids:?}")),
    });

    // Both at once.
    let (leader, others) = roles(&cluster, "m1");
    let _ = cluster.dev(&["kill", "--all", &format!("{leader},w2")]).ok();
    runs_on(&cluster, others[0], &["w1"]);
    write(&cluster, others[1], "both=lost");
    let _ = cluster.dev(&["start", &format!("{leader},w2")]).ok();
    awaits(&cluster, leader, leader, "Ready Reachable");
    awaits(&cluster, leader, "w2", "Ready");
    assert!(labels(&cluster, leader).contains("lost"));
}

#[test]
fn a_leader_alone_answers_and_writes_nothing() {
    let cluster = Cluster::of(3, 0);
    let create =
        ["service", "create", "--detach", "--name", "web", "--replicas", "0", "busybox:test"];
    let _ = cluster.swarm("m1", &create).ok();
    let (leader, others) = roles(&cluster, "m1");

    let _ = cluster.dev(&["partition", leader]).ok();

    write(&cluster, others[0], "elsewhere=yes");
    for question in [["node", "ls"].as_slice(), &["service", "inspect", "web"]] {
        let ran = cluster.swarm(leader, question);
        assert!(ran.refusal().contains("quorum"), "{ran}");
    }
    let update = ["service", "update", "--detach", "--label-add", "alone=yes", "web"];
    assert_ne!(cluster.swarm(leader, &update).code, Some(0));
    let stale = cluster.swarm(leader, &["service", "ls", "--stale", "--format", "{{.Name}}"]);
    assert_eq!(stale.ok(), "web");
    assert_eq!(
        cluster.swarm(leader, &["info", "--format", "{{.Swarm.LocalNodeState}}"]).code,
        Some(0)
    );

    let _ = cluster.dev(&["heal"]).ok();
    awaits(&cluster, leader, leader, "Ready Reachable");
    let labels = labels(&cluster, leader);
    assert!(labels.contains("elsewhere") && !labels.contains("alone"), "{labels}");
}

/// The two that it may ask first say nothing, and it counts as down after six seconds.
#[test]
fn a_worker_that_reaches_one_manager_of_three_is_not_given_up() {
    let cluster = Cluster::of(3, 1);
    let managers = MANAGERS.map(|name| (name, cluster.status(name)["Address"].to_string()));
    let log = |node: &str| cluster.dev(&["logs", node]).ok().to_owned();
    let serves = || {
        let log = log("w1");
        let last = log.lines().rfind(|line| line.contains(" session manager="))?;
        let by = |address: &str| last.contains(address.trim_matches('"'));
        managers.iter().find(|(_, address)| by(address)).map(|(name, _)| *name)
    };
    awaits(&cluster, "m1", "w1", "Ready");
    let served = serves().unwrap();
    let others: Vec<&str> = MANAGERS.into_iter().filter(|name| *name != served).collect();

    let lost = format!("{served},{}", others[0]);
    let _ = cluster.dev(&["partition", "w1", "--from", &lost]).ok();

    until("the one that is left serves it", || match serves() {
        by if by == Some(others[1]) => Ok(()),
        by => Err(format!("{by:?}")),
    });
    for manager in MANAGERS {
        let log = log(manager);
        assert!(!log.contains("node is down"), "{log}");
    }
}

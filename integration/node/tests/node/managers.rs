//! Two managers on one wire, as their operator sees them.

use node_test::{Node, Ran, until};

use crate::workers::founded;

fn token(manager: &Node) -> String {
    manager.swarm(&["join-token", "-q", "manager"]).ok().to_owned()
}

fn join(manager: &Node, node: &Node) -> Ran {
    node.swarm(&["join", "--token", &token(manager), "10.77.0.1:2377"])
}

/// Two managers; the first founded the cluster.
fn pair() -> (Node, Node) {
    let (first, second) = founded();
    assert_eq!(join(&first, &second).ok(), "This node joined a swarm as a manager.");
    (first, second)
}

/// Waits until a write through the node is taken.
#[track_caller]
fn writes(node: &Node, name: &str) {
    until(&format!("{name} is created"), || {
        let line = ["service", "create", "-d", "--name", name, "--replicas", "0", "busybox:test"];
        let created = node.swarm(&line);
        let listed = node.swarm(&["service", "ls", "--format", "{{.Name}}"]);
        if listed.ok().lines().any(|it| it == name) { Ok(()) } else { Err(created.to_string()) }
    });
}

/// Waits until the column MANAGER STATUS shows those words, in any order.
#[track_caller]
fn statuses(node: &Node, words: [&str; 2]) {
    until("both managers are shown", || {
        let listed = node.swarm(&["node", "ls", "--format", "{{.ManagerStatus}}"]);
        let mut shown: Vec<&str> = listed.ok().lines().collect();
        shown.sort_unstable();
        if shown == words { Ok(()) } else { Err(listed.to_string()) }
    });
}

#[test]
fn a_manager_joins_and_writes_go_through_either() {
    let (first, second) = pair();

    statuses(&first, ["Leader", "Reachable"]);
    statuses(&second, ["Leader", "Reachable"]);
    writes(&second, "by-the-second");
    writes(&first, "by-the-first");
    for node in [&first, &second] {
        let listed = node.swarm(&["service", "ls", "--format", "{{.Name}}"]);
        assert_eq!(listed.ok().lines().count(), 2, "{listed}");
    }
    let info = second.swarm(&["info", "--format", "json"]).objects();
    assert_eq!(info[0]["Swarm"]["Managers"], 2, "{info:?}");
    assert_eq!(info[0]["Swarm"]["ControlAvailable"], true);
}

#[test]
fn two_managers_need_each_other_and_find_each_other_again() {
    let (first, second) = pair();
    writes(&first, "before");

    second.kill_daemon();
    until("the first knows that it is alone", || {
        let read = first.swarm(&["service", "ls"]);
        if read.code != Some(0) { Ok(()) } else { Err(read.to_string()) }
    });
    second.start_daemon();
    writes(&second, "after");

    let _ = first.stop_daemon();
    first.start_daemon();
    writes(&first, "again");
    statuses(&second, ["Leader", "Reachable"]);
}

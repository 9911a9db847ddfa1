//! Who a node is: over cut-off joins, and after its certificate has expired.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use node_test::{Node, Ran, until};

use crate::workers::{founded, serve, token};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Waits until the manager lists exactly these, all ready.
#[track_caller]
pub(crate) fn all_ready(manager: &Node, count: usize) {
    until(&format!("{count} nodes are ready"), || {
        let listed = manager.swarm(&["node", "ls", "--format", "{{.Status}}"]);
        let ready = listed.stdout.lines().filter(|line| *line == "Ready").count();
        let all = listed.stdout.lines().count();
        if (ready, all) == (count, count) { Ok(()) } else { Err(listed.to_string()) }
    });
}

fn processes(node: &Node, count: usize) -> Vec<String> {
    let found = until("the tasks run", || {
        let found = node.processes();
        if found.len() == count { Ok(found) } else { Err(format!("{found:?}")) }
    });
    found.into_iter().map(|(id, _)| id).collect()
}

#[test]
fn nodes_that_were_off_for_longer_than_their_certificates_live_come_back() {
    let (manager, worker) = founded();
    let _ = manager.swarm(&["update", "--cert-expiry", "1h"]).ok();
    let joined = worker.swarm(&["join", "--token", &token(&manager), "10.77.0.1:2377"]);
    let _ = joined.ok();
    for node in [&manager, &worker] {
        let archive = node.archive(testbed::Format::Oci);
        let _ = node.swarm(&["image", "load", "-i", &archive]).ok();
    }
    serve(&manager, "2");
    let before = processes(&worker, 1);

    back_after([&manager, &worker], 29 * DAY);
    all_ready(&manager, 2);
    assert_eq!(processes(&worker, 1), before);

    // As after sleep: the worker's expires while it runs.
    [&manager, &worker].into_iter().for_each(|node| node.set_clock(58 * DAY));
    until("the worker's certificate is the next one", || {
        let log = worker.log();
        let renewed = log.matches("certificate had expired, and was renewed").count();
        if renewed == 2 { Ok(()) } else { Err(log) }
    });
    all_ready(&manager, 2);
    assert_eq!(processes(&worker, 1), before);

    back_after([&manager, &worker], 100 * DAY);
    until("the worker is told that it is too late", || {
        let log = worker.log();
        if log.contains("expired more than 30 days ago") { Ok(()) } else { Err(log) }
    });
    assert_eq!(processes(&worker, 1), before);
}

/// Stops both, and starts them with a clock so far ahead.
fn back_after(nodes: [&Node; 2], ahead: Duration) {
    for node in nodes {
        let _ = node.stop_daemon();
        node.set_clock(ahead);
    }
    nodes.into_iter().for_each(Node::start_daemon);
}

fn id(node: &Node) -> String {
    node.swarm(&["info", "--format", "{{.Swarm.NodeID}}"]).ok().to_owned()
}

/// Joins, and is killed as soon as that file is there. `None` when the join was faster.
fn cut_off(node: &Node, line: &[&str], file: &Path) -> Option<Ran> {
    let mut join = node.command(line);
    let mut child = join.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the join has come that far", || {
        if file.exists() || child.try_wait().unwrap().is_some() { Ok(()) } else { Err("no".into()) }
    });
    node.kill_daemon();
    child.wait().unwrap();
    node.start_daemon();
    let is_member = node.swarm(&["info", "--format", "{{.Swarm.LocalNodeState}}"]);
    (is_member.ok() != "active").then(|| node.swarm(line))
}

/// Wherever it is cut off, the node that the cluster may know already is the one that joins.
#[test]
fn a_join_that_is_killed_anywhere_leaves_no_second_node() {
    for role in ["worker", "manager"] {
        for file in ["joining.key", "founding.toml", "certificates/swarm-node.crt", "node.toml"] {
            let (manager, node) = founded();
            let token = manager.swarm(&["join-token", "-q", role]).ok().to_owned();
            let line = ["join", "--token", &token, "10.77.0.1:2377"];

            if let Some(again) = cut_off(&node, &line, &node.dir().join("state").join(file)) {
                assert!(again.ok().contains(role), "{file}: {again}");
            }

            all_ready(&manager, 2);
            assert!(!node.dir().join("state/founding.toml").exists(), "{file}");
        }
    }
}

/// What stands where the certificates should be: the cluster has answered, and nothing came of it.
#[test]
fn a_join_that_fails_after_the_answer_is_the_same_node_unless_that_was_removed() {
    let (manager, node) = founded();
    let (token, place) = (token(&manager), node.dir().join("state/certificates"));
    let line = ["join", "--token", &token, "10.77.0.1:2377"];
    std::fs::write(&place, "in the way").unwrap();
    let known = || {
        let listed = manager.swarm(&["node", "ls", "--format", "{{.ID}}"]);
        listed.ok().lines().map(str::to_owned).collect::<Vec<_>>()
    };

    for _ in 0..2 {
        let failed = node.swarm(&line);
        assert!(failed.refusal().contains("certificates"), "{failed}");
    }
    let first = known();
    assert_eq!(first.len(), 2);
    let lost = first.iter().find(|it| **it != id(&manager)).unwrap();
    let _ = manager.swarm(&["node", "rm", "--force", lost]).ok();
    std::fs::remove_file(&place).unwrap();

    let _ = node.swarm(&line).ok();

    all_ready(&manager, 2);
    assert_ne!(&id(&node), lost);
    assert!(!node.dir().join("state/joining.key").exists());
}

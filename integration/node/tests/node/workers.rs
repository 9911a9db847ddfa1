//! Two nodes on one wire: a worker's life, as its operator sees it.

use std::collections::BTreeSet;

use node_test::{Node, Ran, until, wire};
use testbed::Format;

const MANAGER: &str = "10.77.0.1";

/// Two nodes that reach each other, of no cluster.
pub(crate) fn strangers() -> (Node, Node) {
    let listening = ["--listen-addr", "0.0.0.0:2377"];
    let (one, other) = (Node::start_with(&listening), Node::start_with(&listening));
    wire((one.netns(), "10.77.0.1/24"), (other.netns(), "10.77.0.2/24"));
    (one, other)
}

/// The first of two founded a cluster.
pub(crate) fn founded() -> (Node, Node) {
    let (manager, stranger) = strangers();
    let _ = manager.swarm(&["init"]).ok();
    (manager, stranger)
}

/// A manager, a worker, and the worker's id; both have the image `busybox:test`.
pub(crate) fn joined() -> (Node, Node, String) {
    let (manager, worker) = founded();
    let id = join(&manager, &worker).ok().to_owned();
    for node in [&manager, &worker] {
        let _ = node.swarm(&["image", "load", "-i", &node.archive(Format::Oci)]).ok();
    }
    (manager, worker, id)
}

pub(crate) fn token(manager: &Node) -> String {
    manager.swarm(&["join-token", "-q", "worker"]).ok().to_owned()
}

fn join(manager: &Node, worker: &Node) -> Ran {
    worker.swarm(&["join", "-q", "--token", &token(manager), &format!("{MANAGER}:2377")])
}

/// Waits until the manager lists the node with that word.
#[track_caller]
fn listed(manager: &Node, id: &str, word: &str) {
    until(&format!("{id} is {word}"), || {
        let nodes = manager.swarm(&["node", "ls"]);
        let row = nodes.rows().into_iter().find(|row| row.starts_with(id));
        if row.is_some_and(|row| row.contains(word)) { Ok(()) } else { Err(nodes.to_string()) }
    });
}

/// Waits until so many processes run on each.
#[track_caller]
fn running(nodes: [(&Node, usize); 2]) {
    until("the tasks run where they should", || {
        let counts = nodes.map(|(node, _)| node.processes().len());
        if counts == nodes.map(|(_, count)| count) { Ok(()) } else { Err(format!("{counts:?}")) }
    });
}

pub(crate) fn serve(manager: &Node, replicas: &str) {
    let line = ["service", "create", "--name", "web", "--network", "host", "--replicas", replicas];
    let _ = manager.swarm(&[&line[..], &["busybox:test", "sleep", "100000"]].concat()).ok();
}

#[test]
fn a_worker_joins_by_the_command_that_init_prints() {
    let (manager, worker) = strangers();

    let founded = manager.swarm(&["init"]);
    let command = founded.ok().lines().find_map(|line| line.strip_prefix("    swarm "));
    let command: Vec<&str> = command.unwrap().split(' ').collect();
    let joined = worker.swarm(&command);

    assert_eq!(joined.ok(), "This node joined a swarm as a worker.");
    let nodes = manager.swarm(&["node", "ls"]);
    let rows = nodes.rows();
    assert_eq!(rows.len(), 2, "{nodes}");
    assert!(rows.iter().all(|row| row.contains("Ready") && row.contains("Active")), "{nodes}");
    let info = worker.swarm(&["info", "--format", "json"]).objects();
    let swarm = &info[0]["Swarm"];
    assert_eq!(swarm["LocalNodeState"], "active");
    assert_eq!(swarm["ControlAvailable"], false);
    assert_eq!(swarm["NodeAddr"], "10.77.0.2");
    let own: BTreeSet<&str> = rows.iter().map(|row| row.split(' ').next().unwrap()).collect();
    assert!(own.contains(swarm["NodeID"].as_str().unwrap()), "{swarm}");
    let refused = worker.swarm(&["node", "ls"]);
    assert!(refused.refusal().contains("worker nodes can't be used"), "{refused}");
}

#[test]
fn a_worker_takes_tasks_and_keeps_them_over_restarts_of_both_daemons() {
    let (manager, worker, id) = joined();

    serve(&manager, "4");

    running([(&manager, 2), (&worker, 2)]);
    assert_eq!(manager.swarm(&["node", "ps", "-q", &id]).ok().lines().count(), 2);
    let before = worker.processes();
    worker.kill_daemon();
    worker.start_daemon();
    let _ = manager.stop_daemon();
    manager.start_daemon();
    listed(&manager, &id, "Ready");
    let _ = manager.swarm(&["service", "scale", "web=6"]).ok();
    running([(&manager, 3), (&worker, 3)]);
    assert!(before.iter().all(|process| worker.processes().contains(process)), "{before:?}");
}

#[test]
fn a_worker_is_drained_leaves_is_removed_and_joins_anew() {
    let (manager, worker, id) = joined();
    serve(&manager, "2");
    running([(&manager, 1), (&worker, 1)]);

    let _ = manager.swarm(&["node", "update", "--availability", "drain", &id]).ok();
    running([(&manager, 2), (&worker, 0)]);
    let _ = manager.swarm(&["node", "update", "--availability", "active", &id]).ok();
    let _ = manager.swarm(&["service", "scale", "web=4"]).ok();
    running([(&manager, 2), (&worker, 2)]);

    let heard = manager.swarm(&["node", "rm", &id]);
    assert!(heard.refusal().contains("is not down and can't be removed"), "{heard}");
    assert_eq!(worker.swarm(&["leave"]).ok(), "Node left the swarm.");
    assert!(worker.containers().is_empty());
    assert!(worker.swarm(&["info"]).ok().contains("Swarm: inactive"));
    listed(&manager, &id, "Down");
    running([(&manager, 4), (&worker, 0)]);
    assert_eq!(manager.swarm(&["node", "rm", &id]).ok(), id);
    assert_eq!(manager.swarm(&["node", "ls"]).rows().len(), 1);

    let again = join(&manager, &worker);
    assert_ne!(again.ok(), id);
    listed(&manager, again.ok(), "Ready");
    worker.kill_daemon();
    worker.start_daemon();
    listed(&manager, again.ok(), "Ready");
}

/// Others take the places of its tasks at once: they must not run on here.
#[test]
fn a_worker_that_is_removed_while_it_is_heard_ends_its_tasks() {
    let (manager, worker, id) = joined();
    serve(&manager, "4");
    running([(&manager, 2), (&worker, 2)]);

    assert_eq!(manager.swarm(&["node", "rm", "--force", &id]).ok(), id);

    running([(&manager, 4), (&worker, 0)]);
    let info = worker.swarm(&["info"]);
    for line in ["Swarm: error", "Error: the node was removed from its cluster"] {
        assert!(info.ok().contains(line), "{line} in {info}");
    }
    assert_eq!(worker.swarm(&["leave"]).ok(), "Node left the swarm.");
    listed(&manager, join(&manager, &worker).ok(), "Ready");
}

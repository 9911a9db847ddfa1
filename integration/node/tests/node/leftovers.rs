//! Nothing is left of a service that was removed.

use std::fs;
use std::path::Path;

use node_test::{Node, until};

/// Everything on the node that was made for tasks, a line each.
fn traces(node: &Node) -> Vec<String> {
    let entries = |dir: &Path| {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path().display().to_string()).collect::<Vec<_>>()
    };
    let mut traces = Vec::new();
    for dir in [
        "run/netns",
        "run/tasks",
        "run/exec",
        "state/logs",
        "c/state/io.containerd.runtime.v2.task/swarm",
    ] {
        traces.extend(entries(&node.dir().join(dir)));
    }
    traces.extend(links(node));
    for list in [&["containers", "ls", "-q"][..], &["tasks", "ls", "-q"], &["leases", "ls", "-q"]] {
        traces.extend(node.ctr(list).lines().map(|line| format!("{list:?} {line}")));
    }
    let snapshots = node.ctr(&["snapshots", "ls"]);
    let active = snapshots.lines().filter(|line| line.trim_end().ends_with("Active"));
    traces.extend(active.map(|line| format!("snapshot {line}")));
    traces
}

/// The links of tasks in the node's network.
fn links(node: &Node) -> Vec<String> {
    let table = node.netns().run(|| fs::read_to_string("/proc/thread-self/net/dev").unwrap());
    let names = table.lines().skip(2).filter_map(|line| line.trim().split(':').next());
    names
        .filter(|name| !["lo", "swarm0"].contains(name))
        .map(|name| format!("link {name}"))
        .collect()
}

#[test]
fn a_removed_service_leaves_nothing_but_its_volume() {
    let node = Node::ready();
    let flags = [
        &["--replicas", "3", "--publish", "mode=host,target=80"][..],
        &[
            "--mount",
            "type=volume,source=data,target=/data",
            "--health-cmd",
            "true",
            "--health-interval",
            "200ms",
        ],
    ];
    let polite = ["sh", "-c", "echo begun; trap 'exit 0' TERM; sleep 100000 & wait"];
    node.serve("web", &flags.concat(), &polite);
    node.serve("failing", &["--restart-max-attempts", "2"], &["sh", "-c", "exit 1"]);
    node.serve("refused", &["--restart-condition", "none"], &["no-such-program"]);
    let rows = node.running("web", 3);
    let _ = node.history_when("all attempts failed", "failing", |rows| {
        rows.len() == 3 && rows.iter().all(|row| row.current == "Failed")
    });
    let _ = node.inside("web.1", "true").ok();
    node.process(&rows[1].id).kill();
    let _ = node.history_when("slot 2 runs again", "web", |rows| {
        rows.len() == 4 && rows.iter().filter(|row| row.runs()).count() == 3
    });
    until("only those that run have a link", || match links(&node) {
        links if links.len() == 3 => Ok(()),
        _ => Err(format!("{:#?}", traces(&node))),
    });

    assert_eq!(node.swarm(&["service", "rm", "web", "failing", "refused"]).code, Some(0));

    until("nothing is left", || match traces(&node) {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:#?}")),
    });
    assert_eq!(node.swarm(&["volume", "ls", "-q"]).ok(), "data");
    assert_eq!(node.swarm(&["volume", "rm", "data"]).ok(), "data");
    assert!(!node.dir().join("state/volumes/data").exists());
    assert_eq!(node.swarm(&["image", "rm", "busybox:test"]).code, Some(0));
    until("no content is left", || match node.ctr(&["content", "ls", "-q"]) {
        left if left.is_empty() => Ok(()),
        left => Err(left),
    });
}

/// Killed in the middle of it all, the next daemon takes away the rest.
#[test]
fn a_daemon_killed_while_it_removes_finishes_when_it_is_back() {
    let node = Node::ready();
    let polite = ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"];
    node.serve("web", &["--replicas", "5", "--publish", "mode=host,target=80"], &polite);
    let _ = node.running("web", 5);

    let _ = node.swarm(&["service", "rm", "web"]).ok();
    until("it is under way", || match node.processes().len() {
        5 => Err("all run".to_owned()),
        _ => Ok(()),
    });
    node.kill_daemon();
    node.start_daemon();

    until("nothing is left", || match traces(&node) {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:#?}")),
    });
}

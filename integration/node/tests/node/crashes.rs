//! Daemon and containerd end, containers do not.

use std::process::Command;

use node_test::{Node, Row, until};

fn serve(node: &Node, replicas: &str) -> Vec<Row> {
    let line =
        ["service", "create", "-d", "--name", "web", "--replicas", replicas, "--network", "host"];
    let delay = ["--restart-delay", "0s", "--stop-grace-period", "1s"];
    let _ = node.swarm(&[&line[..], &delay, &["busybox:test", "sleep", "100000"]].concat()).ok();
    node.running("web", replicas.parse().unwrap())
}

/// Waits until the node is heard again, which is when its tasks were compared with containerd.
fn ready(node: &Node) {
    until("the node is ready", || {
        let ran = node.swarm(&["node", "ls"]);
        if ran.code == Some(0) && ran.stdout.contains("Ready") {
            Ok(())
        } else {
            Err(ran.to_string())
        }
    });
}

#[test]
fn containers_outlive_a_killed_daemon_and_are_adopted() {
    let node = Node::ready();
    let before = serve(&node, "3");
    let processes = node.processes();

    node.kill_daemon();
    assert_eq!(node.processes(), processes);
    node.start_daemon();
    ready(&node);

    assert_eq!(node.running("web", 3), before);
    assert_eq!(node.processes(), processes);
    // Adopted means watched: an end is seen and the task replaced.
    node.process(&before[2].id).kill();
    let after = node.history_when("slot 3 runs again", "web", |rows| {
        rows.len() == 4 && rows.iter().filter(|row| row.runs()).count() == 3
    });
    assert_eq!(
        (after[3].id.as_str(), after[3].current.as_str()),
        (before[2].id.as_str(), "Failed")
    );
    // And stopped when told to.
    let _ = node.swarm(&["service", "scale", "web=0"]).ok();
    assert!(node.processes().is_empty());
}

#[test]
fn an_end_while_the_daemon_was_down_is_reported() {
    let node = Node::ready();
    let before = serve(&node, "2");
    let (dead, alive) = (node.process(&before[0].id), node.process(&before[1].id));

    node.kill_daemon();
    dead.kill();
    until("the process is gone", || if dead.lives() { Err(format!("{dead:?}")) } else { Ok(()) });
    node.start_daemon();

    let after = node.history_when("slot 1 runs again", "web", |rows| {
        rows.len() == 3 && rows.iter().filter(|row| row.runs()).count() == 2
    });
    assert_eq!(
        (after[1].id.as_str(), after[1].current.as_str()),
        (before[0].id.as_str(), "Failed")
    );
    assert!(after[1].error.contains("137"), "{after:?}");
    assert_eq!(node.process(&before[1].id), alive);
}

/// Killed wherever it is: what it had begun is found again, not begun twice.
#[test]
fn a_daemon_killed_while_it_makes_tasks_makes_each_once() {
    let node = Node::ready();
    let line = ["service", "create", "--detach", "--name", "web", "--replicas", "6"];
    let command = ["--network", "host", "busybox:test", "sleep", "100000"];
    let _ = node.swarm(&[&line[..], &command].concat()).ok();

    for enough in [1, 3] {
        until("some containers run", || match node.processes().len() {
            so_far if so_far >= enough => Ok(()),
            so_far => Err(so_far.to_string()),
        });
        node.kill_daemon();
        node.start_daemon();
        ready(&node);
    }

    let rows = node.running("web", 6);
    let mut tasks: Vec<String> = rows.into_iter().map(|row| row.id).collect();
    tasks.sort();
    let running: Vec<String> = node.processes().into_iter().map(|(id, _)| id).collect();
    assert_eq!(running, tasks);
    assert_eq!(node.history("web").len(), 6);
}

/// As after a reboot of the host: the daemon comes back to containers that all ended.
#[test]
fn tasks_whose_containers_are_all_gone_are_replaced() {
    let node = Node::ready();
    let before = serve(&node, "2");

    node.kill_daemon();
    node.processes().into_iter().for_each(|(_, process)| process.kill());
    node.restart_containerd();
    node.start_daemon();

    let after = node.history_when("both slots run again", "web", |rows| {
        rows.len() == 4 && rows.iter().filter(|row| row.runs()).count() == 2
    });
    assert_eq!([&after[1].id, &after[3].id], [&before[0].id, &before[1].id]);
}

#[test]
fn a_daemon_that_is_told_to_stop_leaves_the_containers() {
    let node = Node::ready();
    let before = serve(&node, "2");
    let processes = node.processes();

    let status = node.stop_daemon();

    assert!(status.success(), "{status}\n{}", node.log());
    assert!(!node.socket().exists());
    assert_eq!(node.processes(), processes);
    node.start_daemon();
    ready(&node);
    assert_eq!(node.running("web", 2), before);
    assert_eq!(node.processes(), processes);
}

#[test]
fn containerd_may_restart_below_the_daemon() {
    let node = Node::ready();
    let before = serve(&node, "2");
    let processes = node.processes();

    node.restart_containerd();

    until("containerd shows its tasks again", || match node.processes() {
        found if found == processes => Ok(()),
        found => Err(format!("{found:?}")),
    });
    node.process(&before[0].id).kill();
    let after = node.history_when("slot 1 runs again", "web", |rows| {
        rows.len() == 3 && rows.iter().filter(|row| row.runs()).count() == 2
    });
    assert_eq!(after[1].id, before[0].id);
    assert_eq!(
        node.process(&before[1].id),
        processes.iter().find(|it| it.0 == before[1].id).unwrap().1
    );
}

#[test]
fn one_network_namespace_holds_one_daemon() {
    let node = Node::start();
    let other = tempfile::tempdir().unwrap();
    let mut second = Command::new(node.daemon_command().get_program());
    second.arg("daemon").arg("--state-dir").arg(other.path().join("state"));
    second.arg("--run-dir").arg(other.path().join("run"));
    second.arg("--containerd").arg(node.dir().join("c/c.sock"));
    second.args(["--listen-addr", "127.0.0.1:2378"]);

    let refused = node.run_daemon(second);

    assert!(refused.refusal().contains(&format!("pid {}", node.pid())), "{refused}");
    assert_eq!(node.swarm(&["info"]).code, Some(0));
}

#[test]
fn without_containerd_the_daemon_says_which_socket() {
    let node = Node::start();
    let _ = node.stop_daemon();
    let mut command = Command::new(node.daemon_command().get_program());
    command.arg("daemon").arg("--state-dir").arg(node.dir().join("state"));
    command.arg("--run-dir").arg(node.dir().join("run"));
    command.args(["--listen-addr", "127.0.0.1:2377", "--containerd", "/nowhere/c.sock"]);

    let refused = node.run_daemon(command);

    assert!(refused.refusal().contains("/nowhere/c.sock"), "{refused}");
    assert!(refused.refusal().contains("--containerd"), "{refused}");
}

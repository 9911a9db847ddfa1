//! Two managers on one wire, as their operator sees them.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use node_test::{DEADLINE, Node, Ran, until};

use crate::identity::all_ready;
use crate::workers::{founded, joined, serve};

pub(crate) fn manager_token(manager: &Node) -> String {
    manager.swarm(&["join-token", "-q", "manager"]).ok().to_owned()
}

pub(crate) fn join(manager: &Node, node: &Node) -> Ran {
    node.swarm(&["join", "--token", &manager_token(manager), "10.77.0.1:2377"])
}

/// Two managers; the first founded the cluster.
fn pair() -> (Node, Node) {
    let (first, second) = founded();
    assert_eq!(join(&first, &second).ok(), "This node joined a swarm as a manager.");
    (first, second)
}

/// Waits until a write through the node is taken.
#[track_caller]
pub(crate) fn writes(node: &Node, name: &str) {
    until(&format!("{name} is created"), || {
        let line = ["service", "create", "-d", "--name", name, "--replicas", "0", "busybox:test"];
        let created = node.swarm(&line);
        let listed = node.swarm(&["service", "ls", "--format", "{{.Name}}"]);
        if listed.ok().lines().any(|it| it == name) { Ok(()) } else { Err(created.to_string()) }
    });
}

/// Waits until the column MANAGER STATUS shows those words, in any order.
#[track_caller]
pub(crate) fn statuses(node: &Node, words: &[&str]) {
    until(&format!("the managers are shown as {words:?}"), || {
        let listed = node.swarm(&["node", "ls", "--format", "{{.ManagerStatus}}"]);
        let mut shown: Vec<&str> = listed.stdout.lines().filter(|it| !it.is_empty()).collect();
        shown.sort_unstable();
        if listed.code == Some(0) && shown == words { Ok(()) } else { Err(listed.to_string()) }
    });
}

#[test]
fn a_manager_joins_and_writes_go_through_either() {
    let (first, second) = pair();

    statuses(&first, &["Leader", "Reachable"]);
    statuses(&second, &["Leader", "Reachable"]);
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
    let own = first.swarm(&["info", "--format", "{{.Swarm.NodeID}}"]).ok().to_owned();
    let alone = first.swarm(&["info"]);
    assert!(alone.ok().contains(&format!("Reachable Managers: {own}\n")), "{alone}");
    assert!(alone.ok().contains("Leader: none\n Managers: 2\n"), "{alone}");
    second.start_daemon();
    writes(&second, "after");

    let _ = first.stop_daemon();
    first.start_daemon();
    writes(&first, "again");
    statuses(&second, &["Leader", "Reachable"]);
    let info = first.swarm(&["info"]);
    assert!(!info.ok().contains("Reachable Managers"), "{info}");
}

#[test]
fn a_node_changes_its_role_and_its_tasks_run_on() {
    let (first, second, id) = joined();
    serve(&first, "4");
    until("both have tasks", || {
        let count = second.processes().len();
        if count == 2 { Ok(()) } else { Err(count.to_string()) }
    });
    let before = second.processes();
    let again = first.swarm(&["node", "demote", &id]);
    assert_eq!(again.ok(), format!("Node {id} is already a worker."));

    for _ in 0..2 {
        let promoted = first.swarm(&["node", "promote", &id]);
        assert_eq!(promoted.ok(), format!("Node {id} promoted to a manager in the swarm."));
        statuses(&first, &["Leader", "Reachable"]);
        until("the second takes writes", || {
            let label = second.swarm(&["node", "update", "--label-add", "a=b", &id]);
            if label.code == Some(0) { Ok(()) } else { Err(label.to_string()) }
        });
        second.kill_daemon();
        second.start_daemon();
        statuses(&second, &["Leader", "Reachable"]);

        let demoted = second.swarm(&["node", "demote", &id]);
        assert_eq!(demoted.ok(), format!("Manager {id} demoted in the swarm."));
        statuses(&first, &["Leader"]);
        until("the second is a worker", || {
            let refused = second.swarm(&["node", "ls"]);
            let is_worker = refused.stderr.contains("worker nodes can't be used");
            if is_worker { Ok(()) } else { Err(refused.to_string()) }
        });
        assert!(!second.dir().join("state/raft").exists());
    }

    assert_eq!(second.processes(), before);
    let refused = first.swarm(&["node", "demote", "self"]);
    assert!(refused.refusal().contains("last manager"), "{refused}");
}

#[test]
fn the_only_manager_takes_the_address_that_its_host_has() {
    let (first, second) = founded();
    let _ = first.stop_daemon();
    move_host(&first, 1, 11);
    first.start_daemon();

    until("the manager's address is the new one", || {
        let shown =
            first.swarm(&["node", "inspect", "self", "--format", "{{.ManagerStatus.Addr}}"]);
        if shown.ok().trim() == "10.77.0.11:2377" { Ok(()) } else { Err(shown.to_string()) }
    });
    let joined = second.swarm(&["join", "--token", &manager_token(&first), "10.77.0.11:2377"]);
    assert_eq!(joined.ok(), "This node joined a swarm as a manager.");
    statuses(&second, &["Leader", "Reachable"]);
}

/// Gives the host another address on the wire.
pub(crate) fn move_host(node: &Node, before: u8, now: u8) {
    for change in [format!("del 10.77.0.{before}/24"), format!("add 10.77.0.{now}/24")] {
        let mut ip = Command::new("ip");
        ip.arg("address").args(change.split(' ')).args(["dev", "eth0"]);
        assert!(node.netns().run(|| ip.status()).unwrap().success(), "{change}");
    }
}

/// What stands where the networks should be: a node that was demoted does not come up there.
#[test]
fn a_demotion_that_fails_half_way_goes_on_at_the_next_start() {
    let (first, second) = pair();
    let id = second.swarm(&["info", "--format", "{{.Swarm.NodeID}}"]).ok().to_owned();
    let (place, kept) = (second.dir().join("state/net"), second.dir().join("kept"));
    fs::rename(&place, &kept).unwrap();
    fs::write(&place, "in the way").unwrap();

    let _ = first.swarm(&["node", "demote", &id]).ok();
    statuses(&first, &["Leader"]);
    until("the daemon gives up", || {
        let info = second.swarm(&["info"]);
        if info.code != Some(0) { Ok(()) } else { Err(info.to_string()) }
    });
    fs::remove_file(&place).unwrap();
    fs::rename(&kept, &place).unwrap();
    second.start_daemon();

    until("the second is a worker", || {
        let refused = second.swarm(&["node", "ls"]);
        let is_worker = refused.stderr.contains("worker nodes can't be used");
        if is_worker { Ok(()) } else { Err(refused.to_string()) }
    });
    assert!(!second.dir().join("state/raft").exists());
}

/// What that file of the state directory, or those words in the log, tell of how far the node is.
fn stamp(node: &Node, what: &str) -> String {
    match fs::metadata(node.dir().join("state").join(what)).and_then(|file| file.modified()) {
        Ok(at) => format!("{at:?}"),
        Err(_) => node.log().matches(what).count().to_string(),
    }
}

/// Forces a cluster of one, and is killed when that changes, if the force is not through before.
fn forced_and_killed(node: &Node, what: &str) {
    let before = stamp(node, what);
    let mut force = node.command(&["init", "--force-new-cluster"]);
    let mut child = force.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the force has come that far", || {
        let has = stamp(node, what) != before || child.try_wait().unwrap().is_some();
        if has { Ok(()) } else { Err(node.log()) }
    });
    node.kill_daemon();
    child.wait().unwrap();
    node.start_daemon();
}

/// Whatever of the force came to the disk: what the manager held stays, and telling it again ends it.
#[test]
fn a_force_that_is_killed_anywhere_is_told_again_and_loses_nothing() {
    for what in ["node.toml", "raft/mark", "is a cluster of its own"] {
        let (first, second) = pair();
        writes(&first, "before");
        second.kill_daemon();

        forced_and_killed(&first, what);
        let again = first.swarm(&["init", "--force-new-cluster"]);

        assert!(again.ok().contains("is now a manager"), "{what}: {again}");
        statuses(&first, &["Leader"]);
        writes(&first, "after");
        let listed = first.swarm(&["service", "ls", "-q"]);
        assert_eq!(listed.ok().lines().count(), 2, "{what}: {listed}");
        second.start_daemon();
        all_ready(&first, 2);
        statuses(&first, &["Leader"]);
    }
}

/// Joins, and has the first stop for a while when the newcomer's store is complete: it may have a
/// vote by then. What the newcomer said; `None` when the first had answered already.
fn joined_unheard(first: &Node, second: &Node) -> Option<String> {
    let token = manager_token(first);
    let mut join = second.command(&["join", "--token", &token, "10.77.0.1:2377"]);
    let join = join.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while !second.log().contains("the store is complete") {
        assert!(began.elapsed() < DEADLINE, "{}", second.log());
    }
    let daemon = Pid::from_raw(i32::try_from(first.pid()).unwrap());
    kill(daemon, Signal::SIGSTOP).unwrap();
    // It waits for the others' answer longer than anybody else does here.
    let said = join.wait_with_output().unwrap();
    kill(daemon, Signal::SIGCONT).unwrap();
    let said = String::from_utf8(said.stderr).unwrap();
    said.contains("not known yet").then_some(said)
}

/// Without it the first could not go on.
#[test]
fn a_newcomer_whose_vote_may_count_stays() {
    let aimed = (0..10).find_map(|_| {
        let (first, second) = founded();
        let said = joined_unheard(&first, &second)?;
        Some((first, second, said))
    });

    let (first, second, said) = aimed.unwrap();
    assert!(said.contains("goes on asking"), "{said}");
    statuses(&first, &["Leader", "Reachable"]);
    writes(&second, "by-the-second");
}

/// Of two managers, either may go: the other is a majority then.
#[test]
fn a_manager_that_is_made_to_leave_leaves_a_cluster_that_goes_on() {
    for leader_goes in [false, true] {
        let (first, second) = pair();
        let (goes, stays) = if leader_goes { (&first, &second) } else { (&second, &first) };
        let id = goes.swarm(&["info", "--format", "{{.Swarm.NodeID}}"]).ok().to_owned();
        assert!(goes.swarm(&["leave"]).refusal().contains("--force"));

        assert_eq!(goes.swarm(&["leave", "--force"]).ok(), "Node left the swarm.");

        writes(stays, "after");
        let _ = stays.swarm(&["node", "demote", &id]).ok();
        until("it can be removed", || {
            let removed = stays.swarm(&["node", "rm", "--force", &id]);
            if removed.code == Some(0) { Ok(()) } else { Err(removed.to_string()) }
        });
        all_ready(stays, 1);
    }
}

//! Changes of role that are cut off, in a cluster of two managers and a node that becomes the third.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use node_test::{DEADLINE, Netns, Node, Process, Ran, switch, until};
use testbed::Format;

use crate::identity::all_ready;
use crate::locked::followed;
use crate::managers::{join, manager_token, move_host, statuses, writes};
use crate::workers::token;

/// Time between two looks at a disk: the steps of a change lie a few syncs apart.
const LOOK: Duration = Duration::from_micros(100);

struct Cluster {
    managers: [Node; 2],
    /// The node whose role changes.
    node: Node,
    id: String,
    /// Its tasks.
    tasks: Vec<(String, Process)>,
    _switch: Netns,
}

/// What tells how far a change has come.
#[derive(Clone, Copy, Debug)]
enum Trace {
    /// A file of the node's state directory is there, is gone, or is another one.
    File(&'static str),
    /// A line in a log ends like that.
    Said(&'static str),
    /// A manager's log has that call, and that it was done.
    Done(&'static str),
}

impl Cluster {
    fn up() -> Self {
        let ([first, second, node], switch) = strangers();
        let _ = first.swarm(&["init"]).ok();
        let _ = join(&first, &second).ok();
        let joined = node.swarm(&["join", "-q", "--token", &token(&first), "10.77.0.1:2377"]);
        let id = joined.ok().to_owned();
        let _ = node.swarm(&["image", "load", "-i", &node.archive(Format::Oci)]).ok();
        let here = format!("node.id=={id}");
        let how = ["--detach", "--name", "web", "--replicas", "2", "--constraint", &here];
        let what = ["--network", "host", "busybox:test", "sleep", "100000"];
        let _ = first.swarm(&[&["service", "create"], &how[..], &what].concat()).ok();
        let tasks = until("its tasks run", || match node.processes() {
            found if found.len() == 2 => Ok(found),
            found => Err(format!("{found:?}")),
        });
        Self { managers: [first, second], node, id, tasks, _switch: switch }
    }

    fn seen(&self, trace: Trace) -> u64 {
        let is_done = |line: &str, call| line.contains(call) && line.ends_with("outcome=\"done\"");
        match trace {
            Trace::File(name) => {
                let file = fs::metadata(self.node.dir().join("state").join(name));
                file.map_or(0, |file| file.ino())
            }
            Trace::Said(words) => self.count(|line| line.ends_with(words)),
            Trace::Done(call) => self.count(|line| is_done(line, call)),
        }
    }

    /// Lines of that kind in all logs.
    fn count(&self, is: impl Fn(&str) -> bool) -> u64 {
        let logs = [&self.managers[0], &self.managers[1], &self.node].map(Node::log);
        logs.iter().flat_map(|log| log.lines()).map(|line| u64::from(is(line))).sum()
    }

    fn elections(&self) -> u64 {
        self.count(|line| line.contains("leadership=Leader"))
    }

    /// Has the node's role changed, kills it as soon as that has come so far, and starts it again.
    fn cut_off(&self, command: &str, step: Trace) {
        let before = self.seen(step);
        let mut change = self.managers[0].command(&["node", command, &self.id]);
        let mut change = change.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + DEADLINE;
        while self.seen(step) == before {
            assert!(Instant::now() < deadline, "{command} does not come to {step:?}");
            std::thread::sleep(LOOK);
        }
        self.node.kill_daemon();
        assert!(change.wait().unwrap().success(), "{command} at {step:?}");
        self.node.start_daemon();
    }

    /// Waits until the node is that, as a manager shows it; its tasks ran on.
    fn is(&self, wanted: &str, step: Trace) {
        let format = "{{.ID}} {{.Status}} {{.ManagerStatus}}";
        until(&format!("after {step:?} it is {wanted}"), || {
            let listed = self.managers[0].swarm(&["node", "ls", "--format", format]);
            let row = listed.stdout.lines().find_map(|row| row.strip_prefix(&self.id));
            if row.is_some_and(|row| row.trim() == wanted) {
                Ok(())
            } else {
                Err(listed.to_string())
            }
        });
        assert_eq!(self.node.processes(), self.tasks, "after {step:?}");
    }

    /// Waits until the node knows itself a worker; nothing is left of a manager.
    fn is_worker(&self, step: Trace) {
        until(&format!("after {step:?} it is a worker"), || {
            let refused = self.node.swarm(&["node", "ls"]);
            let is_worker = refused.stderr.contains("worker nodes can't be used");
            if is_worker { Ok(()) } else { Err(refused.to_string()) }
        });
        self.is("Ready", step);
        for left in ["raft", "raft.removed", "certificates/raft.key"] {
            assert_eq!(self.seen(Trace::File(left)), 0, "{left} after {step:?}");
        }
    }
}

/// What the manager of a locked cluster says once its store needs the unlock key.
const LOCKED: Trace = Trace::Said("the key file follows the cluster's unlock key");

/// Three nodes that reach each other by the switch, of no cluster.
fn strangers() -> ([Node; 3], Netns) {
    let listening = ["--listen-addr", "0.0.0.0:2377"];
    let nodes = [(); 3].map(|()| Node::start_with(&listening));
    let [first, second, third] = nodes.each_ref().map(Node::netns);
    let switch =
        switch(&[(first, "10.77.0.1/24"), (second, "10.77.0.2/24"), (third, "10.77.0.3/24")]);
    (nodes, switch)
}

/// Three managers of one cluster; the first founded it.
fn managers() -> ([Node; 3], Netns) {
    let (nodes, switch) = strangers();
    let _ = nodes[0].swarm(&["init"]).ok();
    let _ = join(&nodes[0], &nodes[1]).ok();
    let _ = join(&nodes[0], &nodes[2]).ok();
    (nodes, switch)
}

fn id(node: &Node) -> String {
    node.swarm(&["info", "--format", "{{.Swarm.NodeID}}"]).ok().to_owned()
}

/// In the order they come about.
const PROMOTED: [Trace; 7] = [
    Trace::File("certificates/swarm-node.crt"),
    Trace::File("certificates/raft.key"),
    Trace::File("node.toml"),
    Trace::File("raft"),
    Trace::File("raft/mark"),
    Trace::Said("the store is complete"),
    Trace::Done("Admit"),
];
/// In the order they come about.
const DEMOTED: [Trace; 5] = [
    Trace::Done("Expel"),
    Trace::File("certificates/swarm-node.crt"),
    Trace::File("node.toml"),
    Trace::File("raft"),
    Trace::File("certificates/raft.key"),
];

#[test]
fn a_node_that_is_killed_while_its_role_changes_has_the_new_one_when_it_is_back() {
    let cluster = Cluster::up();
    for (promoted, demoted) in PROMOTED.into_iter().zip(DEMOTED.into_iter().cycle()) {
        let before = cluster.elections();
        cluster.cut_off("promote", promoted);
        cluster.is("Ready Reachable", promoted);
        statuses(&cluster.node, &["Leader", "Reachable", "Reachable"]);
        assert!(cluster.elections() <= before + 1, "after {promoted:?}");

        let before = cluster.elections();
        cluster.cut_off("demote", demoted);
        cluster.is_worker(demoted);
        assert!(cluster.elections() <= before + 1, "after {demoted:?}");
    }
    // One that is locked when it is back follows its role as well.
    let _ = cluster.managers[0].swarm(&["update", "--autolock"]).ok();
    until("both managers' stores need the key", || match cluster.seen(LOCKED) {
        2 => Ok(()),
        other => Err(other.to_string()),
    });
    cluster.cut_off("promote", LOCKED);
    let info = cluster.node.swarm(&["info", "--format", "{{.Swarm.LocalNodeState}}"]);
    assert_eq!(info.ok(), "locked");
    let expelled = Trace::Done("Expel");
    cluster.cut_off("demote", expelled);
    cluster.is_worker(expelled);

    // It is heard, and hears.
    let _ = cluster.managers[1].swarm(&["service", "scale", "--detach", "web=3"]).ok();
    let now = until("the third task runs", || match cluster.node.processes() {
        found if found.len() == 3 => Ok(found),
        found => Err(format!("{found:?}")),
    });
    assert!(cluster.tasks.iter().all(|task| now.contains(task)), "{now:?}");
}

/// The others look for it where it was until it tells them.
#[test]
fn a_follower_is_found_at_the_address_that_its_host_has() {
    let ([first, second, third], _switch) = managers();
    third.kill_daemon();
    move_host(&third, 3, 13);
    third.start_daemon();

    let of_third = ["node", "inspect", &id(&third), "--format", "{{.ManagerStatus.Addr}}"];
    until("the others know the new address", || match first.swarm(&of_third) {
        shown if shown.stdout.trim() == "10.77.0.13:2377" => Ok(()),
        shown => Err(shown.to_string()),
    });
    statuses(&second, &["Leader", "Reachable", "Reachable"]);
    // The two that are left need each other.
    second.kill_daemon();
    writes(&third, "by-the-third");
    writes(&first, "by-the-first");
}

/// Does what a manager that left said is left to do.
fn see_to(asked: &Node, id: &str, left: &Ran) {
    assert!(left.stdout.contains("Node left the swarm."), "{left}");
    // By force: it is not known to be down yet.
    for (told, command) in [("demote", &["demote"][..]), ("rm", &["rm", "--force"])] {
        assert!(left.refusal().contains(&format!("`swarm node {told} {id}`")), "{left}");
        until(&format!("{told} is taken"), || {
            let ran = asked.swarm(&[&["node"], command, &[id]].concat());
            if ran.code == Some(0) { Ok(()) } else { Err(ran.to_string()) }
        });
    }
}

#[test]
fn a_manager_that_leaves_without_being_let_go_says_what_to_do() {
    let ([first, second, third], _switch) = managers();
    let gone = id(&first);
    third.kill_daemon();

    let left = first.swarm(&["leave", "--force"]);

    assert!(left.refusal().contains("needs 2 managers that answer"), "{left}");
    assert!(first.swarm(&["info"]).ok().contains("Swarm: inactive"));
    third.start_daemon();
    writes(&second, "after");
    see_to(&second, &gone, &left);
    statuses(&third, &["Leader", "Reachable"]);

    // One that is locked has nobody whom it could ask.
    let joined = first.swarm(&["join", "--token", &manager_token(&second), "10.77.0.2:2377"]);
    let _ = joined.ok();
    let _ = second.swarm(&["update", "--autolock"]).ok();
    let _ = followed(&first, "clear");
    first.kill_daemon();
    first.start_daemon();
    let gone = id(&first);
    let left = first.swarm(&["leave", "--force"]);
    assert!(left.refusal().contains("its store is locked"), "{left}");
    see_to(&second, &gone, &left);
    all_ready(&second, 2);
    statuses(&second, &["Leader", "Reachable"]);
}

#[test]
fn a_manager_that_gave_its_store_up_waits_for_no_unlock_key() {
    let ([first, _second, third], _switch) = managers();
    let _ = first.swarm(&["update", "--autolock"]).ok();
    let _ = followed(&third, "clear");
    // Killed between its store and the key of it.
    third.kill_daemon();
    let state = third.dir().join("state");
    fs::rename(state.join("raft"), state.join("raft.removed")).unwrap();

    third.start_daemon();

    writes(&third, "anew");
    statuses(&first, &["Leader", "Reachable", "Reachable"]);
    assert!(!state.join("raft.removed").exists());
}

//! Tasks of other nodes, asked at a manager.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use netns_test::Cluster;
use node_test::{Ran, Stream, until};

const NODES: [&str; 4] = ["m1", "m2", "m3", "w1"];

/// Starts a task on each node, which says where it is.
fn everywhere(cluster: &Cluster, name: &str, said: &str) {
    let create = ["service", "create", "--name", name, "--mode", "global"];
    let command = ["--hostname", "{{.Node.Hostname}}", "busybox:test", "sh", "-c", said];
    let _ = cluster.swarm("m1", &[&create[..], &command].concat()).ok();
}

/// `swarm ARGUMENTS` in a node, with what it says on stderr in its output; not started.
fn both(cluster: &Cluster, node: &str, arguments: &[&str]) -> Command {
    let line = format!("exec \"$0\" {} 2>&1", arguments.join(" "));
    let program = node_test::program().display().to_string();
    cluster.command(&["exec", node, "--", "sh", "-c", &line, &program])
}

/// Runs a command in the task that a service has on a node.
fn inside(cluster: &Cluster, asked: &str, task: &str, script: &str) -> Ran {
    cluster.swarm(asked, &["exec", task, "sh", "-c", script])
}

/// Runs a command at w1 that takes no input, and kills its user when that can get rid of no more.
fn leave_with_full_input(cluster: &Cluster, asked: &str) {
    let before = cluster.tasks("w1");
    let own = || -> BTreeSet<u32> { cluster.tasks("w1").difference(&before).copied().collect() };
    let line = ["exec", asked, "--", "swarm", "exec", "-i", "all.w1", "sleep", "999"];
    let mut user = cluster.command(&line).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = user.stdin.take().unwrap();
    let (taken, takes) = sync_channel(1);
    let feeder =
        std::thread::spawn(
            move || {
                while input.write_all(&[0; 4096]).is_ok() && taken.send(()).is_ok() {}
            },
        );
    until("it runs", || if own().is_empty() { Err("nothing new".to_owned()) } else { Ok(()) });
    while takes.recv_timeout(Duration::from_millis(500)).is_ok() {}

    drop(takes);
    user.kill().unwrap();
    let _ = user.wait().unwrap();

    until("it ends with its user", || {
        let left = own();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} at {asked}")) }
    });
    feeder.join().unwrap();
}

#[test]
fn every_manager_reaches_the_tasks_of_every_node() {
    let cluster = Cluster::of(3, 1);
    cluster.load_image();
    everywhere(&cluster, "all", "echo from $(hostname); exec sleep 1000");

    for manager in ["m1", "m2", "m3"] {
        let logs = cluster.swarm(manager, &["service", "logs", "--raw", "all"]);
        assert_eq!(logs.ok().lines().count(), NODES.len(), "{logs}");
        for node in NODES {
            let task = format!("all.{node}");
            let ran = inside(&cluster, manager, &task, "hostname; exit 7");
            assert_eq!((ran.code, ran.stdout.trim()), (Some(7), node), "{ran}");
        }
        let tasks = NODES.map(|node| format!("all.{node}"));
        let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
        let line = [&["stats", "--no-stream", "--format", "{{.Name}}"], &tasks[..]].concat();
        let used = cluster.swarm(manager, &line);
        assert_eq!(used.ok().lines().count(), NODES.len(), "{used}");
    }
    let refused = inside(&cluster, "w1", "all.w1", "true");
    assert!(refused.refusal().contains("worker") && refused.refusal().contains("manager"));

    // One of them does not carry the session of w1.
    for manager in ["m1", "m2"] {
        leave_with_full_input(&cluster, manager);
    }

    // One that is silent is named, and holds up nobody else.
    let [m2, w1] = ["m2", "w1"].map(|node| {
        let inspect = ["node", "inspect", "--format", "{{.ID}}", node];
        format!("all.{}", cluster.swarm("m1", &inspect).ok())
    });
    let used = both(&cluster, "m1", &["stats", "--format", "{{.Name}}", "all.m2", "all.w1"]);
    let used = Stream::start(used);
    let _ = used.until(&[&w1]);
    let followed = Stream::start(both(&cluster, "m1", &["service", "logs", "-f", "all"]));
    let _ = followed.until(&["from w1"]);
    let _ = cluster.dev(&["pause", "w1"]).ok();
    let silent = cluster.swarm("m1", &["service", "logs", "--raw", "all"]);
    assert!(silent.refusal().contains("node w1: "), "{silent}");
    assert_eq!(silent.stdout.lines().count(), NODES.len() - 1, "{silent}");
    let once = cluster.swarm("m3", &["stats", "--no-stream", "all.m2", "all.w1"]);
    assert!(once.refusal().contains("node w1") && once.stdout.contains(&m2), "{once}");
    let _ = used.until(&["node w1"]);
    let _ = used.until(&[&m2]);
    let _ = followed.until(&["logs of task", "node w1: "]);
    let said = inside(&cluster, "m2", "all.m3", "echo later >/proc/1/fd/1");
    assert_eq!(said.code, Some(0), "{said}");
    let _ = followed.until(&["@m3", "later"]);
    let _ = cluster.dev(&["resume", "w1"]).ok();
}

/// The manager that a worker has its session with: where its connection goes.
fn carrier(cluster: &Cluster) -> &'static str {
    let managers = ["m1", "m2", "m3"];
    let addresses = managers.map(|name| {
        let address = cluster.status(name)["Address"].as_str().unwrap_or_default().to_owned();
        let bytes: Vec<u8> = address.split('.').filter_map(|byte| byte.parse().ok()).collect();
        let bytes: [u8; 4] = bytes.try_into().unwrap();
        // As the kernel writes it: in the host's order, then the port 2377.
        format!("{:08X}:0949", u32::from_ne_bytes(bytes))
    });
    until("w1 has a session", || {
        let table = cluster.dev(&["exec", "w1", "--", "cat", "/proc/net/tcp"]);
        let is_open = |line: &&str| line.split_whitespace().nth(3) == Some("01");
        let to = table.stdout.lines().filter(is_open);
        let to: Vec<&str> = to.filter_map(|line| line.split_whitespace().nth(2)).collect();
        let found = managers.into_iter().zip(&addresses).find(|(_, it)| to.contains(&it.as_str()));
        found.map(|(name, _)| name).ok_or_else(|| table.to_string())
    })
}

/// Reads numbered lines on from the last one that was seen; none may be missing or come twice.
fn read_on(lines: &Stream, last: &mut u64, more: u64) {
    let wanted = *last + more;
    until(&format!("line {wanted}"), || {
        while let Some(line) = lines.next() {
            assert_eq!(line, format!("line {}", *last + 1));
            *last += 1;
            if *last == wanted {
                return Ok(());
            }
        }
        Err(format!("line {last}"))
    });
}

#[test]
fn logs_are_followed_from_one_manager_to_another() {
    let cluster = Cluster::of(3, 1);
    cluster.load_image();
    // About a thousand lines a second.
    let fast = "i=0; while :; do for j in 1 2 3 4 5 6 7 8 9 10; do i=$((i+1)); echo line $i; done; \
                usleep 8000; done";
    let place = ["--detach", "--constraint", "node.labels.go==yes"];
    let create = [&["service", "create", "--name", "fast"], &place[..]].concat();
    let _ = cluster.swarm("m1", &[&create[..], &["busybox:test", "sh", "-c", fast]].concat()).ok();

    // Nothing runs yet: it is waited for.
    let mut followers = ["m1", "m2", "m3"].map(|manager| {
        let waits = ["service", "logs", "-f", "--raw", "fast"];
        let task = ["logs", "-f", "--raw", "fast.1"];
        let line: &[&str] = if manager == "m2" { &task } else { &waits };
        (manager, Stream::start(both(&cluster, manager, line)), 0)
    });
    let _ = cluster.swarm("m1", &["node", "update", "--label-add", "go=yes", "w1"]).ok();
    for (_, lines, last) in &mut followers {
        read_on(lines, last, 3000);
    }

    let first = carrier(&cluster);
    let _ = cluster.dev(&["kill", first]).ok();
    let mut left = followers.into_iter().filter(|(name, _, _)| *name != first);
    let [mut one, mut other] = [left.next().unwrap(), left.next().unwrap()];
    for (_, lines, last) in [&mut one, &mut other] {
        read_on(lines, last, 5000);
    }
    let second = carrier(&cluster);
    assert_ne!(first, second);
    let _ = cluster.dev(&["start", first]).ok();
    until("three managers are there", || {
        let listed = cluster.swarm(first, &["node", "ls", "--format", "{{.ManagerStatus}}"]);
        let known = |line: &&str| ["Leader", "Reachable"].contains(line);
        let there = listed.stdout.lines().filter(known).count();
        if there == 3 { Ok(()) } else { Err(listed.to_string()) }
    });

    // And once more, by who is left.
    let (_, lines, last) = if one.0 == second { &mut other } else { &mut one };
    let _ = cluster.dev(&["kill", second]).ok();
    read_on(lines, last, 5000);
    assert_ne!(carrier(&cluster), second);
}

//! Autolock: a manager that was restarted waits for its key, and its tasks do not.

use std::io::Write;
use std::process::Stdio;

use node_test::{Node, Ran, until};

use crate::managers::join;
use crate::workers::founded;

/// Runs `swarm unlock` with the key as its input.
fn unlock(node: &Node, key: &str) -> Ran {
    let mut command = node.command(&["unlock"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{key}\n").as_bytes()).unwrap();
    Ran::new("swarm unlock".to_owned(), &child.wait_with_output().unwrap())
}

fn said(node: &Node, words: &[&str]) -> String {
    node.swarm(words).ok().to_owned()
}

/// What the store's keys on disk are under, or `clear`.
fn lock(node: &Node) -> String {
    let file = std::fs::read_to_string(node.dir().join("state/certificates/raft.key")).unwrap();
    let words: Vec<&str> = file.lines().nth(1).unwrap().split(' ').collect();
    words[2..words.len() - 1].join(" ")
}

/// Waits until the store needs no key any more but the one with that number.
fn has_only_key(node: &Node, number: u32) {
    let wanted = format!("key {number}");
    until(&format!("the store is under {wanted} alone"), || {
        let file = std::fs::read_to_string(node.dir().join("state/certificates/raft.key")).unwrap();
        let word = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let keys: Vec<_> =
            file.lines().filter(|line| line.contains(" wrapped ")).map(word).collect();
        if keys == [wanted.clone()] { Ok(()) } else { Err(format!("{keys:?}")) }
    });
}

/// Waits until the key file has followed the cluster away from `before`.
pub(crate) fn followed(node: &Node, before: &str) -> String {
    until("the key file follows", || match lock(node) {
        now if now == before => Err(now),
        now => Ok(now),
    })
}

fn state(node: &Node) -> String {
    said(node, &["info", "--format", "{{.Swarm.LocalNodeState}}"])
}

fn ready(node: &Node) {
    until("the node is ready", || match node.swarm(&["node", "ls"]) {
        ran if ran.code == Some(0) && ran.stdout.contains("Ready") => Ok(()),
        ran => Err(ran.to_string()),
    });
}

#[test]
fn a_restarted_manager_is_locked_until_the_right_key_and_its_tasks_run_on() {
    let node = Node::ready();
    let line = ["service", "create", "-d", "--name", "web", "--replicas", "2"];
    let command = ["--network", "host", "busybox:test", "sleep", "100000"];
    let _ = node.swarm(&[&line[..], &command].concat()).ok();
    let before = node.running("web", 2);
    let processes = node.processes();
    assert_eq!(lock(&node), "clear");
    assert!(node.swarm(&["unlock-key"]).stderr.contains("no unlock key is set"));

    let told = said(&node, &["update", "--autolock"]);
    let right = said(&node, &["unlock-key", "-q"]);
    assert!(told.starts_with("Swarm updated.\n") && told.contains(&format!("\n    {right}\n")));
    followed(&node, "clear");
    assert_eq!(unlock(&node, &right).stderr.trim(), "swarm is not locked");
    node.kill_daemon();
    node.start_daemon();

    assert_eq!(state(&node), "locked");
    let refused = node.swarm(&["service", "ls"]);
    assert!(refused.stderr.contains("Swarm is encrypted and needs to be unlocked"), "{refused}");
    assert!(node.swarm(&["leave"]).stderr.contains("--force"));
    let wrong = format!("SWMKEY-1-{}", "A".repeat(43));
    let refused = unlock(&node, &wrong);
    assert!(refused.code != Some(0) && refused.stderr.contains("invalid key"), "{refused}");
    assert!(unlock(&node, "secret").stderr.contains("invalid unlock key"));
    assert_eq!((state(&node), node.processes()), ("locked".to_owned(), processes.clone()));

    let unlocked = unlock(&node, &right);
    assert_eq!((unlocked.code, unlocked.stdout.as_str()), (Some(0), ""), "{unlocked}");
    ready(&node);
    assert_eq!(state(&node), "active");
    assert_eq!((node.running("web", 2), node.processes()), (before.clone(), processes.clone()));
    // It was killed while it sealed its store with another key than the one that lay there clear.
    has_only_key(&node, 2);
    node.kill_daemon();
    node.start_daemon();
    assert_eq!(unlock(&node, &right).code, Some(0));
    assert_eq!((node.running("web", 2), node.processes()), (before, processes));

    node.kill_daemon();
    node.start_daemon();
    // There is nobody who counts it.
    assert_eq!(node.swarm(&["leave", "--force"]).ok(), "Node left the swarm.");
}

#[test]
fn a_rotated_key_replaces_the_one_before_and_none_leaves_the_file_clear() {
    let node = Node::start();
    let told = said(&node, &["init", "--autolock"]);
    let first = said(&node, &["unlock-key", "-q"]);
    assert!(told.contains(&first), "{told}");
    let under = lock(&node);
    assert!(under.starts_with("wrapped "), "{under}");

    let second = said(&node, &["unlock-key", "--rotate", "-q"]);
    assert_ne!(first, second);
    let under = followed(&node, &under);
    node.kill_daemon();
    node.start_daemon();
    assert!(unlock(&node, &first).stderr.contains("invalid key"));
    assert_eq!(unlock(&node, &second).code, Some(0));
    ready(&node);
    has_only_key(&node, 2);

    let _ = node.swarm(&["update", "--autolock=false"]).ok();
    assert_eq!(followed(&node, &under), "clear");
    assert!(node.swarm(&["unlock-key", "--rotate"]).stderr.contains("autolock is not turned on"));
    node.kill_daemon();
    node.start_daemon();
    ready(&node);
    assert_eq!(state(&node), "active");
}

#[test]
fn a_manager_that_joins_later_is_under_the_same_key() {
    let (first, second) = founded();
    let _ = first.swarm(&["update", "--autolock"]).ok();
    let right = said(&first, &["unlock-key", "-q"]);

    let _ = join(&first, &second).ok();

    assert_eq!(followed(&second, "clear"), followed(&first, "clear"));
    assert_eq!(said(&second, &["unlock-key", "-q"]), right);
    second.kill_daemon();
    second.start_daemon();
    assert_eq!((state(&first).as_str(), state(&second).as_str()), ("active", "locked"));
    assert_eq!(unlock(&second, &right).code, Some(0));
    ready(&second);
    let _ = second.swarm(&["update", "--autolock=false"]).ok();
    for node in [&first, &second] {
        until("the key file is clear", || match lock(node).as_str() {
            "clear" => Ok(()),
            other => Err(other.to_owned()),
        });
    }
}

#[test]
fn settings_of_the_cluster_change_while_it_runs() {
    let node = Node::founded();

    let help = said(&node, &["update"]);
    assert!(help.contains("Usage: swarm update"), "{help}");
    let told = node.swarm(&["update", "--task-history-limit", "2", "--dispatcher-heartbeat", "3s"]);
    assert_eq!(told.ok(), "Swarm updated.");
    let _ = node.swarm(&["update", "--cert-expiry", "48h"]).ok();

    let info = said(&node, &["info"]);
    for line in [
        "  Task History Retention Limit: 2\n",
        "  Heartbeat Period: 3 seconds\n",
        "  Expiry Duration: 2 days\n",
        " Autolock Managers: false\n",
    ] {
        assert!(info.contains(line), "{info}");
    }
    let period = "{{.Swarm.Cluster.Spec.Dispatcher.HeartbeatPeriod}}";
    assert_eq!(said(&node, &["info", "--format", period]), "3000000000");
    let root = said(&node, &["ca"]);
    let kept = node.dir().join("state/certificates/swarm-root-ca.crt");
    assert_eq!(root.trim(), std::fs::read_to_string(kept).unwrap().trim());
    for (words, named) in [
        (["update", "--external-ca=protocol=cfssl,url=https://ca"], "--external-ca"),
        (["ca", "--rotate"], "--rotate"),
        (["init", "--listen-addr=127.0.0.1:2377"], "--listen-addr"),
        (["init", "--data-path-addr=eth0"], "--data-path-addr"),
        (["init", "--data-path-port=4789"], "--data-path-port"),
        (["init", "--default-addr-pool=10.20.0.0/16"], "--default-addr-pool"),
        (["init", "--default-addr-pool-mask-length=26"], "--default-addr-pool-mask-length"),
    ] {
        let refused = node.swarm(&words);
        assert!(refused.stderr.contains(&format!("not supported yet: {named}")), "{refused}");
    }
    for words in [["update", "--max-snapshots=3"], ["update", "--snapshot-interval=9"]] {
        let refused = node.swarm(&words);
        assert!(refused.stderr.contains("not supported: --"), "{refused}");
    }
    assert!(node.swarm(&["update", "--cert-expiry", "59m"]).stderr.contains("1h0m0s"));
}

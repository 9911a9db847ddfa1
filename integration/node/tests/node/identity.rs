//! Who a node is, over joins that are cut off.

use std::path::Path;
use std::process::Stdio;

use node_test::{Node, Ran, until};

use crate::workers::{founded, token};

/// Waits until the manager lists exactly these, all ready.
#[track_caller]
fn all_ready(manager: &Node, count: usize) {
    until(&format!("{count} nodes are ready"), || {
        let listed = manager.swarm(&["node", "ls", "--format", "{{.Status}}"]);
        let ready = listed.stdout.lines().filter(|line| *line == "Ready").count();
        let all = listed.stdout.lines().count();
        if (ready, all) == (count, count) { Ok(()) } else { Err(listed.to_string()) }
    });
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

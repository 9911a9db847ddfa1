//! Back to the spec before the last update, by both commands Docker has for it.

use node_test::{Node, until};

/// Waits until the one task of `web` has `value` in its environment.
#[track_caller]
fn environment_is(node: &Node, value: &str) {
    until(&format!("a task runs with {value}"), || {
        let rows = node.running("web", 1);
        let process = node.processes().into_iter().find(|(id, _)| *id == rows[0].id);
        let found = process.map(|(_, process)| process.environment()).unwrap_or_default();
        if found.iter().any(|it| it == value) { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

fn update_state(node: &Node) -> String {
    let template = "{{.UpdateStatus.State}}: {{.UpdateStatus.Message}}";
    node.swarm(&["service", "inspect", "-f", template, "web"]).ok().to_owned()
}

#[test]
fn a_rollback_brings_the_spec_before_back_and_again_forth() {
    let node = Node::ready();
    let line = ["service", "create", "-d", "--name", "web", "--network", "host", "--env", "A=1"];
    let rest = ["--update-monitor", "1s", "--rollback-monitor", "1s", "--stop-grace-period", "0s"];
    let image = ["busybox:test", "sleep", "100000"];
    let _ = node.swarm(&[&line[..], &rest, &image].concat()).ok();
    environment_is(&node, "A=1");

    let never = node.swarm(&["service", "rollback", "-d", "web"]);
    let mixed = node.swarm(&["service", "update", "--rollback", "--force", "web"]);
    assert!(never.refusal().contains("does not have a previous spec"), "{never}");
    assert!(mixed.refusal().contains("--rollback"), "{mixed}");

    let _ = node.swarm(&["service", "update", "-d", "--env-add", "A=2", "web"]).ok();
    environment_is(&node, "A=2");
    let back = node.swarm(&["service", "rollback", "web"]);
    assert!(back.ok() == "web" && back.stderr.contains("rollback"), "{back}");
    environment_is(&node, "A=1");
    until("the roll-back is over", || match update_state(&node) {
        state if state.starts_with("rollback_completed") => Ok(()),
        other => Err(other),
    });

    let forth = node.swarm(&["service", "update", "--rollback", "-d", "web"]);
    assert_eq!(forth.ok(), "web");
    environment_is(&node, "A=2");
}

//! When an ended task is replaced, and when it is not.

use node_test::{Node, Row};

fn create(node: &Node, flags: &[&str], script: &str) {
    let line = ["service", "create", "--detach", "--name", "web", "--network", "host"];
    let command = ["busybox:test", "sh", "-c", script];
    let _ = node.swarm(&[&line[..], &["--restart-delay", "0s"], flags, &command].concat()).ok();
}

/// Another service runs: whatever the manager had to decide before that is decided.
fn then_serve_another(node: &Node) {
    let line = ["service", "create", "-d", "--name", "next", "--network", "host"];
    let _ = node.swarm(&[&line[..], &["busybox:test", "sleep", "100000"]].concat()).ok();
    let _ = node.running("next", 1);
}

fn ids(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.id.as_str()).collect()
}

fn ended(rows: &[Row], count: usize) -> bool {
    rows.len() == count
        && rows.iter().all(|row| ["Complete", "Failed"].contains(&row.current.as_str()))
}

#[test]
fn a_killed_container_is_replaced_in_its_slot() {
    let node = Node::ready();
    create(&node, &["--replicas", "2"], "exec sleep 100000");
    let before = node.running("web", 2);

    node.process(&before[0].id).kill();

    let after = node.history_when("slot 1 runs again", "web", |rows| {
        rows.iter().filter(|row| row.runs()).count() == 2 && rows.len() == 3
    });
    let (new, old) = (&after[0], &after[1]);
    assert_eq!((new.name.as_str(), old.name.as_str()), ("web.1", "web.1"));
    assert_eq!(old.id, before[0].id);
    assert_eq!((old.current.as_str(), old.desired.as_str()), ("Failed", "Shutdown"));
    assert!(old.error.contains("non-zero exit (137)"), "{old:?}");
    assert_eq!(after[2], before[1]);
}

#[test]
fn nothing_is_replaced_with_condition_none() {
    let node = Node::ready();
    create(&node, &["--restart-condition", "none"], "exit 3");

    let rows = node.history_when("the task has failed", "web", |rows| ended(rows, 1));

    assert_eq!(rows[0].current, "Failed");
    assert!(rows[0].error.contains("non-zero exit (3)"), "{rows:?}");
    then_serve_another(&node);
    assert_eq!(ids(&node.history("web")), ids(&rows));
}

#[test]
fn only_failures_are_replaced_with_condition_on_failure() {
    let node = Node::ready();
    create(&node, &["--restart-condition", "on-failure", "--restart-max-attempts", "2"], "exit 1");

    let rows = node.history_when("all attempts have failed", "web", |rows| ended(rows, 3));

    assert!(rows.iter().all(|row| row.current == "Failed"), "{rows:?}");

    let _ = node.swarm(&["service", "rm", "web"]).ok();
    create(&node, &["--restart-condition", "on-failure"], "exit 0");
    let rows = node.history_when("the task is complete", "web", |rows| ended(rows, 1));
    assert_eq!(rows[0].current, "Complete");
    assert!(rows[0].error.is_empty(), "{rows:?}");
    then_serve_another(&node);
    assert_eq!(ids(&node.history("web")), ids(&rows));
}

#[test]
fn attempts_are_limited() {
    let node = Node::ready();
    create(&node, &["--restart-max-attempts", "3"], "exit 0");

    let rows = node.history_when("all attempts are used up", "web", |rows| ended(rows, 4));

    assert!(rows.iter().all(|row| row.name == "web.1"), "{rows:?}");
    then_serve_another(&node);
    assert_eq!(ids(&node.history("web")), ids(&rows));
}

//! Scaling up and down.

use node_test::{Node, until};

#[test]
fn scaling_down_removes_the_highest_slots_and_scaling_up_fills_them() {
    let node = Node::ready();
    let line = ["service", "create", "-d", "--name", "web", "--replicas", "5", "--network", "host"];
    let _ = node.swarm(&[&line[..], &["busybox:test", "sleep", "100000"]].concat()).ok();
    let before = node.running("web", 5);

    let _ = node.swarm(&["service", "scale", "web=2"]).ok();

    assert_eq!(node.running("web", 2), before[..2]);
    until("two containers are left", || match node.processes() {
        left if left.len() == 2 => Ok(()),
        left => Err(format!("{left:?}")),
    });

    let _ = node.swarm(&["service", "scale", "web=4"]).ok();

    let after = node.running("web", 4);
    assert_eq!(after[..2], before[..2]);
    assert_eq!([&after[2].name, &after[3].name], ["web.3", "web.4"]);
}

#[test]
fn several_services_are_scaled_by_one_line() {
    let node = Node::ready();
    for name in ["a", "b"] {
        let line = ["service", "create", "--detach", "--name", name, "--network", "host"];
        let _ = node.swarm(&[&line[..], &["busybox:test", "sleep", "100000"]].concat()).ok();
    }

    let scaled = node.swarm(&["service", "scale", "a=2", "b=0"]);

    assert_eq!(scaled.ok(), "a scaled to 2\nb scaled to 0");
    assert_eq!(node.running("a", 2).len(), 2);
    assert!(node.running("b", 0).is_empty());
    assert_eq!(node.processes().len(), 2);
}

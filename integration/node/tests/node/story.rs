//! What a user does first, line by line.

use node_test::{Node, until};
use serde_json::Value;
use testbed::Format;

/// Characters of an id.
const ID: usize = 25;

#[test]
fn from_nothing_to_a_service_and_back() {
    let node = Node::start();
    assert!(node.swarm(&["info"]).ok().contains("Swarm: inactive"));

    let founded = node.swarm(&["init"]);

    assert!(founded.ok().contains("is now a manager"), "{founded}");
    let info = node.swarm(&["info"]);
    for line in ["Swarm: active", " Is Manager: true", " Managers: 1", " Nodes: 1"] {
        assert!(info.ok().contains(line), "{line} in {info}");
    }
    let nodes = node.swarm(&["node", "ls"]);
    let [only] = nodes.rows()[..] else { panic!("{nodes}") };
    for word in [" * ", "Ready", "Active", "Leader"] {
        assert!(only.contains(word), "{word} in {only}");
    }

    load_and_list(&node);
    create_and_show(&node);

    let removed = node.swarm(&["service", "rm", "web"]);
    assert_eq!(removed.ok(), "web");
    assert!(node.swarm(&["service", "ls", "-q"]).ok().is_empty());
    until("the tasks are gone", || match node.swarm(&["ps", "-q"]).ok() {
        "" => Ok(()),
        left => Err(left.to_owned()),
    });
    until("the containers are gone", || match node.processes() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
}

fn load_and_list(node: &Node) {
    for format in [Format::DockerArchive, Format::Oci] {
        let loaded = node.swarm(&["image", "load", "-i", &node.archive(format)]);
        assert_eq!(loaded.ok(), "Loaded image: busybox:test", "{format:?}");
        let images = node.swarm(&["image", "ls"]);
        let [only] = images.rows()[..] else { panic!("{images}") };
        assert!(only.starts_with("busybox   ") && only.contains(" test "), "{only}");
    }
}

fn create_and_show(node: &Node) {
    let line = ["--replicas", "3", "--network", "host", "--env", "A=1", "--env", "B=two words"];
    let name = ["service", "create", "--name", "web"];
    let command = ["busybox:test", "sleep", "100000"];

    let created = node.swarm(&[&name[..], &line, &command].concat());

    assert_eq!(created.ok().len(), ID, "{created}");
    assert!(created.stderr.contains("3 out of 3"), "{created}");
    let services = node.swarm(&["service", "ls"]);
    let [only] = services.rows()[..] else { panic!("{services}") };
    for word in [&created.ok()[..12], "web", "replicated", "3/3", "busybox:test"] {
        assert!(only.contains(word), "{word} in {only}");
    }
    let names: Vec<String> = node.history("web").into_iter().map(|row| row.name).collect();
    assert_eq!(names, ["web.1", "web.2", "web.3"]);

    let inspected: Value =
        serde_json::from_str(node.swarm(&["service", "inspect", "web"]).ok()).unwrap();
    let container = &inspected[0]["Spec"]["TaskTemplate"]["ContainerSpec"];
    assert_eq!(inspected[0]["ID"], created.ok());
    assert_eq!(inspected[0]["Spec"]["Mode"]["Replicated"]["Replicas"], 3);
    assert_eq!(container["Args"], serde_json::json!(["sleep", "100000"]));
    assert_eq!(container["Env"], serde_json::json!(["A=1", "B=two words"]));

    assert_eq!(node.swarm(&["service", "scale", "web=5"]).ok(), "web scaled to 5");
    assert_eq!(node.running("web", 5).len(), 5);
    assert_eq!(node.swarm(&["ps"]).rows().len(), 5);
    assert_eq!(node.processes().len(), 5);
}

#[test]
fn programs_read_ids_and_json() {
    let node = Node::ready();
    let line = ["service", "create", "-q", "--name", "web", "--network", "host"];
    let created = node.swarm(&[&line[..], &["busybox:test", "sleep", "100000"]].concat());
    let service = created.ok();
    assert!(created.stderr.is_empty(), "{created}");

    for (command, id) in [
        (&["service", "ls"][..], Some(service)),
        (&["node", "ls"], None),
        (&["image", "ls"], None),
        (&["ps"], None),
        (&["service", "ps", "web"], None),
    ] {
        let quiet = node.swarm(&[command, &["-q"]].concat());
        let objects = node.swarm(&[command, &["--format", "json"]].concat()).objects();

        assert_eq!(quiet.ok().lines().count(), 1, "{quiet}");
        assert!(id.is_none_or(|id| id.starts_with(quiet.ok())), "{quiet}");
        let [only] = &objects[..] else { panic!("{objects:?}") };
        let shown = only["ID"].as_str().unwrap();
        assert!(quiet.ok().trim_start_matches("sha256:").starts_with(shown.trim_end_matches(" *")));
    }
    let info = node.swarm(&["info", "--format", "json"]).objects();
    assert_eq!(info[0]["Swarm"]["LocalNodeState"], "active");
    assert_eq!(info[0]["Swarm"]["ControlAvailable"], true);
    assert_eq!(node.swarm(&["service", "inspect", &service[..6]]).code, Some(0));
}

/// Reads that may be old need no leader and say how old they are.
#[test]
fn stale_reads_tell_their_age() {
    let node = Node::founded();

    let stale = node.swarm(&["service", "ls", "--stale"]);

    assert!(stale.ok().starts_with("ID"), "{stale}");
    assert!(stale.stderr.contains("log index"), "{stale}");
}

//! What a user does, in order.

use netns_test::{Cluster, Traces};
use node_test::program;
use serde_json::Value;

/// Fields of a row, by their fixed names.
const FIELDS: [&str; 10] = [
    "Address",
    "Containerd",
    "ContainerdPid",
    "CutOffFrom",
    "Name",
    "Netns",
    "Pid",
    "Role",
    "Socket",
    "State",
];

#[test]
fn a_cluster_is_made_used_and_removed_without_a_trace() {
    let cluster = Cluster::up(2);
    let nodes = cluster.dev(&["status", "--format", "json"]).objects();
    let _ = cluster.sleeper();
    let traces = Traces::of(&cluster);
    assert!(traces.files().iter().all(|file| file.exists()) && traces.files().len() >= 2);
    assert!(traces.left().len() > 10, "{:?}", traces.left());

    let columns = "NAME      ROLE      STATE     ADDRESS";
    assert!(cluster.dev(&["status"]).ok().starts_with(columns));
    assert_eq!(cluster.dev(&["status", "-q"]).ok(), "m1\nw1\nw2");
    for (node, (name, role)) in
        nodes.iter().zip([("m1", "manager"), ("w1", "worker"), ("w2", "worker")])
    {
        let fields: Vec<&str> = node.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, FIELDS);
        assert_eq!((&node["Name"], &node["Role"]), (&Value::from(name), &Value::from(role)));
        assert_eq!(node["State"], "running");
        assert!(node["Pid"].is_u64() && node["ContainerdPid"].is_u64());
        // The host reaches every node.
        let images = std::process::Command::new(program())
            .args(["image", "ls", "--socket", node["Socket"].as_str().unwrap()])
            .output()
            .unwrap();
        assert!(String::from_utf8_lossy(&images.stdout).contains("busybox"), "{images:?}");
    }
    let members = cluster.swarm("m1", &["node", "ls", "--format", "{{.Hostname}} {{.Status}}"]);
    assert_eq!(members.ok(), "m1 Ready\nw1 Ready\nw2 Ready");
    assert!(cluster.dev(&["logs", "m1"]).ok().contains(" INFO "));
    assert!(cluster.dev(&["logs", "m1", "--containerd"]).ok().contains("containerd"));

    let _ = cluster.dev(&["down"]).ok();

    assert_eq!(traces.left(), Vec::<String>::new());
    assert!(cluster.dev(&["down"]).stderr.contains("there is no cluster"));
}

#[test]
fn a_command_runs_in_its_node_and_its_code_is_passed_on() {
    let cluster = Cluster::up(1);
    let node = cluster.status("w1");

    let said = "hostname; echo $SWARM_SOCKET; echo $CONTAINERD_ADDRESS; readlink /proc/self/ns/net";
    let ran = cluster.dev(&["exec", "w1", "--", "sh", "-c", said]);
    let lines: Vec<&str> = ran.ok().lines().collect();

    assert_eq!(lines[0], "w1");
    assert_eq!(lines[1], node["Socket"]);
    assert_eq!(lines[2], node["Containerd"]);
    let here = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert_ne!(lines[3], here.to_str().unwrap());
    assert_eq!(cluster.dev(&["exec", "w1", "sh", "-c", "exit 7"]).code, Some(7));
    assert_eq!(cluster.dev(&["exec", "w1", "--", "no-such-command"]).code, Some(127));
    assert_eq!(cluster.dev(&["exec", "w1", "--", "/etc"]).code, Some(126));
    assert!(cluster.swarm("m1", &["node", "ls"]).ok().contains("m1"));
    // It would kill or stop itself, and hold the cluster's lock meanwhile.
    for command in [["pause", "w1"].as_slice(), &["down"]] {
        let within = [&["dev", "--name", cluster.name()], command].concat();
        let ran = cluster.swarm("w1", &within);
        assert!(ran.refusal().contains("leave it first"), "{ran}");
    }
}

#[test]
fn up_again_is_nothing_new_and_another_shape_is_refused() {
    let cluster = Cluster::up(1);
    let before = cluster.dev(&["status", "--format", "json"]).objects();

    let again = cluster.dev(&["up", "--workers", "1", "--format", "json"]).objects();

    assert_eq!(again, before);
    let refusal = cluster.dev(&["up", "--workers", "2"]);
    assert!(refusal.refusal().contains("1 manager and 1 worker"), "{refusal}");
    assert!(refusal.refusal().contains(&format!("swarm dev down --name {}", cluster.name())));
    let absent = cluster.dev(&["image", "load", "/nowhere/web.tar"]);
    assert_eq!(absent.refusal().matches("/nowhere/web.tar").count(), 1, "{absent}");
}

/// They would not form another cluster than the one they are in.
#[test]
fn up_says_when_the_managers_are_locked() {
    let cluster = Cluster::up(0);
    let _ = cluster.swarm("m1", &["update", "--autolock"]).ok();
    let _ = cluster.dev(&["kill", "m1"]).ok();

    let ran = cluster.dev(&["up", "--workers", "0"]);

    let advice = format!("swarm dev exec --name {} m1 -- swarm unlock", cluster.name());
    for word in ["m1 is locked", &advice] {
        assert!(ran.refusal().contains(word), "{ran}");
    }
}

#[test]
fn what_cannot_be_is_refused_by_name_and_makes_nothing() {
    let cluster = Cluster::named();

    let refused = |arguments: &[&str], what: &str| {
        let ran = cluster.dev(arguments);
        assert!(ran.refusal().contains(what), "{ran}");
        assert_eq!(Traces::of(&cluster).left(), Vec::<String>::new());
    };
    refused(&["up", "--managers", "10"], "1 to 9 managers");
    refused(&["up", "--managers", "0"], "1 to 9 managers");
    refused(&["up", "--workers", "101"], "up to 100 workers");
    refused(&["up", "--name", "../x"], "is no name of a cluster");
    let ran = cluster.command(&["up"]).env("PATH", "/nowhere").output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success() && said.contains("install the package containerd"), "{said}");
    refused(&["status"], "there is no cluster");
    refused(&["kill", "m1"], "there is no cluster");
    refused(&["exec", "m1", "true"], "there is no cluster");
}

#[test]
fn two_clusters_live_side_by_side() {
    let (one, other) = (Cluster::up(0), Cluster::up(0));
    assert_ne!(one.status("m1")["Address"], other.status("m1")["Address"]);
    let traces = Traces::of(&one);

    let _ = one.dev(&["down"]).ok();

    assert_eq!(traces.left(), Vec::<String>::new());
    assert!(other.swarm("m1", &["node", "ls"]).ok().contains("Ready"));
    let refusal = other.dev(&["kill", "w1"]);
    assert!(refusal.refusal().contains("has no node w1: there are m1"), "{refusal}");
}

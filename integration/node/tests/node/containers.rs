//! What a container gets of its service's spec, as the kernel and containerd see it.

use std::path::Path;

use node_test::{Node, until};

#[test]
fn a_row_of_failed_health_checks_is_logged_once() {
    let node = Node::ready();
    let probe = "test ! -e /sick || { echo once >>/sick; exit 1; }";
    let often = ["--health-interval", "50ms", "--health-start-interval", "50ms"];
    let flags = ["--network", "host", "--health-cmd", probe, "--health-retries", "100000"];
    node.serve("web", &[&flags[..], &often].concat(), &["sleep", "100000"]);
    let _ = node.running("web", 1);

    let _ = node.inside("web.1", "touch /sick").ok();
    until("it was probed often", || match node.inside("web.1", "wc -l </sick").ok().trim() {
        count if count.parse::<u32>().is_ok_and(|count| count >= 5) => Ok(()),
        count => Err(count.to_owned()),
    });
    let _ = node.inside("web.1", "rm /sick").ok();
    let said = until("it is well again", || {
        let log = node.log();
        let lines: Vec<_> = log.lines().filter(|line| line.contains("health check")).collect();
        let told = lines.iter().any(|line| line.contains("passes again"));
        told.then(|| lines.join("\n")).ok_or(log)
    });

    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(said.contains("health check fails"), "{said}");
}

#[test]
fn a_container_is_what_the_service_asked_for() {
    let node = Node::ready();
    let line = [
        "service",
        "create",
        "-d",
        "--name",
        "web",
        "--network",
        "host",
        "--env",
        "A=1",
        "--env",
        "WORDS=two words",
        "--workdir",
        "/tmp",
        "--user",
        "nobody:nogroup",
        "--label",
        "of=service",
        "--container-label",
        "of=container",
        "busybox:test",
        "sleep",
        "100000",
    ];
    let _ = node.swarm(&line).ok();
    let rows = node.running("web", 1);
    let process = node.process(&rows[0].id);

    assert_eq!(process.arguments(), ["sleep", "100000"]);
    let environment = process.environment();
    for variable in ["A=1", "WORDS=two words"] {
        assert!(environment.iter().any(|it| it == variable), "{variable} in {environment:?}");
    }
    assert!(environment.iter().any(|it| it.starts_with("PATH=")), "{environment:?}");
    assert_eq!(process.directory(), Path::new("/tmp"));
    assert_eq!(process.user(), ("65534".to_owned(), "65534".to_owned()));

    let labels = node.labels(&rows[0].id);
    assert_eq!(labels["of"], "container");
    assert_eq!(labels["com.docker.swarm.service.name"], "web");
    assert_eq!(labels["com.docker.swarm.task.id"], rows[0].id);
}

#[test]
fn limits_are_those_of_the_cgroup() {
    let node = Node::ready();
    let limits = ["--limit-memory", "64M", "--limit-cpu", "0.5", "--limit-pids", "40"];
    let line = ["service", "create", "-d", "--name", "web", "--network", "host"];
    let command = ["busybox:test", "sleep", "100000"];
    let _ = node.swarm(&[&line[..], &limits, &command].concat()).ok();
    let process = node.process(&node.running("web", 1)[0].id);

    let memory = process.limit(&["memory.max", "memory.limit_in_bytes"]);
    let pids = process.limit(&["pids.max"]);
    let cpu = process.limit(&["cpu.max", "cpu.cfs_quota_us"]);

    assert_eq!(memory.as_deref().map(str::trim), Some("67108864"));
    assert_eq!(pids.as_deref().map(str::trim), Some("40"));
    let quota = cpu.as_deref().and_then(|text| text.split_whitespace().next());
    assert_eq!(quota, Some("50000"));
}

/// The host's network is the one the node is in.
#[test]
fn a_task_shares_the_network_of_its_node() {
    let node = Node::ready();
    let line = ["service", "create", "-d", "--name", "web", "--network", "host"];
    let _ = node.swarm(&[&line[..], &["busybox:test", "sleep", "100000"]].concat()).ok();
    let process = node.process(&node.running("web", 1)[0].id);

    let network = |pid: String| std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();

    assert_eq!(network(process.0.to_string()), network(node.pid().to_string()));
}

/// A grace period bounds how long a container that ignores its signal stays.
#[test]
fn a_container_that_ignores_its_stop_signal_is_killed() {
    let node = Node::ready();
    let line = ["service", "create", "-d", "--name", "deaf", "--network", "host"];
    let grace = ["--stop-grace-period", "1s", "--stop-signal", "SIGUSR1"];
    let deaf = ["busybox:test", "sh", "-c", "trap '' USR1 TERM; while :; do sleep 1; done"];
    let _ = node.swarm(&[&line[..], &grace, &deaf].concat()).ok();
    let process = node.process(&node.running("deaf", 1)[0].id);

    let _ = node.swarm(&["service", "scale", "deaf=0"]).ok();

    assert!(!process.lives());
    assert!(node.processes().is_empty());
}

//! The daemon and its host: what it lacks, what is left of it, and starts that fail half-way.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use node_test::{Node, Process, Ran};

/// A cgroup of this test alone: the default one belongs to all of them.
fn cgroup() -> String {
    format!("/swarm-test-{}", std::process::id())
}

fn daemon(node: &Node, arguments: &[&str]) -> Ran {
    let mut command = node.daemon_command();
    command.args(arguments);
    node.run_daemon(command)
}

#[test]
fn a_check_says_what_is_there_and_how_to_mend_what_is_not() {
    let node = Node::start();

    let whole = daemon(&node, &["--check"]);
    let mut elsewhere = Command::new(node.daemon_command().get_program());
    elsewhere.args(["daemon", "--check", "--containerd", "/nowhere.sock"]);
    elsewhere.args(["--run-dir", "/proc/version/swarm"]).arg("--state-dir").arg(node.dir());
    elsewhere.env("PATH", "/nowhere");
    let broken = node.run_daemon(elsewhere);

    for word in ["containerd 1.", "runc 1.", "state directory", "kernel"] {
        assert!(whole.ok().contains(word), "{word}: {whole}");
    }
    assert_eq!(broken.code, Some(1), "{broken}");
    for word in ["/nowhere.sock", "--containerd", "missing  runc", "--run-dir", "fix: "] {
        assert!(broken.stdout.contains(word), "{word}: {broken}");
    }
    assert!(broken.stderr.contains("of the above"), "{broken}");
}

#[test]
fn a_purge_leaves_nothing_and_spares_a_running_daemon() {
    let cgroup = cgroup();
    let node = Node::ready_with(&["--cgroup-parent", &cgroup]);
    let line = ["service", "create", "-d", "--name", "web", "--replicas", "2"];
    let mount = ["--mount", "type=volume,source=data,target=/data", "busybox:test"];
    let _ = node.swarm(&[&line[..], &mount, &["sleep", "100000"]].concat()).ok();
    let _ = node.running("web", 2);
    let processes: Vec<Process> = node.processes().into_iter().map(|(_, it)| it).collect();
    assert!(in_netns(&node, "ip", &["link"]).contains("swarm0"));

    let refused = daemon(&node, &["--purge"]);
    assert!(refused.refusal().contains("runs here already"), "{refused}");
    assert!(processes.iter().all(|it| it.lives()));
    assert!(node.stop_daemon().success());
    let purged = daemon(&node, &["--purge"]);

    for word in ["container ", "volume data", "image docker.io/library/busybox:test", "swarm0"] {
        assert!(purged.ok().contains(word), "{word}: {purged}");
    }
    assert_eq!(processes.len(), 2);
    assert!(!processes.iter().any(|it| it.lives()));
    for left in ["state", "run"] {
        assert!(!node.dir().join(left).exists(), "{left}: {purged}");
    }
    let links = in_netns(&node, "ip", &["link"]);
    assert!(!links.contains("swarm0") && !links.contains("sw"), "{links}");
    let namespaces = in_netns(&node, "ctr", &["-a", &socket(&node), "namespaces", "ls", "-q"]);
    assert_eq!(namespaces.trim(), "");
    assert!(!fs::exists(format!("/sys/fs/cgroup/memory{cgroup}")).unwrap());
    assert!(!fs::exists(format!("/sys/fs/cgroup{cgroup}")).unwrap());
    assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&text(&node)));

    let again = daemon(&node, &["--purge"]);
    assert!(again.ok().starts_with("nothing to remove"), "{again}");
    assert!(!again.stderr.contains("WARN"), "{again}");
    assert!(!node.dir().join("state").exists());
    node.start_daemon();
    let _ = node.swarm(&["init"]).ok();
}

fn text(node: &Node) -> String {
    node.dir().join("state").display().to_string()
}

fn socket(node: &Node) -> String {
    node.dir().join("c/c.sock").display().to_string()
}

#[track_caller]
fn in_netns(node: &Node, program: &str, arguments: &[&str]) -> String {
    let output = node.netns().run(|| Command::new(program).args(arguments).output()).unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What stands where a directory should be: a start fails there and nowhere else.
#[test]
fn a_founding_that_fails_half_way_holds_nothing_and_is_carried_on() {
    for (what, founded) in [("net", false), ("worker", true)] {
        let node = Node::start();
        let place = node.dir().join("state").join(what);
        fs::write(&place, "in the way").unwrap();

        let refused = node.swarm(&["init"]);
        let again = node.swarm(&["init"]);

        assert!(refused.refusal().contains(what), "{refused}");
        assert_eq!(again.refusal(), refused.refusal());
        assert_eq!(node.dir().join("state/node.toml").exists(), founded, "{what}");
        assert!(node.swarm(&["info"]).ok().contains("Swarm: inactive"));
        let port = node.netns().run(|| TcpListener::bind("127.0.0.1:2377").map(drop));
        assert!(port.is_ok(), "{port:?}");
        assert!(!node.log().contains("ERROR"), "{}", node.log());

        fs::remove_file(&place).unwrap();
        let _ = node.swarm(&["init"]).ok();
        assert_eq!(node.swarm(&["node", "ls"]).rows().len(), 1);
    }
}

#[test]
fn a_start_that_fails_half_way_says_why_and_nothing_else() {
    let node = Node::founded();
    assert!(node.stop_daemon().success());
    let place = node.dir().join("state/worker");
    let kept = node.dir().join("kept");
    fs::rename(&place, &kept).unwrap();
    fs::write(&place, "in the way").unwrap();
    let before = node.log().len();

    let refused = node.try_start_daemon().unwrap_err();

    assert!(refused.refusal().contains("worker"), "{refused}");
    assert!(!node.log()[before..].contains("ERROR"), "{}", node.log());
    fs::remove_file(&place).unwrap();
    fs::rename(&kept, &place).unwrap();
    node.start_daemon();
}

#[test]
fn settings_of_later_versions_and_odd_subnets_are_refused_by_name() {
    let node = Node::start();
    for (flag, value) in [
        ("--docker-socket", "/run/docker.sock"),
        ("--data-path-addr", "10.0.0.1"),
        ("--data-path-port", "4789"),
        ("--gateway-subnet", "10.9.0.1/24"),
    ] {
        let ran = daemon(&node, &[flag, value]);
        assert!(ran.refusal().contains(flag), "{ran}");
    }
}

#[test]
fn an_unknown_setting_is_answered_by_those_there_are() {
    let node = Node::start();
    let file = node.dir().join("daemon.toml");
    let refused = |text: &str| {
        fs::write(&file, text).unwrap();
        daemon(&node, &["--config", file.to_str().unwrap()])
    };

    let unknown = refused("stat_dir = \"/a\"");
    let later = refused("data_path_port = 4789");

    assert!(unknown.refusal().contains("gateway_subnet"), "{unknown}");
    assert!(!unknown.refusal().contains("data_path"), "{unknown}");
    assert!(later.refusal().contains("not supported yet: --data-path-port"), "{later}");
}

#[test]
fn an_interface_nobody_else_reaches_is_not_advertised() {
    let node = Node::start();

    let loopback = node.swarm(&["init", "--advertise-addr", "lo"]);

    assert!(loopback.refusal().contains("interface lo has no address that others"), "{loopback}");
    assert!(node.swarm(&["info"]).ok().contains("Swarm: inactive"));
}

#[test]
fn the_bridge_has_the_subnet_that_was_named_and_sighup_ends_nothing() {
    let node = Node::start_with(&["--gateway-subnet", "10.9.0.0/20"]);
    let _ = node.swarm(&["init"]).ok();

    let pid = i32::try_from(node.pid()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGHUP)
        .unwrap();
    node_test::until("the signal is noticed", || {
        if node.log().contains("SIGHUP") { Ok(()) } else { Err(node.log()) }
    });

    assert!(in_netns(&node, "ip", &["-4", "addr"]).contains("10.9.0.1/20"));
    assert_eq!(node.swarm(&["node", "ls"]).rows().len(), 1);
}

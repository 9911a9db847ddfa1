//! What tasks wrote, and commands beside them.

use std::io::Write;
use std::process::Stdio;

use node_test::{Node, Stream, until};

/// Writes three lines, the second to its errors, then one for each line of a file.
const SPEAKER: [&str; 3] =
    ["sh", "-c", "echo one; echo two >&2; echo three; touch /say; exec tail -n +1 -f /say"];

fn logs(node: &Node, flags: &[&str]) -> node_test::Ran {
    node.swarm(&[&["service", "logs"], flags, &["web"]].concat())
}

#[test]
fn logs_are_labelled_cut_and_followed() {
    let node = Node::ready();
    node.serve("web", &["--replicas", "2"], &SPEAKER);
    let _ = node.running("web", 2);
    until("both spoke", || match logs(&node, &["--raw"]) {
        ran if ran.ok().lines().count() == 4 && ran.stderr.lines().count() == 2 => Ok(()),
        ran => Err(ran.to_string()),
    });

    let all = logs(&node, &[]);
    assert!(all.ok().lines().all(|line| line.starts_with("web.") && line.contains(" | ")), "{all}");
    let timed = logs(&node, &["-t", "--since", "5m", "--no-task-ids"]);
    let line = timed.ok().lines().next().unwrap();
    let (at, rest) = line.split_once(' ').unwrap();
    assert!(at.starts_with("20") && at.ends_with('Z') && rest.starts_with("web."), "{timed}");
    assert!(logs(&node, &["--since", "2099-01-01"]).ok().is_empty());
    assert!(logs(&node, &["--until", "2001-01-01"]).ok().is_empty());

    let followed = Stream::start(node.command(&["service", "logs", "-f", "--tail", "0", "web"]));
    let single = Stream::start(node.command(&["logs", "-f", "--raw", "web.2"]));
    let _ = single.until(&["three"]);
    let _ = node.inside("web.2", "echo later >> /say").ok();
    assert!(followed.until(&["later"]).starts_with("web.2."));
    assert_eq!(single.until(&["later"]), "later");
    assert_eq!(node.swarm(&["logs", "--tail", "1", "--raw", "web.2"]).ok(), "later");
    // Tasks that start later are followed too, however much the others write.
    let chat = "while :; do echo chat > /proc/1/fd/1; usleep 100000; done";
    let _ = node.swarm(&["exec", "--detach", "web.1", "sh", "-c", chat]).ok();
    let _ = followed.until(&["web.1.", "chat"]);
    assert_eq!(node.swarm(&["service", "scale", "-d", "web=3"]).code, Some(0));
    let _ = followed.until(&["web.3.", "three"]);

    // Nothing more can come.
    assert_eq!(node.swarm(&["service", "rm", "web"]).code, Some(0));
    for stream in [followed, single] {
        assert_eq!(stream.ended().code(), Some(0));
    }
}

/// The daemon is not what takes the lines.
#[test]
fn lines_written_while_the_daemon_is_dead_are_there() {
    let node = Node::ready();
    node.serve(
        "web",
        &[],
        &["sh", "-c", "for i in $(seq 100000); do echo line $i; sleep 0.01; done"],
    );
    let row = node.running("web", 1)[0].clone();

    node.kill_daemon();
    node.start_daemon();
    assert_eq!(node.running("web", 1)[0], row);
    let lines = until("the lines go on", || {
        let ran = logs(&node, &["--raw"]);
        let lines: Vec<String> = ran.stdout.lines().map(str::to_owned).collect();
        if lines.len() > 100 { Ok(lines) } else { Err(ran.to_string()) }
    });

    for (at, line) in lines.iter().enumerate() {
        assert_eq!(*line, format!("line {}", at + 1));
    }
}

#[test]
fn commands_end_with_their_code() {
    let node = Node::ready();
    node.serve("web", &["--user", "nobody"], &["sleep", "100000"]);
    let _ = node.running("web", 1);

    let ended = node.inside("web.1", "echo out; echo err >&2; exit 7");
    assert_eq!(
        (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
        (Some(7), "out\n", "err\n")
    );
    let killed = node.inside("web.1", "kill -9 $$");
    assert_eq!(killed.code, Some(137), "{killed}");
    let missing = node.swarm(&["exec", "web.1", "no-such-command"]);
    assert_eq!(missing.code, Some(127), "{missing}");
    let directory = node.swarm(&["exec", "web.1", "/etc"]);
    assert_eq!(directory.code, Some(126), "{directory}");
    let other = node.swarm(&[
        "exec",
        "-u",
        "0",
        "-e",
        "A=b",
        "-w",
        "/etc",
        "web.1",
        "sh",
        "-c",
        "id -u; echo $A; pwd",
    ]);
    assert_eq!(other.ok(), "0\nb\n/etc");
    let nobody = node.swarm(&["exec", "web.9", "true"]);
    assert!(nobody.refusal().contains("web.9"), "{nobody}");

    let mut command = node.command(&["exec", "-i", "web.1", "sh", "-c", "cat; exit 3"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut fed = command.spawn().unwrap();
    fed.stdin.take().unwrap().write_all(b"some input\n").unwrap();
    let fed = fed.wait_with_output().unwrap();
    assert_eq!((fed.status.code(), &fed.stdout[..]), (Some(3), &b"some input\n"[..]));
}

/// `script` gives the command the terminal that a user has.
#[test]
fn a_command_has_a_terminal() {
    let node = Node::ready();
    node.serve("web", &[], &["sleep", "100000"]);
    let _ = node.running("web", 1);
    let plain = node.command(&["exec", "-it", "web.1", "sh"]);
    let line = format!("stty rows 33 cols 77; {} exec -it web.1 sh", plain.get_program().display());
    let mut command = std::process::Command::new("script");
    command.args(["-q", "-e", "-c", &line, "/dev/null"]).env("SWARM_SOCKET", node.socket());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = command.spawn().unwrap();

    let mut keys = shell.stdin.take().unwrap();
    keys.write_all(b"tty; stty size; exit 5\n").unwrap();
    let ended = shell.wait_with_output().unwrap();
    drop(keys);

    let shown = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.status.code(), Some(5), "{shown}");
    assert!(shown.contains("/dev/pts/") && shown.contains("33 77"), "{shown}");
    let refused = node.swarm(&["exec", "-it", "web.1", "sh"]);
    assert!(refused.refusal().contains("TTY"), "{refused}");
}

//! Commands beside a container's process.

use std::time::Duration;

use swarm_runtime::{
    Error, Exec, ExecConfig, ExecEvent, ProbeEnd, Rights, Signal, Stdin, Terminal, TerminalSize,
};
use tokio::time::{Instant, sleep, timeout};

use crate::world::{PATIENCE, World};

fn sh(script: &str) -> ExecConfig {
    ExecConfig { args: ["/bin/sh", "-c", script].map(String::from).into(), ..ExecConfig::default() }
}

/// A container that runs, named `host`.
async fn world() -> World {
    host(World::with_busybox().await).await
}

async fn host(world: World) -> World {
    world.shell("host", "trap 'exit 0' TERM; echo up; while :; do sleep 1; done").await;
    world.runtime.start("host").await.unwrap();
    world
}

/// Output, error output and exit code.
async fn rest(mut exec: Exec) -> (String, String, Result<u32, Error>) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = timeout(PATIENCE, async {
        loop {
            match exec.next().await {
                Ok(ExecEvent::Stdout(bytes)) => out.extend_from_slice(&bytes),
                Ok(ExecEvent::Stderr(bytes)) => err.extend_from_slice(&bytes),
                Ok(ExecEvent::Exit(code)) => return Ok(code),
                Err(failure) => return Err(failure),
            }
        }
    });
    let code = code.await.expect("the command does not end");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(out), text(err), code)
}

async fn run(world: &World, config: &ExecConfig) -> (String, String, u32) {
    let exec = world.runtime.exec("host", config).await.unwrap();
    let (out, err, code) = rest(exec).await;
    (out, err, code.unwrap())
}

/// Waits until no FIFO of a command is left, nor a process in the container but its own.
async fn cleaned(world: &World, marker: &str) {
    let deadline = Instant::now() + PATIENCE;
    let left = || world.options.exec_dir.join("host").exists() || runs(marker);
    while left() {
        assert!(Instant::now() < deadline, "a command is left behind");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for the shell to become the command that has `marker` among its arguments.
async fn began(marker: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !runs(marker) {
        assert!(Instant::now() < deadline, "it never ran");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process has `marker` among its arguments.
fn runs(marker: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.any(|line| line.split(|byte| *byte == 0).any(|word| word == marker.as_bytes()))
}

#[tokio::test]
async fn a_command_tells_its_output_and_its_code() {
    let world = world().await;

    assert_eq!(
        run(&world, &sh("echo out; echo err >&2; exit 7")).await,
        ("out\n".into(), "err\n".into(), 7)
    );
    assert_eq!(run(&world, &sh("kill -9 $$")).await.2, 137);
    let own = ExecConfig {
        user: "nobody".into(),
        dir: "/etc".into(),
        env: vec!["A=x".into()],
        ..sh("id -u; pwd; echo $A; grep CapEff /proc/self/status | cut -f2")
    };
    assert_eq!(run(&world, &own).await.0, "65534\n/etc\nx\n0000000000000000\n");
    let mighty = ExecConfig { rights: Rights::All, ..sh("grep CapEff /proc/self/status") };
    assert_ne!(
        run(&world, &mighty).await.0,
        run(&world, &sh("grep CapEff /proc/self/status")).await.0
    );
    cleaned(&world, "nothing").await;
}

#[tokio::test]
async fn what_cannot_be_run_is_told_apart() {
    let world = world().await;
    let code = async |program: &str| {
        let config = ExecConfig { args: vec![program.into()], ..ExecConfig::default() };
        match world.runtime.exec("host", &config).await {
            Err(Error::NotExecuted { code, .. }) => code,
            other => panic!("{other:?}"),
        }
    };

    assert_eq!(code("no-such-program").await, 127);
    assert_eq!(code("/no/such/program").await, 127);
    assert_eq!(code("/etc").await, 126);
    let missing = world.runtime.exec("nobody", &sh("true")).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    world.shell("made", "true").await;
    let made = world.runtime.exec("made", &sh("true")).await;
    assert!(matches!(made, Err(Error::NoProcess { .. })), "{made:?}");
    cleaned(&world, "nothing").await;
}

#[tokio::test]
async fn input_is_passed_on_and_ends() {
    let world = world().await;
    let config = ExecConfig { stdin: Stdin::Piped, ..sh("cat; echo end") };
    let mut exec = world.runtime.exec("host", &config).await.unwrap();
    let mut input = exec.take_input().unwrap();
    let much = "0123456789abcde\n".repeat(64 << 10);

    let (given, read) = tokio::join!(
        async {
            input.write(much.as_bytes()).await?;
            input.close().await
        },
        rest(exec)
    );

    given.unwrap();
    assert_eq!(read.2.unwrap(), 0);
    assert!(read.0 == format!("{much}end\n"), "{} bytes", read.0.len());
    // Without input, its end is there at once.
    assert_eq!(run(&world, &sh("cat; echo end")).await.0, "end\n");
}

#[tokio::test]
async fn a_terminal_has_a_size_that_changes() {
    let world = world().await;
    let size = TerminalSize { rows: 31, columns: 91 };
    let terminal = Terminal::Of(Some(size));
    // The first size comes a moment after the start and is a change too.
    let script = "tty >/dev/null && until stty size | grep '31 91'; do sleep 0.05; done; \
        trap 'stty size; exit 4' WINCH; echo trap; while :; do sleep 0.05; done";
    let config = ExecConfig { terminal, stdin: Stdin::Piped, ..sh(script) };
    let mut exec = world.runtime.exec("host", &config).await.unwrap();
    let mut first = String::new();
    while !first.contains("trap") {
        let next = timeout(PATIENCE, exec.next()).await.unwrap().unwrap();
        let ExecEvent::Stdout(next) = next else { panic!("{next:?} after {first:?}") };
        first.push_str(&String::from_utf8_lossy(&next));
    }

    exec.control().resize(TerminalSize { rows: 12, columns: 34 }).await.unwrap();

    let (out, _, code) = rest(exec).await;
    assert!(first.contains("31 91"), "{first:?}");
    assert!(out.contains("12 34"), "{out:?}");
    assert_eq!(code.unwrap(), 4);
}

#[tokio::test]
async fn a_command_that_is_not_read_waits_and_loses_nothing() {
    let world = world().await;
    let script = "head -c 20000000 /dev/zero; echo >/written";
    let mut exec = world.runtime.exec("host", &sh(script)).await.unwrap();
    let first = timeout(PATIENCE, exec.next()).await.unwrap().unwrap();
    let ExecEvent::Stdout(first) = first else { panic!("{first:?}") };
    assert_eq!(run(&world, &sh("test -e /written")).await.2, 1);

    let (out, _, code) = rest(exec).await;

    assert_eq!(first.len() + out.len(), 20_000_000);
    assert_eq!(code.unwrap(), 0);
}

#[tokio::test]
async fn a_dropped_command_ends_and_leaves_nothing() {
    let world = world().await;
    let exec = world.runtime.exec("host", &sh("exec sleep 4711")).await.unwrap();
    let control = exec.control();
    began("4711").await;
    drop(exec);
    cleaned(&world, "4711").await;
    control.signal(Signal::TERM).await.unwrap();

    // Given up anywhere on the way.
    for late in (0..60).step_by(10) {
        let begun = async {
            let exec = world.runtime.exec("host", &sh("exec sleep 4712")).await.unwrap();
            rest(exec).await
        };
        let _ = timeout(Duration::from_millis(late), begun).await;
    }
    cleaned(&world, "4712").await;
    assert_eq!(run(&world, &sh("sleep 4713 & echo left")).await.0, "left\n");
}

#[tokio::test]
async fn a_signal_reaches_the_command_alone() {
    let world = world().await;
    let script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let mut exec = world.runtime.exec("host", &sh(script)).await.unwrap();
    let ready = timeout(PATIENCE, exec.next()).await.unwrap().unwrap();
    assert_eq!(ready, ExecEvent::Stdout("ready\n".into()));

    exec.control().signal(Signal::TERM).await.unwrap();

    assert_eq!(rest(exec).await.2.unwrap(), 9);
    assert_eq!(run(&world, &sh("true")).await.2, 0);
}

#[tokio::test]
async fn a_command_outlives_containerd() {
    let mut world = host(World::alone().await).await;
    let script = "read line; echo got $line; exit 5";
    let config = ExecConfig { stdin: Stdin::Piped, ..sh(script) };
    let mut exec = world.runtime.exec("host", &config).await.unwrap();
    let mut input = exec.take_input().unwrap();

    world.tenant.containerd_mut().restart();
    input.write(b"it\n").await.unwrap();

    let (out, _, code) = rest(exec).await;
    assert_eq!((out.as_str(), code.unwrap()), ("got it\n", 5));
}

#[tokio::test]
async fn a_command_ends_with_its_container() {
    let world = world().await;
    let exec = world.runtime.exec("host", &sh("exec sleep 4721")).await.unwrap();
    let other = world.runtime.exec("host", &sh("exec sleep 4722")).await.unwrap();

    let ended = tokio::spawn(rest(exec));
    world.runtime.kill("host", Signal::KILL).await.unwrap();
    assert_eq!(ended.await.unwrap().2.unwrap(), 137);
    let removed = world.runtime.remove("host");
    let (removed, other) = tokio::join!(removed, rest(other));
    removed.unwrap();
    assert!(matches!(other.2, Ok(137) | Err(Error::NoProcess { .. })), "{other:?}");
    cleaned(&world, "4722").await;
}

#[tokio::test]
async fn what_a_killed_daemon_left_is_ended_by_the_next() {
    let world = world().await;
    let exec = world.runtime.exec("host", &sh("exec sleep 4731")).await.unwrap();
    std::mem::forget(exec);
    began("4731").await;

    let next = swarm_runtime::Runtime::connect(world.options.clone()).await.unwrap();

    cleaned(&world, "4731").await;
    next.remove("host").await.unwrap();
}

#[tokio::test]
async fn a_probe_is_bounded_in_time_and_output() {
    let world = world().await;
    let probe = async |script: &str, patience: Duration| {
        world.runtime.probe("host", &sh(script), patience).await.unwrap()
    };

    let well = probe("echo fine", PATIENCE).await;
    assert_eq!((well.end, &well.output[..]), (ProbeEnd::Exited(0), &b"fine\n"[..]));
    let long = probe("head -c 1000000 /dev/zero; exit 1", PATIENCE).await;
    assert_eq!((long.end, long.output.len()), (ProbeEnd::Exited(1), 4096));
    let late = probe("echo begun; exec sleep 4741", Duration::from_millis(300)).await;
    assert_eq!((late.end, &late.output[..]), (ProbeEnd::TimedOut, &b"begun\n"[..]));
    cleaned(&world, "4741").await;
    let config = ExecConfig { args: vec!["nothing".into()], ..ExecConfig::default() };
    let missing = world.runtime.probe("host", &config, PATIENCE).await.unwrap();
    assert_eq!(missing.end, ProbeEnd::Exited(127));
}

//! What containers write, through containerd and a writer of its own.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use swarm_runtime::{
    ContainerConfig, Error, Follow, Log, LogLine, LogQuery, LogReader, LogStream, Runtime, Status,
    Streams,
};
use tokio::time::{Instant, sleep, timeout};

use crate::world::{PATIENCE, World, log_writer, shell};

const FOLLOW: LogQuery = LogQuery {
    follow: Follow::UntilEnd,
    streams: Streams::Both,
    tail: None,
    since: None,
    until: None,
    after: None,
};

async fn rest(mut reader: LogReader) -> Vec<LogLine> {
    let mut all = Vec::new();
    let read = async {
        while let Some(lines) = reader.next().await.unwrap() {
            all.extend(lines);
        }
    };
    timeout(PATIENCE, read).await.expect("the log does not end");
    all
}

/// Bytes of a stream, with the newlines between lines put back.
fn bytes(lines: &[LogLine], stream: LogStream) -> Vec<u8> {
    let mut all = Vec::new();
    for line in lines.iter().filter(|line| line.stream == stream) {
        all.extend_from_slice(&line.data);
        all.extend((!line.partial).then_some(b'\n'));
    }
    all
}

/// The process that writes the output of a container.
pub(crate) fn writer(dir: &Path) -> Option<i32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.find(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        words.get(1) == Some(&&b"log-writer"[..])
            && words.get(2) == Some(&dir.as_os_str().as_encoded_bytes())
    })
}

#[tokio::test]
async fn a_follower_reads_all_and_ends_with_the_container() {
    let world = World::with_busybox().await;
    let script = "echo one; echo two >&2; sleep 0.3; echo three; printf end";
    world.shell("talks", script).await;
    let before = world.runtime.logs("talks", &FOLLOW).await.unwrap();
    world.runtime.start("talks").await.unwrap();
    let during = world.runtime.logs("talks", &FOLLOW).await.unwrap();

    let read = tokio::join!(rest(before), rest(during));

    for lines in [&read.0, &read.1] {
        assert_eq!(bytes(lines, LogStream::Stderr), b"two\n");
        // Without a newline, it may yet go on.
        assert_eq!(bytes(lines, LogStream::Stdout), b"one\nthree\nend");
    }
    let stderr = LogQuery { streams: Streams::Stderr, ..LogQuery::default() };
    let lines = rest(world.runtime.logs("talks", &stderr).await.unwrap()).await;
    assert_eq!(lines.len(), 1);
    world.runtime.remove("talks").await.unwrap();
    assert!(!world.output_path("talks").exists());
    let gone = world.runtime.logs("talks", &FOLLOW).await;
    assert!(matches!(gone, Err(Error::NoLogs { .. })), "{gone:?}");
}

#[tokio::test]
async fn any_bytes_and_lines_of_a_megabyte_come_back() {
    let world = World::with_busybox().await;
    let script = "head -c 1048576 /dev/zero | tr '\\0' x; echo; head -c 200000 /dev/urandom >/r; \
        cat /r; echo; md5sum </r";
    world.shell("odd", script).await;
    world.runtime.start("odd").await.unwrap();

    let lines = rest(world.runtime.logs("odd", &FOLLOW).await.unwrap()).await;

    let all = bytes(&lines, LogStream::Stdout);
    assert!(all[..1 << 20].iter().all(|byte| *byte == b'x'));
    assert_eq!(all[1 << 20], b'\n');
    let random = (1 << 20) + 1;
    let told = String::from_utf8(all[random + 200_001..].to_vec()).unwrap();
    fs::write(world.dir().join("r"), &all[random..random + 200_000]).unwrap();
    let sum = std::process::Command::new("md5sum").arg(world.dir().join("r")).output().unwrap();
    assert_eq!(told.split(' ').next(), String::from_utf8_lossy(&sum.stdout).split(' ').next());
    assert!(lines.iter().all(|line| line.data.len() <= 16 << 10));
}

#[tokio::test]
async fn no_line_is_lost_over_restarts_of_containerd() {
    let mut world = World::alone().await;
    let script = "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); \
        [ $((i % 100)) = 0 ] && sleep 0.02; done; sleep 600";
    world.shell("steady", script).await;
    world.runtime.start("steady").await.unwrap();
    let mut reader = world.runtime.logs("steady", &FOLLOW).await.unwrap();
    let before = writer(&world.output_path("steady")).unwrap();
    // Neither is it stopped by what stops services.
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        kill(Pid::from_raw(before), signal).unwrap();
    }

    let mut lines = Vec::new();
    for _ in 0..2 {
        world.tenant.containerd_mut().restart();
        lines.extend(reader.next().await.unwrap().unwrap());
    }
    while lines.len() < 3000 {
        lines.extend(timeout(PATIENCE, reader.next()).await.unwrap().unwrap().unwrap());
    }

    let expected: Vec<String> = (0..3000).map(|number| number.to_string()).collect();
    let got: Vec<String> =
        lines.iter().map(|line| String::from_utf8_lossy(&line.data).into_owned()).collect();
    assert!(got == expected);
    assert_eq!(writer(&world.output_path("steady")), Some(before));
    // The reader ends with the container although containerd was away meanwhile.
    let end = async {
        while world.runtime.kill("steady", swarm_runtime::Signal::KILL).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, end).await.unwrap();
    assert!(rest(reader).await.is_empty());
}

/// Nothing can take its place, since nobody else has the other end of the pipe.
#[tokio::test]
async fn a_container_whose_writer_is_killed_fails_to_write_and_does_not_hang() {
    let world = World::with_busybox().await;
    let script = "trap '' PIPE; while echo line 2>/dev/null; do sleep 0.01; done; exit 7";
    world.shell("broken", script).await;
    world.runtime.start("broken").await.unwrap();
    world.output_with("broken", "line").await;

    let writer = Pid::from_raw(writer(&world.output_path("broken")).unwrap());
    kill(writer, Signal::SIGKILL).unwrap();

    let exit = timeout(PATIENCE, world.runtime.wait("broken")).await.expect("it hangs");
    assert_eq!(exit.unwrap().code, 7);
}

/// The shim waits for its end with locks held, also when a process whose start was cut off holds
/// the output.
#[test]
fn a_writer_ends_when_its_shim_asks_and_for_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = |name: &str| {
        let path = dir.path().join(name);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::File::options().read(true).write(true).open(path).unwrap()
    };
    let (mut held, _error) = (pipe("out"), pipe("err"));
    let kept = || {
        let files = fs::read_dir(dir.path().join("log")).into_iter().flatten().flatten();
        let kept: Vec<u8> = files.flat_map(|file| fs::read(file.path()).unwrap()).collect();
        String::from_utf8_lossy(&kept).into_owned()
    };
    let until = |what: &str, mut done: Box<dyn FnMut() -> bool + '_>| {
        let deadline = std::time::Instant::now() + PATIENCE;
        while !done() {
            assert!(std::time::Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    fs::create_dir(dir.path().join("log")).unwrap();
    let line = "exec 3<out 4<err 5>ready; exec \"$0\" log-writer log";
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", line]).arg(log_writer()).current_dir(dir.path());
    let mut child = shell.spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();

    held.write_all(b"first\n").unwrap();
    until("the writer writes", Box::new(|| kept().contains("first")));
    let stranger = std::process::Command::new("sh").args(["-c", &format!("kill {pid}")]).status();
    assert!(stranger.unwrap().success());
    held.write_all(b"second\n").unwrap();
    until("the writer writes on", Box::new(|| kept().contains("second")));
    held.write_all(b"rest").unwrap();
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    until("the writer ends", Box::new(|| child.try_wait().unwrap().is_some()));

    assert!(kept().contains("rest"), "{}", kept());
}

#[tokio::test]
async fn a_removed_container_takes_its_writer_and_log_along() {
    let world = World::with_busybox().await;
    world.shell("short", "echo hello; sleep 600").await;
    world.runtime.start("short").await.unwrap();
    world.output_with("short", "hello").await;
    let dir = world.output_path("short");
    let pid = writer(&dir).unwrap();
    let small = memory(pid);
    let mut reader = world.runtime.logs("short", &FOLLOW).await.unwrap();
    assert_eq!(reader.next().await.unwrap().unwrap().len(), 1);

    world.runtime.remove("short").await.unwrap();

    assert!(rest(reader).await.is_empty());
    assert!(!dir.exists());
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(small <= 2048, "the writer takes {small} KiB");
}

/// Proportional share of memory, in KiB.
fn memory(pid: i32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    pss.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A runtime whose logs are on a file system of one megabyte.
struct Small {
    runtime: Runtime,
    dir: PathBuf,
}

impl Small {
    async fn new(world: &World) -> Self {
        let dir = world.dir().join("small");
        fs::create_dir(&dir).unwrap();
        let none = None::<&str>;
        nix::mount::mount(none, &dir, Some("tmpfs"), nix::mount::MsFlags::empty(), Some("size=1m"))
            .unwrap();
        let options = swarm_runtime::Options { log_dir: dir.clone(), ..world.options.clone() };
        Self { runtime: Runtime::connect(options).await.unwrap(), dir }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.dir, nix::mount::MntFlags::MNT_DETACH);
    }
}

#[tokio::test]
async fn a_full_disk_drops_lines_and_says_how_many() {
    let world = World::with_busybox().await;
    let small = Small::new(&world).await;
    let ballast = small.dir.join("ballast");
    fs::write(&ballast, vec![0; 900 << 10]).unwrap();
    let go = "while [ ! -e /go ]; do sleep 0.05; done";
    let script = format!(
        "i=0; while [ $i -lt 5000 ]; do echo 0123456789012345678901234567890123456789 $i; \
        i=$((i+1)); done; echo written >/state; {go}; echo after"
    );
    small.runtime.create(&shell("full", &script)).await.unwrap();
    let pid = small.runtime.start("full").await.unwrap();
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let deadline = Instant::now() + PATIENCE;
    while !root.join("state").exists() {
        assert!(Instant::now() < deadline, "a full disk holds the container up");
        sleep(Duration::from_millis(10)).await;
    }
    // Until the log writer has taken all of it, and so has met the full disk.
    let pipe = fs::File::options().write(true).open(format!("/proc/{pid}/fd/1")).unwrap();
    while rustix::io::ioctl_fionread(&pipe).unwrap() > 0 {
        assert!(Instant::now() < deadline, "the log writer does not read");
        sleep(Duration::from_millis(10)).await;
    }
    drop(pipe);

    fs::remove_file(ballast).unwrap();
    fs::write(root.join("go"), "").unwrap();
    let lines = rest(small.runtime.logs("full", &FOLLOW).await.unwrap()).await;

    let text = |line: &LogLine| String::from_utf8(line.data.clone()).unwrap();
    let kept = lines.iter().take_while(|line| line.stream == LogStream::Stdout).count();
    assert!((500..4900).contains(&kept), "{kept}");
    for (number, line) in lines.iter().take(kept).enumerate() {
        assert!(text(line).ends_with(&format!(" {number}")), "{}", text(line));
    }
    // Whatever was dropped is counted, and what came later is there.
    let dropped: usize = lines
        .iter()
        .filter(|line| line.stream == LogStream::Stderr)
        .map(|line| text(line).split(' ').nth(1).unwrap().parse::<usize>().unwrap())
        .sum();
    let written = lines.iter().filter(|line| line.stream == LogStream::Stdout).count();
    assert_eq!(dropped + written, 5001);
    assert_eq!(text(lines.last().unwrap()), "after");
    small.runtime.remove("full").await.unwrap();
    assert_eq!(fs::read_dir(&small.dir).unwrap().count(), 0);
}

#[tokio::test]
async fn much_output_does_not_hold_the_container_up() {
    let world = World::with_busybox().await;
    let log = Log::Files { max_bytes: 4 << 20, max_files: 3 };
    let script = "head -c 104857600 /dev/zero | tr '\\0' x | fold -w 99; echo; echo done";
    let config = ContainerConfig { log, ..shell("loud", script) };
    world.runtime.create(&config).await.unwrap();
    world.runtime.start("loud").await.unwrap();

    let lines = rest(world.runtime.logs("loud", &FOLLOW).await.unwrap()).await;

    assert_eq!(lines.last().unwrap().data, b"done");
    let kept: u64 = fs::read_dir(world.output_path("loud"))
        .unwrap()
        .flatten()
        .map(|entry| entry.metadata().unwrap().len())
        .sum();
    assert!(kept <= (12 << 20) + (64 << 10), "{kept}");
    assert!(matches!(world.status("loud").await, Some(Status::Stopped(exit)) if exit.code == 0));
}

#[tokio::test]
async fn output_that_is_not_kept_is_refused_by_name() {
    let world = World::with_busybox().await;
    let config = ContainerConfig { log: Log::None, ..shell("mute", "echo hello; exit 3") };
    world.runtime.create(&config).await.unwrap();
    world.runtime.start("mute").await.unwrap();

    assert_eq!(world.runtime.wait("mute").await.unwrap().code, 3);
    let read = world.runtime.logs("mute", &LogQuery::default()).await;
    assert!(matches!(read, Err(Error::NoLogs { .. })), "{read:?}");
}

//! A daemon with its containerd.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use testbed::{Containerd, Format, Layers};

use crate::{Netns, Ran, until};

/// Where the logs of failed tests are kept, a directory each.
const KEPT: &str = "/var/tmp/swarm-node-test";
/// Lines of the daemon's log that a failed test shows.
const SHOWN: usize = 60;

/// One node. Dropping it ends everything it started.
#[derive(Debug)]
pub struct Node {
    program: PathBuf,
    /// Further words of the daemon's command line.
    arguments: Vec<String>,
    netns: Netns,
    // Declared before the directory they live in: ended first.
    daemon: Mutex<Option<Child>>,
    containerd: Mutex<Containerd>,
    dir: TempDir,
}

impl Node {
    /// Starts containerd and a daemon that is part of no cluster.
    ///
    /// # Panics
    ///
    /// When one of them does not come up.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`Node::start`], with further words on the daemon's command line.
    ///
    /// # Panics
    ///
    /// As [`Node::start`].
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("sn").tempdir_in("/var/tmp");
        let dir = dir.unwrap_or_else(|why| panic!("make a directory: {why}"));
        let below = dir.path().join("c");
        fs::create_dir(&below).unwrap_or_else(|why| panic!("make {below:?}: {why}"));
        let netns = Netns::new();
        // Tasks on the host's network get containerd's: it lives beside the daemon.
        let containerd = Mutex::new(netns.run(|| Containerd::start(&below)));
        let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
        let daemon = Mutex::new(None);
        let node = Self { program: program(), arguments, netns, daemon, containerd, dir };
        node.start_daemon();
        node
    }

    /// As [`Node::start`], founds a cluster too.
    ///
    /// # Panics
    ///
    /// As [`Node::start`], and when the cluster cannot be founded.
    #[must_use]
    pub fn founded() -> Self {
        let node = Self::start();
        let _ = node.swarm(&["init"]).ok();
        node
    }

    /// As [`Node::founded`], with the image `busybox:test`.
    ///
    /// # Panics
    ///
    /// As [`Node::founded`], and when the image cannot be loaded.
    #[must_use]
    pub fn ready() -> Self {
        Self::ready_with(&[])
    }

    /// As [`Node::ready`], with further words on the daemon's command line.
    ///
    /// # Panics
    ///
    /// As [`Node::ready`].
    #[must_use]
    pub fn ready_with(arguments: &[&str]) -> Self {
        let node = Self::start_with(arguments);
        let _ = node.swarm(&["init"]).ok();
        let archive = node.archive(Format::DockerArchive);
        let _ = node.swarm(&["image", "load", "-i", &archive]).ok();
        node
    }

    /// Its directory: `state`, `run`, `daemon.log`, and `c` for containerd's things.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The daemon's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir().join("run/swarm.sock")
    }

    /// The network the node is in.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Kills containerd and starts it again; containers live on.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn restart_containerd(&self) {
        let containerd = &self.containerd;
        self.netns.run(|| match containerd.lock() {
            Ok(mut containerd) => containerd.restart(),
            Err(_) => panic!("an earlier restart failed"),
        });
    }

    /// The archive of `busybox:test`, as a path.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    #[must_use]
    pub fn archive(&self, format: Format) -> String {
        let path = self.dir().join(format!("{format:?}.tar"));
        let archive = testbed::busybox_archive(format, Layers::Plain);
        fs::write(&path, archive).unwrap_or_else(|why| panic!("write {path:?}: {why}"));
        path.display().to_string()
    }

    /// Runs a command against the daemon and waits for its end. Logins to registries are those
    /// of `docker/config.json` in the node's directory.
    ///
    /// # Panics
    ///
    /// When the program is not there.
    #[track_caller]
    pub fn swarm(&self, arguments: &[&str]) -> Ran {
        let output =
            self.command(arguments).output().unwrap_or_else(|why| panic!("run swarm: {why}"));
        Ran::new(format!("swarm {}", arguments.join(" ")), &output)
    }

    /// A command against the daemon, not started; it has no input.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("SWARM_SOCKET", self.socket()).stdin(Stdio::null());
        command.env("DOCKER_CONFIG", self.dir().join("docker"));
        command
    }

    /// A daemon's command line with this node's directories; not started.
    #[must_use]
    pub fn daemon_command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("daemon").arg("--state-dir").arg(self.dir().join("state"));
        command.arg("--run-dir").arg(self.dir().join("run"));
        command.arg("--containerd").arg(self.dir().join("c/c.sock"));
        if !self.arguments.iter().any(|word| word == "--listen-addr") {
            command.args(["--listen-addr", "127.0.0.1:2377"]);
        }
        command.args(&self.arguments);
        command.stdin(Stdio::null());
        if self.clock().exists() {
            // Beside the program, where the build puts it.
            let library = self.program.with_file_name("libclock.so");
            assert!(library.exists(), "{} is missing: cargo build -p clock", library.display());
            command.env("LD_PRELOAD", library);
            command.env("SWARM_TEST_CLOCK", self.clock());
        }
        command
    }

    /// How far the daemon's wall clock is ahead of the host's. One that runs follows at once if it
    /// was started with a clock of its own.
    ///
    /// # Panics
    ///
    /// When it cannot be told.
    #[track_caller]
    pub fn set_clock(&self, ahead: Duration) {
        let seconds = i64::try_from(ahead.as_secs()).unwrap_or(i64::MAX);
        // Written in place: it is mapped.
        let file = File::options().write(true).create(true).truncate(false).open(self.clock());
        let written = file.and_then(|file| file.write_all_at(&seconds.to_ne_bytes(), 0));
        written.unwrap_or_else(|why| panic!("set the clock: {why}"));
    }

    fn clock(&self) -> PathBuf {
        self.dir().join("clock")
    }

    /// Runs another daemon inside this node's network to its end.
    ///
    /// # Panics
    ///
    /// When it does not end in time.
    #[track_caller]
    #[must_use]
    pub fn run_daemon(&self, command: Command) -> Ran {
        let mut command = command;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let line = format!("{command:?}");
        let mut child = self.spawn(&mut command);
        until("the daemon ends", || match child.try_wait() {
            Ok(Some(_)) => Ok(()),
            other => Err(format!("{other:?}\n{}", self.log())),
        });
        let output = child.wait_with_output().unwrap_or_else(|why| panic!("wait: {why}"));
        Ran::new(line, &output)
    }

    /// Starts the daemon and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[track_caller]
    pub fn start_daemon(&self) {
        if let Err(ended) = self.try_start_daemon() {
            panic!("the daemon ended: {ended}");
        }
    }

    /// Starts the daemon and waits until it answers, or ends.
    ///
    /// # Errors
    ///
    /// How it ended and what it wrote.
    ///
    /// # Panics
    ///
    /// When it does neither in time.
    #[track_caller]
    pub fn try_start_daemon(&self) -> Result<(), Ran> {
        let log = File::options().create(true).append(true).open(self.dir().join("daemon.log"));
        let log = log.unwrap_or_else(|why| panic!("open the log: {why}"));
        let before = self.log().len();
        let mut command = self.daemon_command();
        command.stdout(Stdio::null()).stderr(log);
        let mut child = self.spawn(&mut command);
        let ended = until("the daemon answers", || match child.try_wait() {
            Ok(Some(status)) => Ok(Some(status)),
            _ => match UnixStream::connect(self.socket()) {
                Ok(_) => Ok(None),
                Err(why) => Err(format!("{why}\n{}", self.log())),
            },
        });
        let Some(status) = ended else {
            *self.child() = Some(child);
            return Ok(());
        };
        let stderr = self.log().split_off(before).into_bytes();
        Err(Ran::new(format!("{command:?}"), &Output { status, stdout: Vec::new(), stderr }))
    }

    /// The daemon's process.
    ///
    /// # Panics
    ///
    /// When it does not run.
    #[track_caller]
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child().as_ref().map_or_else(|| panic!("no daemon"), Child::id)
    }

    /// containerd's process.
    ///
    /// # Panics
    ///
    /// When an earlier restart of it failed.
    #[track_caller]
    #[must_use]
    pub fn containerd_pid(&self) -> u32 {
        self.containerd.lock().map_or_else(|_| panic!("no containerd"), |it| it.pid())
    }

    /// Ends the daemon by SIGKILL.
    #[track_caller]
    pub fn kill_daemon(&self) {
        let mut child = self.take();
        child.kill().and_then(|()| child.wait()).unwrap_or_else(|why| panic!("kill: {why}"));
    }

    /// Asks the daemon to end, by SIGTERM, and returns how it did.
    ///
    /// # Panics
    ///
    /// When it does not end in time.
    #[track_caller]
    pub fn stop_daemon(&self) -> ExitStatus {
        let mut child = self.take();
        let pid = i32::try_from(child.id()).unwrap_or_default();
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap_or_else(|why| panic!("stop: {why}"));
        until("the daemon ends", || match child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}\n{}", self.log())),
        })
    }

    /// Replaces the state directory by what [`Node::save_state`] kept. The daemon must not run.
    ///
    /// # Panics
    ///
    /// When it cannot be copied.
    #[track_caller]
    pub fn restore_state(&self) {
        fs::remove_dir_all(self.dir().join("state")).unwrap_or_else(|why| panic!("{why}"));
        self.copy("saved", "state");
    }

    /// Keeps a copy of the state directory. The daemon must not run.
    ///
    /// # Panics
    ///
    /// When it cannot be copied.
    #[track_caller]
    pub fn save_state(&self) {
        self.copy("state", "saved");
    }

    #[track_caller]
    fn copy(&self, from: &str, to: &str) {
        let (from, to) = (self.dir().join(from), self.dir().join(to));
        let copied = Command::new("cp").arg("--archive").args([from, to]).status();
        assert!(copied.is_ok_and(|status| status.success()), "copy the state directory");
    }

    /// The daemon's log so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir().join("daemon.log")).unwrap_or_default()
    }

    fn spawn(&self, command: &mut Command) -> Child {
        let child = self.netns.run(|| command.spawn());
        child.unwrap_or_else(|why| panic!("start {}: {why}", self.program.display()))
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.daemon.lock().unwrap_or_else(|_| panic!("poisoned"))
    }

    #[track_caller]
    fn take(&self) -> Child {
        self.child().take().unwrap_or_else(|| panic!("no daemon"))
    }

    /// Keeps the logs and shows the end of the daemon's.
    fn report(&self) {
        let test = thread::current().name().unwrap_or("main").replace("::", "-");
        let kept = Path::new(KEPT).join(test);
        let _ = fs::create_dir_all(&kept);
        for (from, to) in [("daemon.log", "daemon.log"), ("c/log", "containerd.log")] {
            let _ = fs::copy(self.dir().join(from), kept.join(to));
        }
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
        #[expect(clippy::print_stderr, reason = "a failed test says what happened")]
        {
            eprintln!("--- end of the daemon's log, kept in {} ---\n{end}", kept.display());
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if thread::panicking() {
            self.report();
        }
        let daemon = self.daemon.get_mut().ok().and_then(Option::take);
        if let Some(mut daemon) = daemon {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        // What a killed daemon leaves mounted would keep the directory.
        testbed::unmount_below(&self.dir().join("run"));
    }
}

/// The program, built beside the test: `target/debug/deps/node-...` runs `target/debug/swarm`.
///
/// # Panics
///
/// When it is not there.
#[must_use]
pub fn program() -> PathBuf {
    let this = std::env::current_exe().unwrap_or_else(|why| panic!("find this program: {why}"));
    let beside =
        this.ancestors().skip(1).find(|dir| !dir.ends_with("deps") && !dir.ends_with("examples"));
    let beside = beside.unwrap_or(Path::new("."));
    let program = beside.join("swarm");
    assert!(program.exists(), "{} is missing: cargo build --package swarm", program.display());
    program
}

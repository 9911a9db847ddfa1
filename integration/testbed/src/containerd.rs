//! A private containerd.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const START: Duration = Duration::from_secs(20);
const STOP: Duration = Duration::from_secs(10);

/// A running daemon with everything in one directory.
#[derive(Debug)]
pub struct Containerd {
    dir: PathBuf,
    child: Child,
}

impl Containerd {
    /// Starts a daemon in `dir`, which exists, is empty or was used before, and has a short path
    /// (sockets allow 107 bytes). Returns when it accepts connections.
    ///
    /// # Panics
    ///
    /// When it does not within 20 s; the message ends with its log.
    #[must_use]
    pub fn start(dir: &Path) -> Self {
        let config = dir.join("config.toml");
        fs::write(&config, config_text(dir))
            .unwrap_or_else(|why| panic!("write {config:?}: {why}"));
        let daemon = Self { dir: dir.to_owned(), child: spawn(dir) };
        daemon.await_socket();
        daemon
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.join("c.sock")
    }

    /// Where its runc keeps state, for containers not to mix with the host's.
    #[must_use]
    pub fn runc_root(&self) -> PathBuf {
        self.dir.join("runc")
    }

    /// A cgroup parent of its own, absolute within each hierarchy; removed with the daemon.
    #[must_use]
    pub fn cgroup_parent(&self) -> String {
        let name: String = self.dir.to_string_lossy().replace(['/', '.'], "-");
        format!("/swarm-test{name}")
    }

    /// The directories of a cgroup below [`Containerd::cgroup_parent`] that exist, in whatever
    /// hierarchies this host has. An empty name means the parent itself.
    #[must_use]
    pub fn cgroups(&self, name: &str) -> Vec<PathBuf> {
        let below = format!("{}/{name}", self.cgroup_parent());
        let below = below.trim_matches('/');
        let root = PathBuf::from("/sys/fs/cgroup");
        let hierarchies = fs::read_dir(&root).into_iter().flatten().flatten();
        let roots = hierarchies.map(|entry| entry.path()).chain([root.clone()]);
        roots.map(|root| root.join(below)).filter(|dir| dir.is_dir()).collect()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the daemon, SIGKILL, and starts it again on the same state. Containers live on.
    ///
    /// # Panics
    ///
    /// As [`Containerd::start`].
    pub fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(self.socket());
        self.child = spawn(&self.dir);
        self.await_socket();
    }

    /// As [`Containerd::restart`], with the processes of all containers and their shims killed
    /// and the state of a boot forgotten, as when the machine restarts.
    ///
    /// # Panics
    ///
    /// As [`Containerd::start`].
    pub fn reboot(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.end_shims(None);
        unmount_below(&self.dir);
        for state in ["state", "runc", "c.sock"] {
            let path = self.dir.join(state);
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        }
        self.child = spawn(&self.dir);
        self.await_socket();
    }

    /// Kills the first processes of containers still there, then their shims, known by bundle:
    /// those of a namespace, or all.
    pub(crate) fn end_shims(&self, namespace: Option<&str>) {
        let socket = self.socket().display().to_string();
        for (pid, arguments) in processes() {
            let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
            let shim = arguments.first().is_some_and(|it| it.ends_with("containerd-shim-runc-v2"));
            if !shim || !has(&socket) || !namespace.is_none_or(has) {
                continue;
            }
            for child in children(pid) {
                let _ = kill(Pid::from_raw(child), Signal::SIGKILL);
            }
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }

    fn await_socket(&self) {
        let deadline = Instant::now() + START;
        while UnixStream::connect(self.socket()).is_err() {
            if Instant::now() > deadline {
                let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                panic!("containerd does not come up:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn stop(&mut self) {
        self.end_shims(None);
        let pid = i32::try_from(self.child.id()).map(Pid::from_raw);
        let asked = pid.is_ok_and(|pid| kill(pid, Signal::SIGTERM).is_ok());
        let deadline = Instant::now() + STOP;
        while asked && Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        self.stop();
        unmount_below(&self.dir);
        let deadline = Instant::now() + STOP;
        // Killed processes leave their cgroup a moment after their parent.
        while Instant::now() < deadline && !self.cgroups("").is_empty() {
            self.cgroups("").iter().for_each(|cgroup| remove_cgroup(cgroup));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn spawn(dir: &Path) -> Child {
    let log = File::options().create(true).append(true).open(dir.join("log"));
    let log = log.unwrap_or_else(|why| panic!("open the log: {why}"));
    let mut command = Command::new("containerd");
    command.arg("--config").arg(dir.join("config.toml"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().unwrap_or_else(|why| panic!("start containerd: {why}"))
}

fn config_text(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        r#"version = 2
root = "{dir}/root"
state = "{dir}/state"
disabled_plugins = [
  "io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]
[plugins."io.containerd.metadata.v1.bolt"]
content_sharing_policy = "isolated"
[grpc]
address = "{dir}/c.sock"
[ttrpc]
address = "{dir}/t.sock"
"#
    )
}

fn remove_cgroup(dir: &Path) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for below in entries.map(|entry| entry.path()).filter(|path| path.is_dir()) {
        remove_cgroup(&below);
    }
    let _ = fs::remove_dir(dir);
}

fn processes() -> Vec<(i32, Vec<String>)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let command = |pid: i32| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        Some((pid, line.split('\0').map(String::from).collect()))
    };
    pids.filter_map(command).collect()
}

fn children(pid: i32) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let stat = |child: &i32| {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
        stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse::<i32>().ok()
    };
    match list {
        Ok(list) if !list.is_empty() => {
            list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
        }
        _ => {
            let all = processes().into_iter().map(|(child, _)| child);
            all.filter(|child| stat(child) == Some(pid)).collect()
        }
    }
}

/// Unmounts all below a directory, as what was killed left it: it could not be removed.
pub fn unmount_below(dir: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let below = |point: &&str| Path::new(point).starts_with(dir) && Path::new(point) != dir;
    for point in points.filter(below) {
        let _ = nix::mount::umount2(point, nix::mount::MntFlags::MNT_DETACH);
    }
}

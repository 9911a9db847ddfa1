//! A cluster of this machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use node_test::{Ran, program, until};
use serde_json::Value;
use testbed::{Format, Layers};

use crate::traces::hierarchies;

/// Where the logs of failed tests are kept, a directory each.
const KEPT: &str = "/var/tmp/swarm-netns-test";

/// A cluster that is removed when dropped. It need not be there.
#[derive(Debug)]
pub struct Cluster {
    name: String,
}

impl Cluster {
    /// A name that no other test uses; nothing is made.
    #[must_use]
    pub fn named() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { name: format!("t{}-{number}", std::process::id()) }
    }

    /// One manager and so many workers.
    ///
    /// # Panics
    ///
    /// When they do not come up.
    #[must_use]
    pub fn up(workers: u8) -> Self {
        Self::of(1, workers)
    }

    /// So many managers and workers.
    ///
    /// # Panics
    ///
    /// When they do not come up.
    #[must_use]
    pub fn of(managers: u8, workers: u8) -> Self {
        let cluster = Self::named();
        let (managers, workers) = (managers.to_string(), workers.to_string());
        let _ = cluster.dev(&["up", "--managers", &managers, "--workers", &workers]).ok();
        cluster
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        Path::new("/var/lib/swarm-dev").join(&self.name)
    }

    /// `swarm dev ARGUMENTS` of this cluster, not started; it has no input.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(["dev", "--name", &self.name]).args(arguments);
        command.stdin(Stdio::null()).env_remove("SWARM_SOCKET");
        command
    }

    /// Runs `swarm dev ARGUMENTS` of this cluster to its end.
    ///
    /// # Panics
    ///
    /// When the program is not there.
    #[track_caller]
    pub fn dev(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output();
        let output = output.unwrap_or_else(|why| panic!("run swarm: {why}"));
        Ran::new(format!("swarm dev {}", arguments.join(" ")), &output)
    }

    /// Runs `swarm ARGUMENTS` in a node.
    ///
    /// # Panics
    ///
    /// When the program is not there.
    #[track_caller]
    pub fn swarm(&self, node: &str, arguments: &[&str]) -> Ran {
        self.dev(&[&["exec", node, "--", "swarm"], arguments].concat())
    }

    /// A node's row of `status --format json`.
    ///
    /// # Panics
    ///
    /// When there is no such node.
    #[track_caller]
    #[must_use]
    pub fn status(&self, node: &str) -> Value {
        let rows = self.dev(&["status", "--format", "json"]).objects();
        let row = rows.into_iter().find(|row| row["Name"] == node);
        row.unwrap_or_else(|| panic!("no node {node}"))
    }

    /// The manager that leads, as one of them says; `None` when it knows of none.
    ///
    /// # Panics
    ///
    /// When the program is not there.
    #[track_caller]
    #[must_use]
    pub fn leader(&self, asked: &str) -> Option<String> {
        let format = "{{.Hostname}} {{.ManagerStatus}}";
        let listed = self.swarm(asked, &["node", "ls", "--format", format]);
        let mut names = listed.stdout.lines().filter_map(|line| line.strip_suffix(" Leader"));
        names.next().map(str::to_owned)
    }

    /// Loads the image busybox:test into every node.
    ///
    /// # Panics
    ///
    /// When it is refused.
    #[track_caller]
    pub fn load_image(&self) {
        let archive = tempfile::NamedTempFile::new().unwrap_or_else(|why| panic!("{why}"));
        let bytes = testbed::busybox_archive(Format::DockerArchive, Layers::Plain);
        fs::write(archive.path(), bytes).unwrap_or_else(|why| panic!("write the image: {why}"));
        let _ = self.dev(&["image", "load", &archive.path().display().to_string()]).ok();
    }

    /// Starts a service of one task that sleeps on m1, from an image loaded into every node, and
    /// waits until it runs. Returns its processes.
    ///
    /// # Panics
    ///
    /// When it does not run.
    #[track_caller]
    #[must_use]
    pub fn sleeper(&self) -> BTreeSet<u32> {
        self.load_image();
        let place = ["--detach", "--name", "sleeper", "--constraint", "node.role==manager"];
        let what = ["busybox:test", "sleep", "1000000"];
        let create = [&["service", "create"], &place[..], &what[..]].concat();
        let _ = self.swarm("m1", &create).ok();
        self.running_task("m1")
    }

    /// Waits until a task runs in a node, and returns its processes.
    ///
    /// # Panics
    ///
    /// When none does in time.
    #[track_caller]
    #[must_use]
    pub fn running_task(&self, node: &str) -> BTreeSet<u32> {
        until("a task runs", || {
            let listed = self.swarm("m1", &["ps", "--format", "{{.CurrentState}}"]);
            let running = listed.stdout.starts_with("Running ");
            let pids = self.tasks(node);
            if running && !pids.is_empty() { Ok(pids) } else { Err(format!("{listed}{pids:?}")) }
        })
    }

    /// Processes of the tasks in a node.
    #[must_use]
    pub fn tasks(&self, node: &str) -> BTreeSet<u32> {
        let below = format!("swarm-dev-{}/{node}/containers", self.name);
        let mut pids = BTreeSet::new();
        for root in hierarchies() {
            collect(&root.join(&below), &mut pids);
        }
        pids
    }

    /// Keeps the nodes' logs for who looks into a failure.
    fn keep_logs(&self) {
        let kept = Path::new(KEPT).join(&self.name);
        for node in fs::read_dir(self.dir()).into_iter().flatten().flatten() {
            for log in ["daemon.log", "containerd.log"] {
                let to = kept.join(node.file_name());
                let _ = fs::create_dir_all(&to);
                let _ = fs::copy(node.path().join(log), to.join(log));
            }
        }
        #[expect(clippy::print_stderr, reason = "a failed test says where to look")]
        {
            eprintln!("the nodes' logs are kept in {}", kept.display());
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            self.keep_logs();
            let _ = self.command(&["down"]).status();
        } else {
            let _ = self.dev(&["--quiet", "down"]).ok();
        }
    }
}

fn collect(group: &Path, pids: &mut BTreeSet<u32>) {
    let own = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    pids.extend(own.lines().filter_map(|pid| pid.parse::<u32>().ok()));
    for below in fs::read_dir(group).into_iter().flatten().flatten() {
        if below.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&below.path(), pids);
        }
    }
}

//! The floor: the same containers by `ctr`, containerd's own client, on the same containerd.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::cgroup::Cgroup;

/// How many `ctr` run at once.
const AT_ONCE: usize = 4;

/// `ctr` in a namespace of its own.
pub(crate) struct Ctr<'a> {
    pub(crate) socket: PathBuf,
    pub(crate) cgroup: &'a Cgroup,
    /// Where the loggers write.
    pub(crate) logs: PathBuf,
    pub(crate) image: &'a str,
}

impl Ctr<'_> {
    /// Takes an image archive.
    pub(crate) fn import(&self, archive: &Path) -> Result<(), String> {
        let archive = archive.display().to_string();
        self.run(&["images", "import", &archive])
    }

    /// Starts that many containers.
    pub(crate) fn start(&self, count: usize) -> Result<(), String> {
        let logger = std::env::current_exe().map_err(|why| why.to_string())?;
        let logger = logger.with_file_name("minimal-logger");
        let tasks = self.cgroup.tasks();
        each(count, |index| {
            let id = format!("floor-{index}");
            let log = self.logs.join(&id);
            let log = format!("binary://{}?to={}", logger.display(), log.display());
            let cgroup = format!("{tasks}/{id}");
            let flags = ["run", "--detach", "--net-host", "--cgroup", &cgroup, "--log-uri", &log];
            self.run(&[&flags[..], &[self.image, &id, "sleep", "100000"]].concat())
        })
    }

    /// Kills and removes them.
    pub(crate) fn remove(&self, count: usize) -> Result<(), String> {
        each(count, |index| {
            let id = format!("floor-{index}");
            self.run(&["tasks", "rm", "--force", &id])?;
            self.run(&["containers", "rm", &id])
        })
    }

    fn run(&self, arguments: &[&str]) -> Result<(), String> {
        // The shell moves itself before it becomes `ctr`, so that all of it is counted.
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ >\"$0\" && exec ctr \"$@\""]).arg(self.cgroup.door("ctr"));
        command.arg("--address").arg(&self.socket).args(["--namespace", "floor"]).args(arguments);
        let output = command.stdin(Stdio::null()).output().map_err(|why| why.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(format!("ctr {}: {why}", arguments.join(" ")))
    }
}

/// Does a piece of work for each index, some at a time.
fn each(count: usize, work: impl Fn(usize) -> Result<(), String> + Sync) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    let worker = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return Ok(());
            }
            work(index)?;
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err("a worker panicked".to_owned()))
        })
    })
}

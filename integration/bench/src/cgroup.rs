//! A cgroup that counts the processor time of everything below it, also of what has ended.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A cgroup of this process' own making; removed when dropped, once it is empty.
pub(crate) struct Cgroup {
    name: String,
    root: PathBuf,
}

impl Cgroup {
    /// Makes `/NAME` with the groups `daemons` and `ctr` in it; containers go into `containers`
    /// (`tasks` is a file of version 1).
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let hierarchies = ["cpuacct", "cpu,cpuacct", ""];
        let roots = hierarchies.iter().map(|of| Path::new("/sys/fs/cgroup").join(of));
        let counts = |root: &PathBuf| {
            root.join("cpuacct.usage").exists() || root.join("cgroup.controllers").exists()
        };
        let root = roots.filter(|root| root.is_dir()).find(counts);
        let root = root.ok_or_else(|| io::Error::other("no cgroup hierarchy counts CPU time"))?;
        let cgroup = Self { name: name.to_owned(), root };
        for below in ["daemons", "ctr"] {
            fs::create_dir_all(cgroup.dir().join(below))?;
        }
        Ok(cgroup)
    }

    /// The parent of containers, absolute within each hierarchy.
    pub(crate) fn tasks(&self) -> String {
        format!("/{}/containers", self.name)
    }

    /// Moves a process, with all its threads, into one of the groups.
    pub(crate) fn take(&self, below: &str, pid: u32) -> io::Result<()> {
        fs::write(self.dir().join(below).join("cgroup.procs"), pid.to_string())
    }

    /// The file that moves whoever writes its own process id to it.
    pub(crate) fn door(&self, below: &str) -> PathBuf {
        self.dir().join(below).join("cgroup.procs")
    }

    /// Processor time of everything that is or was below.
    pub(crate) fn used(&self) -> io::Result<Duration> {
        used(&self.dir())
    }

    /// Processor time of one of the groups.
    pub(crate) fn used_by(&self, below: &str) -> io::Result<Duration> {
        used(&self.dir().join(below))
    }

    fn dir(&self) -> PathBuf {
        self.root.join(&self.name)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for below in ["daemons", "ctr", "containers", ""] {
            let _ = fs::remove_dir(self.dir().join(below));
        }
    }
}

fn used(dir: &Path) -> io::Result<Duration> {
    let number = |text: &str| text.trim().parse::<u64>().map_err(io::Error::other);
    if let Ok(nanos) = fs::read_to_string(dir.join("cpuacct.usage")) {
        return number(&nanos).map(Duration::from_nanos);
    }
    let stat = fs::read_to_string(dir.join("cpu.stat"))?;
    let line = stat.lines().find_map(|line| line.strip_prefix("usage_usec "));
    number(line.unwrap_or_default()).map(Duration::from_micros)
}

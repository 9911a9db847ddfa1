//! Control groups: the one place where every process of a node is found, whoever started it.
//!
//! A process joins the group in one hierarchy before it does anything else, and what it starts
//! is there too. The group cannot be removed while anyone is in it, and nobody can join one that
//! is gone: removed means that nothing runs.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::DevError;
use crate::place::PREFIX;
use crate::process::{self, Motion};
use crate::wait::until;

/// How long processes may take to follow a signal, and their groups to go after them.
const PATIENCE: Duration = Duration::from_secs(20);
const PROCESSES: &str = "cgroup.procs";
const MOUNTS: &str = "/proc/self/mountinfo";

/// The hierarchies of this host.
#[derive(Clone, Debug)]
pub(crate) struct Cgroups {
    /// The one that processes are followed in.
    followed: PathBuf,
    all: Vec<PathBuf>,
}

impl Cgroups {
    pub(crate) fn find() -> Result<Self, DevError> {
        let mounts = fs::read_to_string(MOUNTS).map_err(DevError::io("read", Path::new(MOUNTS)))?;
        Self::read(&mounts).ok_or_else(|| {
            let why = io::Error::new(ErrorKind::NotFound, "no cgroup hierarchy is mounted");
            DevError::io("find", Path::new("/sys/fs/cgroup"))(why)
        })
    }

    /// Version 2 where it is mounted, even beside version 1; else a hierarchy of version 1 that
    /// asks nothing of who joins.
    fn read(mounts: &str) -> Option<Self> {
        let mut best: Option<(u8, PathBuf)> = None;
        let mut all = Vec::new();
        for line in mounts.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let Some(point) = left.split(' ').nth(4).map(PathBuf::from) else { continue };
            let has = |controller: &str| right.split([' ', ',']).any(|word| word == controller);
            let rank = match right.split(' ').next() {
                Some("cgroup2") => 3,
                Some("cgroup") if has("name=systemd") || has("pids") => 2,
                Some("cgroup") if has("cpuset") => 0,
                Some("cgroup") => 1,
                _ => continue,
            };
            if rank > best.as_ref().map_or(0, |(rank, _)| *rank) {
                best = Some((rank, point.clone()));
            }
            all.push(point);
        }
        best.map(|(_, followed)| Self { followed, all })
    }

    /// Whether this process is in a node of any cluster: it would stop or kill itself there, and
    /// what it calls the host's network is the node's.
    pub(crate) fn is_in_node() -> Result<bool, DevError> {
        let own = Path::new("/proc/self/cgroup");
        let groups = fs::read_to_string(own).map_err(DevError::io("read", own))?;
        Ok(groups.contains(&format!(":/{PREFIX}")))
    }

    pub(crate) fn make(&self, group: &str) -> Result<(), DevError> {
        let dir = self.followed.join(group);
        fs::create_dir_all(&dir).map_err(DevError::io("make", &dir))
    }

    /// Moves this process into a group, which must be there.
    pub(crate) fn join(&self, group: &str) -> Result<(), DevError> {
        let file = self.followed.join(group).join(PROCESSES);
        fs::write(&file, "0").map_err(DevError::io("join", &file))
    }

    /// Stops everything in a group and below it where it is, and waits for that.
    pub(crate) fn pause(&self, group: &str) -> Result<(), DevError> {
        self.set(group, Signal::SIGSTOP, Motion::Going)
    }

    /// Undoes [`Cgroups::pause`].
    pub(crate) fn resume(&self, group: &str) -> Result<(), DevError> {
        self.set(group, Signal::SIGCONT, Motion::Stopped)
    }

    /// Sends a signal to whatever is in a motion, until nothing is.
    fn set(&self, group: &str, signal: Signal, motion: Motion) -> Result<(), DevError> {
        let dir = self.followed.join(group);
        until(&format!("{signal} reaches every process in cgroup {group}"), PATIENCE, || {
            let mut left = members(&dir);
            left.retain(|pid| process::motion(*pid) == motion);
            tell(&left, signal);
            Ok(if left.is_empty() { Ok(()) } else { Err(format!("pids {left:?}")) })
        })
    }

    /// Kills everything in a group and below it, and removes the group in every hierarchy.
    pub(crate) fn end(&self, group: &str) -> Result<(), DevError> {
        until(&format!("the end of every process in cgroup {group}"), PATIENCE, || {
            tell(&members(&self.followed.join(group)), Signal::SIGKILL);
            let left: Vec<PathBuf> =
                self.all.iter().map(|root| root.join(group)).filter(|dir| !gone(dir)).collect();
            let pids = || left.iter().flat_map(|dir| members(dir)).collect::<Vec<_>>();
            Ok(if left.is_empty() { Ok(()) } else { Err(format!("{left:?}, pids {:?}", pids())) })
        })
    }
}

fn tell(pids: &[i32], signal: Signal) {
    for pid in pids {
        // It may have ended by now.
        let _ = kill(Pid::from_raw(*pid), signal);
    }
}

/// Processes in a group and below it.
fn members(dir: &Path) -> Vec<i32> {
    let own = fs::read_to_string(dir.join(PROCESSES)).unwrap_or_default();
    let own = own.lines().filter_map(|pid| pid.parse().ok());
    own.chain(below(dir).iter().flat_map(|dir| members(dir))).collect()
}

fn below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    dirs.map(|entry| entry.path()).collect()
}

/// Removes what can be removed, and says whether nothing is left.
fn gone(dir: &Path) -> bool {
    for child in below(dir) {
        gone(&child);
    }
    match fs::remove_dir(dir) {
        Err(error) => error.kind() == ErrorKind::NotFound,
        Ok(()) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_2_is_followed_where_it_is() {
        let hybrid = "\
30 25 0:26 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
31 25 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
32 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";
        let (first, _) = hybrid.split_at(hybrid.find("32 ").unwrap());

        let both = Cgroups::read(hybrid).unwrap();

        assert_eq!(both.followed, Path::new("/sys/fs/cgroup/unified"));
        assert_eq!(both.all.len(), 3);
        assert_eq!(Cgroups::read(first).unwrap().followed, Path::new("/sys/fs/cgroup/pids"));
        assert!(Cgroups::read("22 27 0:21 / /proc rw - proc proc rw\n").is_none());
    }
}

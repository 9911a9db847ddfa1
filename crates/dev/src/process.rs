//! Processes that outlive the command that started them.
//!
//! A pid alone says little once its process has ended: a file names the pid, when it started and
//! in which boot, and only a process that matches all three is taken for the one that was meant.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::DevError;
use crate::wait::until;

/// How long a killed process may take to go.
const DEATH: Duration = Duration::from_secs(20);

/// A process of a node, as a file names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Process {
    pid: i32,
    /// Clock ticks since the boot.
    started: u64,
    boot: String,
}

impl Process {
    /// This one.
    pub(crate) fn this() -> Option<Self> {
        let pid = i32::try_from(std::process::id()).ok()?;
        Some(Self { pid, started: stat(pid)?.started, boot: boot()? })
    }

    /// The one `file` names, if it is alive.
    pub(crate) fn find(file: &Path) -> Option<Self> {
        let text = fs::read_to_string(file).ok()?;
        let mut words = text.split_whitespace();
        let pid = words.next()?.parse().ok()?;
        let started = words.next()?.parse().ok()?;
        let process = Self { pid, started, boot: words.next()?.to_owned() };
        process.is_alive().then_some(process)
    }

    /// Names it in `file`, whole or not at all.
    pub(crate) fn note(&self, file: &Path) -> Result<(), DevError> {
        let draft = file.with_extension("draft");
        let text = format!("{} {} {}\n", self.pid, self.started, self.boot);
        let written = fs::write(&draft, text).and_then(|()| fs::rename(&draft, file));
        written.map_err(DevError::io("write", file))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    fn is_alive(&self) -> bool {
        // One that has ended stays in the list until its parent has looked at it.
        let lives = |stat: &Stat| stat.started == self.started && !matches!(stat.state, 'Z' | 'X');
        boot().as_ref() == Some(&self.boot) && stat(self.pid).as_ref().is_some_and(lives)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        motion(self.pid) == Motion::Stopped
    }

    /// Ends it by SIGKILL and waits for that. One that has ended is fine.
    pub(crate) fn kill(&self) -> Result<(), DevError> {
        let proc = format!("/proc/{}", self.pid);
        let failed =
            |error: rustix::io::Errno| DevError::io("kill", Path::new(&proc))(error.into());
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(()) };
        match pidfd_open(pid, PidfdFlags::empty()) {
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            Err(error) => return Err(failed(error)),
            // The handle keeps to one process: it is the one meant if it is so now.
            Ok(handle) if self.is_alive() => match pidfd_send_signal(handle, Signal::KILL) {
                Err(error) if error != rustix::io::Errno::SRCH => return Err(failed(error)),
                _ => {}
            },
            Ok(_) => return Ok(()),
        }
        until(&format!("the end of process {}", self.pid), DEATH, || {
            Ok(if self.is_alive() { Err(format!("{:?}", stat(self.pid))) } else { Ok(()) })
        })
    }
}

/// Whether a process gets anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Motion {
    /// It runs, or waits for something.
    Going,
    /// It was stopped by a signal.
    Stopped,
    /// It has ended.
    Ended,
}

pub(crate) fn motion(pid: i32) -> Motion {
    match stat(pid).map(|stat| stat.state) {
        None | Some('Z' | 'X') => Motion::Ended,
        Some('T') => Motion::Stopped,
        Some(_) => Motion::Going,
    }
}

/// What the kernel says of a process.
#[derive(Debug)]
struct Stat {
    state: char,
    started: u64,
}

fn stat(pid: i32) -> Option<Stat> {
    read_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name stands in parentheses and may hold any character.
fn read_stat(line: &str) -> Option<Stat> {
    let mut words = line.rsplit_once(')')?.1.split_whitespace();
    let state = words.next()?.chars().next()?;
    // The 22nd word of the line; the state is the third.
    Some(Stat { state, started: words.nth(18)?.parse().ok()? })
}

fn boot() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_name_of_a_process_does_not_confuse() {
        let line = "7 (a) R (b) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 99 100";

        let stat = read_stat(line).unwrap();

        assert_eq!((stat.state, stat.started), ('S', 4711));
    }

    #[test]
    fn only_the_process_that_was_meant_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let this = Process::this().unwrap();

        this.note(&file).unwrap();
        assert_eq!(Process::find(&file), Some(this.clone()));

        let earlier = Process { started: this.started - 1, ..this.clone() };
        let elsewhere = Process { boot: "other".into(), ..this };
        for other in [earlier, elsewhere] {
            other.note(&file).unwrap();
            assert_eq!(Process::find(&file), None);
            other.kill().unwrap();
        }
    }

    #[test]
    fn a_killed_process_is_gone_before_its_parent_looks() {
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let process = Process { pid, started: stat(pid).unwrap().started, boot: boot().unwrap() };

        process.kill().unwrap();

        assert!(!process.is_alive());
        assert!(!child.wait().unwrap().success());
    }
}

//! How a process turns into one of a node.
//!
//! It joins the node's cgroup before anything else, so that it is found whatever happens next;
//! then it moves into the node's network, calls the host by the node's name, and becomes the
//! program that was asked for. What it was told on its way, it passes on as exit code or in the
//! log.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use swarm_net::netns;

use crate::cgroup::Cgroups;
use crate::lock::Lock;
use crate::place::NodePlace;
use crate::process::Process;
use crate::underlay::opened;
use crate::{DevError, containerd};

/// A long-running process of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// `swarm daemon`.
    Daemon,
    /// Its containerd.
    Containerd,
}

impl Part {
    /// Its name in files and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Containerd => "containerd",
        }
    }

    pub(crate) fn pid_file(self, place: &NodePlace) -> PathBuf {
        place.dir.join(format!("{}.pid", self.name()))
    }

    pub(crate) fn log(self, place: &NodePlace) -> PathBuf {
        place.dir.join(format!("{}.log", self.name()))
    }

    /// The socket it answers on.
    pub(crate) fn socket(self, place: &NodePlace) -> PathBuf {
        match self {
            Self::Daemon => place.socket(),
            Self::Containerd => place.containerd_socket(),
        }
    }

    /// What is the node's own is told by flags: they win over its files, which may be damaged,
    /// and what is told nowhere is this machine's.
    fn command(self, place: &NodePlace, program: &Path) -> Command {
        let (program, config) = match self {
            Self::Daemon => (program, daemon_config(place)),
            Self::Containerd => (Path::new("containerd"), containerd::config(place)),
        };
        let mut command = Command::new(program);
        match self {
            Self::Daemon => {
                command.arg("daemon").arg("--state-dir").arg(place.state());
                command.arg("--run-dir").arg(place.run());
                command.arg("--containerd").arg(place.containerd_socket());
                command.arg("--cgroup-parent").arg(place.tasks_cgroup());
            }
            Self::Containerd => {
                command.arg("--root").arg(place.containerd_root());
                command.arg("--state").arg(place.containerd_state());
                command.arg("--address").arg(place.containerd_socket());
            }
        }
        command.arg("--config").arg(config);
        command
    }
}

pub(crate) fn daemon_config(place: &NodePlace) -> PathBuf {
    place.dir.join("daemon.toml")
}

/// Moves this thread into a node, and this process into its cgroup.
fn enter(place: &NodePlace, name: &str) -> Result<(), DevError> {
    Cgroups::find()?.join(&place.system_cgroup())?;
    let path = place.netns();
    netns::enter(&opened(&path)?).map_err(DevError::io("enter the namespace", &path))?;
    unshare(CloneFlags::CLONE_NEWUTS)
        .and_then(|()| nix::unistd::sethostname(name))
        .map_err(|error| DevError::io("name the node in", &path)(error.into()))
}

/// Becomes a command in a node's network, with the terminal of the caller.
pub(crate) fn command(
    place: &NodePlace,
    name: &str,
    program: &Path,
    words: &[OsString],
) -> Result<Infallible, DevError> {
    enter(place, name)?;
    let (first, rest) = words.split_first().ok_or_else(|| {
        DevError::Refused(format!("what is to be run in {name}? Give it behind --"))
    })?;
    // The program that made the node speaks to it, wherever it is installed.
    let first = if first == "swarm" { program.as_os_str() } else { first };
    let mut command = Command::new(first);
    command.args(rest).env("SWARM_SOCKET", place.socket());
    command.env("CONTAINERD_ADDRESS", place.containerd_socket());
    Err(DevError::io("run", Path::new(first))(command.exec()))
}

/// Becomes a part of a node, in a session of its own, with its output in a bounded log.
pub(crate) fn part(
    part: Part,
    place: &NodePlace,
    name: &str,
    program: &Path,
) -> Result<Infallible, DevError> {
    enter(place, name)?;
    note(part, place, name)?;
    // Fails only for who leads a session already.
    let _ = nix::unistd::setsid();
    let log = kept(&part.log(place), program)?;
    let failed = |error| DevError::io("use the log of", &place.dir)(error);
    let mut command = part.command(place, program);
    command.stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
    command.current_dir("/").env_remove("SWARM_SOCKET").env_remove("NOTIFY_SOCKET");
    let refusal = command.exec();
    Err(DevError::io("run", Path::new(command.get_program()))(refusal))
}

/// Names this process as a part of a node, unless there is one.
fn note(part: Part, place: &NodePlace, name: &str) -> Result<(), DevError> {
    // Two commands may start the same part when one of them was killed.
    let _one = Lock::of(&place.dir)?;
    let file = part.pid_file(place);
    if let Some(process) = Process::find(&file) {
        let why = format!("{} of {name} runs already, with pid {}", part.name(), process.pid());
        return Err(DevError::Refused(why));
    }
    let own = Path::new("/proc/self/stat");
    let unreadable = || DevError::io("read", own)(std::io::ErrorKind::InvalidData.into());
    Process::this().ok_or_else(unreadable)?.note(&file)
}

/// A pipe into a process that keeps a log within bounds; it ends with the last who writes.
fn kept(log: &Path, program: &Path) -> Result<std::io::PipeWriter, DevError> {
    let failed = |error| DevError::io("keep the log", log)(error);
    let (reader, writer) = std::io::pipe().map_err(failed)?;
    let mut command = Command::new(program);
    command.args(["dev", "log-keeper"]).arg(log).env_remove("SWARM_SOCKET");
    command.stdin(reader).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(failed)?;
    Ok(writer)
}

/// Starts the process that becomes a part; `swarm dev run` ends in [`part`]. What it says before
/// it keeps a log goes to the same file.
pub(crate) fn start(
    part: Part,
    place: &NodePlace,
    words: [&str; 2],
    program: &Path,
) -> Result<std::process::Child, DevError> {
    let path = part.log(place);
    let failed = |error| DevError::io("open the log", &path)(error);
    let log = File::options().create(true).append(true).open(&path).map_err(failed)?;
    let mut command = Command::new(program);
    command.args(["dev", "run", "--name", words[0], words[1], part.name()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).env_remove("SWARM_SOCKET");
    command.spawn().map_err(DevError::io("run", program))
}

/// The end of a log, for an error.
pub(crate) fn tail(part: Part, place: &NodePlace) -> String {
    const LINES: usize = 12;
    let path = part.log(place);
    let text = fs::read(&path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let end = lines[lines.len().saturating_sub(LINES)..].join("\n");
    format!("the end of {}:\n{end}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Place;

    #[test]
    fn what_a_node_keeps_is_in_its_directory_whatever_its_files_say() {
        let place = Place::new(Path::new("/d"), "c").unwrap().node("m1");
        let words = |part: Part| {
            let command = part.command(&place, Path::new("/swarm"));
            let words: Vec<_> = command.get_args().map(|it| it.to_string_lossy()).collect();
            words.join(" ")
        };

        assert_eq!(
            words(Part::Daemon),
            "daemon --state-dir /d/c/m1/state --run-dir /d/c/m1/run \
             --containerd /d/c/m1/containerd.sock --cgroup-parent /swarm-dev-c/m1/containers \
             --config /d/c/m1/daemon.toml"
        );
        assert_eq!(
            words(Part::Containerd),
            "--root /d/c/m1/containerd --state /d/c/m1/containerd-state \
             --address /d/c/m1/containerd.sock --config /d/c/m1/containerd.toml"
        );
    }
}

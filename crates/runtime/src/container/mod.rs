//! A container's life, one file per step.
//!
//! [`create`] makes the root file system and the record, [`run`] starts, signals and awaits the
//! process, [`remove`] takes everything away, [`list`] tells what is there. A container runs
//! once. That it was started is marked on its record before the process runs, so that a container
//! whose process was lost (a reboot, a killed shim) is never taken for a fresh one.
//!
//! [`spec`] turns a [`ContainerConfig`] into what runc reads, [`user`] finds users in the image.

mod create;
mod list;
mod remove;
mod run;
mod spec;
mod user;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::Signal;

/// What a container is made of. Empty fields mean what the image says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ContainerConfig {
    /// Its id: at most 76 letters, digits, `_`, `.` and `-`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Image, short or full name.
    pub image: String,
    /// Replaces the image's entry point, and its command with it, when not empty.
    pub command: Vec<String>,
    /// Replaces the image's command when not empty.
    pub args: Vec<String>,
    /// `KEY=VALUE`, or `KEY` alone to remove the image's.
    pub env: Vec<String>,
    /// Working directory; made when it is not there.
    pub dir: String,
    /// `USER[:GROUP]`, names or numbers.
    pub user: String,
    /// Host name in a UTS namespace of its own; `None` shares the host's.
    pub hostname: Option<String>,
    /// Labels, told by [`crate::Runtime::containers`].
    pub labels: BTreeMap<String, String>,
    /// Signal that asks it to stop; `None` means the image's, else SIGTERM.
    pub stop_signal: Option<Signal>,
    /// Its network.
    pub network: Network,
    /// Upper bounds.
    pub resources: Resources,
    /// Whether set-uid programs may raise privileges.
    pub privileges: Privileges,
}

/// The network a container lives in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Network {
    /// The host's own, with the host's `/etc/hosts` and `/etc/resolv.conf`, read-only.
    #[default]
    Host,
}

/// Whether a process may gain privileges through set-uid programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Privileges {
    /// It may, within the container's capabilities.
    #[default]
    MayGrow,
    /// It may not.
    NoNew,
}

/// Upper bounds the kernel enforces; 0 means none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Resources {
    /// Billionths of a CPU.
    pub nano_cpus: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub pids: u64,
}

/// How a container's first process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exit {
    /// Exit code; 128 + signal when a signal ended it.
    pub code: u32,
    /// When, on this host's clock.
    pub at: SystemTime,
}

/// Where a container is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Made, not started yet.
    Created,
    /// Its process runs.
    Running {
        /// The process on this host.
        pid: u32,
    },
    /// Its process ended.
    Stopped(Exit),
    /// It ran, and how it ended was lost with its shim, as in a reboot.
    Lost,
}

/// A container as found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContainerState {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Full name of its image.
    pub image: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Where it is in its life.
    pub status: Status,
}

/// What we keep with a container's record. An extension, since containerd's own labels are
/// limited to 4096 bytes each.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kept {
    name: String,
    labels: BTreeMap<String, String>,
    stop_signal: String,
}

/// Key of [`Kept`] among a record's extensions.
const KEPT: &str = "io.swarm.container";
/// Label with the container's name, for those who look with `ctr`.
const NAME: &str = "io.swarm.name";
/// Label set before the process runs.
const STARTED: &str = "io.swarm.started";

/// containerd's time; the epoch when it told none.
pub(crate) fn time(stamp: Option<prost_types::Timestamp>) -> SystemTime {
    let stamp = stamp.unwrap_or_default();
    let seconds = u64::try_from(stamp.seconds).unwrap_or(0);
    let nanos = u32::try_from(stamp.nanos).unwrap_or(0);
    UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_nanos(nanos.into())
}

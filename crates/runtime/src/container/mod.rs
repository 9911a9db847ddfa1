//! A container's life, one file per step.
//!
//! [`create`] makes the root file system and the record, [`run`] starts, signals and awaits the
//! process, [`remove`] takes everything away, also a [`shim`] without a container, [`list`] tells what is there. A container runs
//! once. That it was started is marked on its record before the process runs, so that a container
//! whose process was lost (a reboot, a killed shim) is never taken for a fresh one.
//!
//! [`supply`] makes what a container needs of the host, [`spec`] turns a [`ContainerConfig`] into
//! what runc reads, [`user`] finds users in the image.

mod config;
mod create;
mod list;
mod remove;
mod run;
mod shim;
mod spec;
mod supply;
pub(crate) mod user;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

pub use config::{
    AppArmor, BindOptions, ContainerConfig, File, Log, Mount, Network, Privileges, Propagation,
    Resources, SeLinuxContext, Seccomp, TmpfsOptions, Ulimit,
};
pub(crate) use create::check_id;
pub(crate) use spec::CAPABILITIES;

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
    #[serde(default)]
    tty: bool,
    #[serde(default)]
    volumes: Vec<KeptVolume>,
}

/// A volume that a container uses, running or not.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct KeptVolume {
    name: String,
    /// Empty means all of it.
    subpath: String,
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

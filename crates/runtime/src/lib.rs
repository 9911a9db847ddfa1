//! Images and containers of one node, through containerd.
//!
//! A [`Runtime`] is a cheap handle on one containerd and one of its namespaces. Every call may be
//! made again with the same arguments: it finds what an earlier call left and carries on. Every
//! request has a deadline, and containerd may restart at any time: calls fail with
//! [`Error::Unavailable`] meanwhile and work again afterwards, containers keep running.
//!
//! Nothing here knows services or tasks, and nothing here decides what should run.
//!
//! - `archive`: what a tar file says it holds, checked before containerd sees any of it.
//! - `registry`: manifests and blobs from elsewhere.
//! - `image`, `content` and `lease`: putting that into containerd's store, all or nothing.
//! - `container`: one file per step of a container's life.
//! - `logs`: what containers wrote: the writer beside each, and readers.
//! - `exec`: commands run beside a container's process.
//! - `volumes`: directories that outlive containers.
//! - `stats`: what the kernel counts of a container.
//! - `purge`: taking all of it away.

mod archive;
mod container;
mod content;
mod error;
mod exec;
mod image;
mod lease;
mod locks;
mod logs;
mod mountinfo;
mod options;
mod purge;
mod reference;
mod registry;
mod rpc;
mod signal;
mod stats;
mod volumes;

pub use archive::{BadArchive, Limits};
pub use container::{
    AppArmor, BindOptions, ContainerConfig, ContainerState, Exit, File, Log, Mount, Network,
    Privileges, Propagation, Resources, SeLinuxContext, Seccomp, Status, TmpfsOptions, Ulimit,
};
pub use error::Error;
pub use exec::{
    Exec, ExecConfig, ExecControl, ExecEvent, ExecInput, Probe, ProbeEnd, Rights, Stdin, Terminal,
    TerminalSize,
};
pub use image::{Healthcheck, Image, ImageConfig, Phase, Progress, Removed, Spare};
pub use logs::{Follow, LogLine, LogPlace, LogQuery, LogReader, LogStream, Streams, write_logs};
pub use options::{Options, Runtime};
pub use purge::{Purged, containerd_version};
pub use reference::full_name;
pub use registry::{Auth, RegistryError};
pub use signal::{Signal, UnknownSignal};
pub use stats::Stats;
pub use volumes::{NewVolume, Volume};

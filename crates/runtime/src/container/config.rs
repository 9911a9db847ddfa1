//! What a container is made of, in words of our own.

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use swarm_types::spec::container::{SeLinuxContext, Ulimit};
pub use swarm_types::spec::mount::{BindOptions, Propagation, TmpfsOptions};

use crate::Signal;

/// What a container is made of. Empty fields mean what the image says.
///
/// Templates are expanded and names resolved before: nothing here is looked up any more, except
/// users and groups, which the image names.
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
    /// Supplementary groups, names or numbers.
    pub groups: Vec<String>,
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
    /// On top of Docker's default set: `CAP_NAME`, `NAME` or `ALL`.
    pub capability_add: Vec<String>,
    /// Taken from Docker's default set, as [`ContainerConfig::capability_add`].
    pub capability_drop: Vec<String>,
    /// Which system calls it may make.
    pub seccomp: Seccomp,
    /// Its `AppArmor` profile.
    pub apparmor: AppArmor,
    /// Its `SELinux` label; `None` leaves it to the host.
    pub selinux: Option<SeLinuxContext>,
    /// Runs [`crate::Options::init`] as process 1, which reaps what the command leaves.
    pub init: bool,
    /// Allocates a terminal.
    pub tty: bool,
    /// Keeps standard input open: reading it waits for ever, instead of ending at once. Only with
    /// [`ContainerConfig::tty`], since containerd connects no other input beside a log writer.
    pub open_stdin: bool,
    /// Mounts the root file system read-only.
    pub read_only: bool,
    /// What is mounted into it; a path may be mounted once.
    pub mounts: Vec<Mount>,
    /// Files of the host that appear in it.
    pub files: Vec<File>,
    /// Kernel parameters of its own namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Resource limits of its processes, over the host's.
    pub ulimits: Vec<Ulimit>,
    /// What becomes of its output.
    pub log: Log,
}

/// The network a container lives in.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Network {
    /// The host's own, with the host's `/etc/hosts` and `/etc/resolv.conf`, read-only, unless
    /// [`ContainerConfig::files`] brings others.
    #[default]
    Host,
    /// A network namespace that is there, as a file to join.
    Netns(PathBuf),
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

/// Which system calls a container may make.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Seccomp {
    /// Those of Docker's default profile, given the container's capabilities.
    #[default]
    Default,
    /// All.
    Unconfined,
    /// Those of a profile in Docker's JSON form.
    Custom(Vec<u8>),
}

/// The profile of `AppArmor` a container runs under.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AppArmor {
    /// None: whether there is one is left to the host.
    #[default]
    Host,
    /// None, and the host must be able to say so.
    Unconfined,
    /// Docker's `docker-default`, which must be loaded.
    Default,
}

/// Upper bounds the kernel enforces; 0 means none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Resources {
    /// Billionths of a CPU.
    pub nano_cpus: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Bytes of memory and swap together, as Docker's `--memory-swap`: -1 means any amount of
    /// swap; `None` or 0 mean as much swap as memory. Needs a bound on memory.
    pub swap_bytes: Option<i64>,
    /// 0 to 100: how eagerly the kernel swaps; `None` leaves it to the host.
    pub swappiness: Option<u64>,
    /// Processes and threads.
    pub pids: u64,
    /// -1000 to 1000: who dies first when memory is short.
    pub oom_score_adj: i64,
}

/// Something mounted at `target`, an absolute path in the container. Links in the image are
/// followed within its root file system; what is missing there is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mount {
    /// A file or directory of the host.
    Bind {
        /// Absolute path on the host.
        source: PathBuf,
        /// Path in the container.
        target: String,
        /// Forbids writing.
        read_only: bool,
        /// How mounts below it travel, and whether a missing source is made.
        options: BindOptions,
    },
    /// A named volume, made on first use.
    Volume {
        /// Its name; empty means one of the container's own that goes with it.
        name: String,
        /// Path in the container.
        target: String,
        /// Forbids writing.
        read_only: bool,
        /// Leaves an empty volume empty, instead of filling it with what the image has there.
        no_copy: bool,
        /// Path within the volume, which must be there; empty means all of it.
        subpath: String,
        /// Its driver, `local` or empty, when it is made.
        driver: String,
        /// Its labels when it is made.
        labels: BTreeMap<String, String>,
        /// Options of the driver when it is made: `type`, `device` and `o`.
        options: BTreeMap<String, String>,
    },
    /// Memory.
    Tmpfs {
        /// Path in the container.
        target: String,
        /// Forbids writing.
        read_only: bool,
        /// Its size, mode and what else it is mounted with.
        options: TmpfsOptions,
    },
}

/// A file of the host that appears at `target`. The usual three of a container, `/etc/hosts`,
/// `/etc/resolv.conf` and `/etc/hostname`, may be written by the container, as in Docker; any
/// other is read-only. A [`Mount`] of the same target wins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Absolute path on the host.
    pub source: PathBuf,
    /// Absolute path in the container.
    pub target: String,
}

/// What becomes of a container's output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Log {
    /// It is dropped.
    #[default]
    None,
    /// It is kept in files of the container, the oldest of which are dropped.
    Files {
        /// Bytes per file; 0 means unlimited.
        max_bytes: u64,
        /// Files kept, at least 1.
        max_files: u32,
    },
}

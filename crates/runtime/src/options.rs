//! How to reach containerd, and the handle that does.

use std::path::PathBuf;
use std::sync::Arc;

use containerd_client::services::v1::{CreateNamespaceRequest, Namespace};
use tokio::sync::{Mutex, Semaphore};

use crate::Error;
use crate::archive::Limits;
use crate::error::Tolerate;
use crate::image::Shared;
use crate::locks::Locks;
use crate::rpc::{Link, QUICK, rpc};

/// Where containerd is and what of it is ours.
#[derive(Clone, Debug)]
pub struct Options {
    /// containerd's socket.
    pub socket: PathBuf,
    /// Namespace in containerd; everything in it is ours.
    pub namespace: String,
    /// Snapshotter that holds the root file systems.
    pub snapshotter: String,
    /// Parent of every container's cgroup, absolute within each hierarchy.
    pub cgroup_parent: String,
    /// Root of runc's state; `None` means containerd's default.
    pub runc_root: Option<PathBuf>,
    /// Output of each container is kept in `<log_dir>/<id>`; made on first use.
    pub log_dir: PathBuf,
    /// Program that containerd starts as `<log_writer> log-writer DIR`; calls
    /// [`crate::write_logs`].
    pub log_writer: PathBuf,
    /// FIFOs of commands run beside a container: `<exec_dir>/<id>/<exec id>`; made on first use.
    pub exec_dir: PathBuf,
    /// Named volumes: `<volume_dir>/<name>/_data`; made on first use.
    pub volume_dir: PathBuf,
    /// Static program that runs as process 1 of containers that ask for an init.
    pub init: PathBuf,
    /// Existing directory for image archives while they are checked. Needs as much room as an
    /// unpacked archive.
    pub spool_dir: PathBuf,
    /// Settings of registries: a directory per `HOST[:PORT]` with `hosts.toml` and `ca.crt`.
    /// Neither it nor any of them needs to exist.
    pub registries_dir: PathBuf,
    /// Bounds on image archives.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            socket: "/run/containerd/containerd.sock".into(),
            namespace: "swarm".into(),
            snapshotter: "overlayfs".into(),
            cgroup_parent: "/swarm".into(),
            runc_root: None,
            log_dir: "/var/lib/swarm/logs".into(),
            log_writer: "/usr/bin/swarm".into(),
            exec_dir: "/run/swarm/exec".into(),
            volume_dir: "/var/lib/swarm/volumes".into(),
            init: "/usr/bin/tini-static".into(),
            spool_dir: std::env::temp_dir(),
            registries_dir: "/etc/swarm/registries.d".into(),
            limits: Limits::default(),
        }
    }
}

/// A cheap handle on one containerd.
#[derive(Clone, Debug)]
pub struct Runtime {
    pub(crate) link: Link,
    pub(crate) options: Arc<Options>,
    /// A permit per container that is being started.
    pub(crate) starts: Arc<Semaphore>,
    /// Containers that are started or removed, by id.
    pub(crate) lives: Arc<Locks<()>>,
    pub(crate) images: Shared,
    /// Held while volumes change, or a container with some is made.
    pub(crate) volumes: Arc<Mutex<()>>,
    version: Arc<str>,
}

impl Runtime {
    /// Connects and makes the namespace when it is not there yet.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] while containerd is not up.
    pub async fn connect(options: Options) -> Result<Self, Error> {
        let runtime = Self::open(options).await?;
        let name = runtime.options.namespace.clone();
        let namespace = Some(Namespace { name, ..Namespace::default() });
        let request = CreateNamespaceRequest { namespace };
        let mut namespaces = runtime.link.namespaces();
        rpc("create namespace", QUICK, namespaces.create(request)).await.or_present()?;
        runtime.end_left_execs();
        Ok(runtime)
    }

    /// As [`Runtime::connect`], and makes and ends nothing: for a look, or a purge.
    ///
    /// # Errors
    ///
    /// As [`Runtime::connect`].
    pub async fn open(options: Options) -> Result<Self, Error> {
        let link = Link::new(&options.socket, &options.namespace)?;
        let version = rpc("version", QUICK, link.version().version(())).await?.version;
        let starts = Arc::new(Semaphore::new(starts_at_once()));
        Ok(Self {
            link,
            options: Arc::new(options),
            starts,
            lives: Arc::default(),
            images: Shared::default(),
            volumes: Arc::default(),
            version: version.into(),
        })
    }

    /// containerd's version when this handle was made.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// Each start is work for a processor; thousands at once would all miss their deadlines.
fn starts_at_once() -> usize {
    2 * std::thread::available_parallelism().map_or(4, usize::from).max(4)
}

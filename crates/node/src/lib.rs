//! One node: what `swarm daemon` runs.
//!
//! A node is outside of a cluster, or part of one. [`membership`] says on disk which, and is
//! written last when it becomes part of one: by [`founding`] one or by [`join`]; [`leave`] ends it.
//! [`member`] starts and stops what a member runs: an agent, and with [`managing`] a manager,
//! unless that is [`locked`]. [`socket`] serves the node's own socket all
//! the while. Containers are not the node's to stop: they outlive it.

mod admission;
mod advertise;
mod check;
mod error;
mod expired;
mod figures;
mod forcing;
mod found;
mod founding;
mod images;
mod join;
mod leave;
mod local;
mod locked;
mod managing;
mod member;
mod membership;
mod only;
mod purge;
mod renewal;
mod role;
mod socket;
mod stop;
mod tasks;
mod volumes;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use ipnetwork::Ipv4Network;
use swarm_crypto::KeyFile;
use swarm_runtime::Runtime;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use check::{Finding, check};
pub use error::NodeError;
use member::Member;
use membership::Membership;
use only::OnlyOne;
pub use purge::{Purge, purge};

const SPOOL: &str = "spool";
const LOGS: &str = "logs";
const VOLUMES: &str = "volumes";
/// What the state directory holds, whether the node is part of a cluster or not.
const STATE: [&str; 3] = [SPOOL, LOGS, VOLUMES];
/// Subnet of the gateway bridge, unless a route of the host is in the way.
const GATEWAY_SUBNET: Ipv4Network = match Ipv4Network::new_checked(Ipv4Addr::new(172, 29, 0, 0), 16)
{
    Some(subnet) => subnet,
    None => unreachable!(),
};

/// How long a change of membership may take to see that the node stops.
const CHANGE_DEADLINE: Duration = Duration::from_secs(20);
/// How long agent, manager and store may take to stop; each has deadlines of its own.
const MEMBER_DEADLINE: Duration = Duration::from_secs(50);

/// What a node runs with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Where it keeps its state: `raft/`, `certificates/`, and the containers' `logs/`.
    pub state_dir: PathBuf,
    /// Where its socket is made.
    pub run_dir: PathBuf,
    /// containerd's socket.
    pub containerd: PathBuf,
    /// containerd's namespace that holds the node's containers.
    pub containerd_namespace: String,
    /// Address the managers' port is opened on.
    pub listen_addr: SocketAddr,
    /// Parent of the containers' cgroups.
    pub cgroup_parent: String,
    /// Subnet wished for the bridge that tasks reach the world through. The first start picks it,
    /// or another when a route of the host is in the way; it is kept from then on.
    pub gateway_subnet: Ipv4Network,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            state_dir: "/var/lib/swarm".into(),
            run_dir: "/run/swarm".into(),
            containerd: "/run/containerd/containerd.sock".into(),
            containerd_namespace: "swarm".into(),
            listen_addr: SocketAddr::from(([0, 0, 0, 0], 2377)),
            cgroup_parent: "/swarm".into(),
            gateway_subnet: GATEWAY_SUBNET,
        }
    }
}

/// Reaches containerd.
async fn connect(options: &Options) -> Result<Runtime, NodeError> {
    let options = runtime_options(options)?;
    std::fs::create_dir_all(&options.spool_dir)
        .map_err(NodeError::io("make", &options.spool_dir))?;
    let socket = options.socket.clone();
    let connected = Runtime::connect(options).await;
    connected.map_err(|source| NodeError::Containerd { socket, source })
}

fn runtime_options(options: &Options) -> Result<swarm_runtime::Options, NodeError> {
    Ok(swarm_runtime::Options {
        socket: options.containerd.clone(),
        namespace: options.containerd_namespace.clone(),
        cgroup_parent: options.cgroup_parent.clone(),
        spool_dir: options.state_dir.join(SPOOL),
        log_dir: options.state_dir.join(LOGS),
        volume_dir: options.state_dir.join(VOLUMES),
        log_writer: std::env::current_exe()
            .map_err(NodeError::io("find", Path::new("/proc/self/exe")))?,
        exec_dir: options.run_dir.join("exec"),
        ..swarm_runtime::Options::default()
    })
}

/// Nanoseconds since the epoch.
fn nanos(time: std::time::SystemTime) -> i64 {
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// What the parts of a node share.
#[derive(Debug)]
struct Inner {
    options: Options,
    runtime: Runtime,
    /// What runs while the node is part of a cluster. Held while that changes.
    member: Mutex<Option<Member>>,
    /// The store's keys on their way from who opened them to the manager that keeps them.
    opened: std::sync::Mutex<Option<KeyFile>>,
    /// The control API while there is a manager.
    control: socket::Gate,
    /// How often it was tried to change the node's role since that last came about.
    role_tries: AtomicU32,
    /// Why the node cannot go on; empty while it can.
    failure: watch::Sender<Option<Arc<NodeError>>>,
    tracker: TaskTracker,
    stopping: CancellationToken,
}

/// A running node. Stop it with [`Node::stop`].
#[derive(Debug)]
pub struct Node {
    inner: Arc<Inner>,
    // Released when the node is dropped.
    _only: OnlyOne,
}

impl Node {
    /// Starts the node, and what it was part of before it was stopped.
    ///
    /// # Errors
    ///
    /// When another node runs in this network namespace, when containerd does not answer, or
    /// when what is on disk cannot be trusted: the error names what to do.
    pub async fn start(options: Options) -> Result<Self, NodeError> {
        let only = OnlyOne::claim()?;
        let membership = Membership::load(&options.state_dir)?;
        let runtime = connect(&options).await?;
        let inner = Arc::new(Inner {
            options,
            runtime,
            member: Mutex::new(None),
            opened: std::sync::Mutex::new(None),
            control: socket::Gate::default(),
            role_tries: AtomicU32::new(0),
            failure: watch::Sender::new(None),
            tracker: TaskTracker::new(),
            stopping: CancellationToken::new(),
        });
        let node = Self { inner, _only: only };
        if let Some(membership) = membership {
            node.inner.resume(membership).await?;
        }
        socket::serve(&node.inner)?;
        Ok(node)
    }

    /// Waits until the node cannot go on, and says why.
    pub async fn failed(&self) -> Arc<NodeError> {
        let mut failure = self.inner.failure.subscribe();
        loop {
            if let Some(reason) = failure.borrow_and_update().clone() {
                return reason;
            }
            if failure.changed().await.is_err() {
                // The sender lives as long as `self`.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Stops everything but the containers, and waits for it: 75 s at most. What did not
    /// end by then is told in the log and ends with the process, which it survives as a crash.
    pub async fn stop(self) {
        self.inner.stopping.cancel();
        self.inner.control.close();
        let member = stop::within(CHANGE_DEADLINE, "a change of membership", async {
            self.inner.member.lock().await.take()
        });
        if let Some(member) = member.await.flatten() {
            stop::within(MEMBER_DEADLINE, "the node's part of the cluster", member.stop()).await;
        }
        stop::all(&self.inner.tracker).await;
        socket::remove(&self.inner.options);
    }
}

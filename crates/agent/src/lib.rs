//! A worker of a Swarm cluster: keeps a session with a manager, runs the tasks it is assigned on
//! this node's containerd, and reports what happened to them.
//!
//! [`session`] talks to the managers, [`worker`] holds the tasks, [`task::step`] decides what
//! happens to each, [`executor`] does it, [`reporter`] keeps what the managers have to hear,
//! [`store`] what a restart must not forget.
//!
//! The node never ends a task by itself: without a manager it goes on with what it has. Stopping
//! the agent leaves every container as it is; the next agent adopts them from the store, before
//! any manager answers.
#![warn(missing_docs)]

mod backoff;
mod description;
mod executor;
mod managers;
mod reporter;
mod session;
mod store;
mod task;
mod worker;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use swarm_crypto::tls::{self, Credentials};
use swarm_net::Net;
use swarm_runtime::Runtime;
use swarm_types::Node;
use swarm_types::object::node::TlsInfo;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::backoff::Backoff;
use crate::executor::containerd::Containerd;
use crate::managers::Managers;
use crate::reporter::Reporter;
pub use crate::session::calls::Calls;
use crate::session::{End, Sessions};
pub use crate::store::StoreError;
use crate::store::{Opened, Store};
use crate::worker::Worker;

/// Which orders a node obeys, without clock and I/O, for the simulator.
pub mod pure {
    pub use crate::session::orders::{Disobeyed, Obeyed, Orders};
    pub use crate::worker::{Assignment, Extent, Unreadable};
}

/// How long the last records may take to be written.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// What an agent needs besides managers and credentials.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where containers run.
    pub runtime: Runtime,
    /// The networks of tasks; `None` serves only tasks on the host's network.
    pub net: Option<Net>,
    /// Where the agent keeps what it must not forget; made when it is not there.
    pub state_dir: PathBuf,
    /// Where the files of its containers are, in `tasks`; lost in a reboot, as they are.
    pub run_dir: PathBuf,
    /// Version of the daemon, shown as the node's engine version.
    pub engine_version: String,
    /// Name of the node; empty means the machine's host name.
    pub hostname: String,
    /// Where others reach the node; `None` means where its managers see it.
    pub addr: Option<IpAddr>,
    /// What the node trusts and who signed its certificate.
    pub tls: TlsInfo,
    /// Where its managers' connections go; nothing but `Tasks` is to be served on them.
    pub calls: Calls,
}

/// The managers an agent starts with, `HOST:PORT` each.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Known {
    /// One that runs on this node; it is always preferred.
    pub own: Option<String>,
    /// Others; those the agent was told of before come first.
    pub others: Vec<String>,
}

/// Whether the agent has a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AgentState {
    /// Looks for a manager that serves it. Tasks go on meanwhile.
    Searching {
        /// Why the last one did not, for people; empty before the first try.
        why: String,
        /// Those it knows, `HOST:PORT` each.
        managers: Vec<String>,
    },
    /// Has a session.
    Connected {
        /// The manager, `HOST:PORT`.
        manager: String,
        /// The node as the cluster holds it; `None` when this version cannot read it.
        node: Option<Box<Node>>,
    },
    /// Its managers removed the node, for good. Its tasks end.
    Removed {
        /// What they said, for people.
        why: String,
    },
    /// Cannot go on, as it cannot keep what it is told any more. Containers go on.
    Failed {
        /// Why, for people.
        why: String,
    },
    /// Was stopped.
    Stopped,
}

/// A running agent. Dropping it stops it too, without waiting.
#[derive(Debug)]
pub struct Agent {
    state: watch::Receiver<AgentState>,
    end: watch::Sender<Option<End>>,
    sessions: JoinHandle<()>,
    /// Ends when the store's files are free.
    closed: oneshot::Receiver<()>,
}

/// The managers, `HOST:PORT` each, that the agent with this state directory was last told of. No
/// agent must use the directory.
///
/// # Errors
///
/// [`StoreError`] when what it kept cannot be trusted.
pub async fn kept_managers(state_dir: &Path) -> Result<Vec<String>, StoreError> {
    let Opened { store, kept, closed } = Store::open(state_dir).await?;
    drop(store);
    // Only ever dropped: an error.
    let _ = timeout(CLOSE_DEADLINE, closed).await;
    Ok(kept.managers)
}

impl Agent {
    /// Starts an agent that goes on with the tasks it had, and looks for a session with one of
    /// the managers.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when what it kept cannot be trusted; nothing was touched then.
    pub async fn start(
        options: Options,
        managers: Known,
        credentials: Credentials,
    ) -> Result<Self, StoreError> {
        let Options {
            runtime,
            net,
            state_dir,
            run_dir,
            engine_version,
            hostname,
            addr,
            tls,
            calls,
        } = options;
        let Opened { store, kept, closed } = Store::open(&state_dir).await?;
        let identity = description::Identity { hostname, engine_version };
        let reporter = Reporter::default();
        let Known { own, others } = managers;
        let managers = Managers::new(own, [kept.managers.clone(), others].concat());
        let (state, receiver) = watch::channel(AgentState::Searching {
            why: String::new(),
            managers: managers.known(),
        });
        let node = description::facts(&description::describe(&identity, tls.clone()));
        let executor = Arc::new(Containerd { runtime, net, node, files: run_dir.join("tasks") });
        let obeyed = kept.obeyed;
        let sessions = Sessions {
            dial: Box::new(move |manager| {
                let (manager, credentials) = (manager.to_owned(), credentials.clone());
                Box::pin(async move { Ok(tls::connected(&manager, &credentials).await?) })
            }),
            describe: Box::new(move || description::describe(&identity, tls.clone())),
            boot_id: description::boot_id(),
            addr: addr.map(|addr| addr.to_string()).unwrap_or_default(),
            managers,
            worker: Worker::adopt(executor, reporter.clone(), store.clone(), kept),
            store,
            reporter,
            state,
            calls,
            obeyed,
            backoff: Backoff::default(),
        };
        let (end, ended) = watch::channel(None);
        let sessions = tokio::spawn(sessions.run(ended));
        Ok(Self { state: receiver, end, sessions, closed })
    }

    /// Its present state and every later one.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<AgentState> {
        self.state.clone()
    }

    /// Ends the session and returns when nothing of the agent runs any more, within seconds.
    /// Containers stay as they are.
    pub async fn stop(self) {
        self.ended(End::Stop).await;
    }

    /// Ends all tasks of this node and removes what they have here, then does as
    /// [`Agent::stop`]. Takes up to a minute: tasks have their time to end.
    pub async fn leave(self) {
        self.ended(End::Leave).await;
    }

    async fn ended(mut self, how: End) {
        self.end.send_replace(Some(how));
        // The result only says whether the task panicked; then too, nothing of it is left.
        let _ = (&mut self.sessions).await;
        // The next agent of this process opens the same files. Only ever dropped: an error.
        let _ = timeout(CLOSE_DEADLINE, &mut self.closed).await;
    }
}

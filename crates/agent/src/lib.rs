//! A worker of a Swarm cluster: keeps a session with a manager, runs the tasks it is assigned on
//! this node's containerd, and reports what happened to them.
//!
//! [`session`] talks to the managers, [`worker`] holds the tasks, [`task::step`] decides what
//! happens to each, [`executor`] does it, [`reporter`] keeps what the managers have to hear.
//!
//! The node never ends a task by itself: without a manager it goes on with what it has. Stopping
//! the agent leaves every container as it is; the next agent finds them by their task ids.
#![warn(missing_docs)]

mod backoff;
mod description;
mod executor;
mod managers;
mod reporter;
mod session;
mod task;
mod worker;

use std::sync::Arc;

use swarm_crypto::tls::{self, Credentials};
use swarm_runtime::Runtime;
use swarm_types::Node;
use swarm_types::object::node::TlsInfo;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::executor::containerd::Containerd;
use crate::managers::Managers;
use crate::reporter::Reporter;
use crate::session::{Obeyed, Sessions};
use crate::worker::Worker;

/// What an agent needs besides managers and credentials.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where containers run.
    pub runtime: Runtime,
    /// Version of the daemon, shown as the node's engine version.
    pub engine_version: String,
    /// Name of the node; empty means the machine's host name.
    pub hostname: String,
    /// What the node trusts and who signed its certificate.
    pub tls: TlsInfo,
}

/// Whether the agent has a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AgentState {
    /// Looks for a manager that serves it. Tasks go on meanwhile.
    Searching {
        /// Why the last one did not, for people; empty before the first try.
        why: String,
    },
    /// Has a session.
    Connected {
        /// The manager, `HOST:PORT`.
        manager: String,
        /// The node as the cluster holds it; `None` when this version cannot read it.
        node: Option<Box<Node>>,
    },
    /// Was stopped.
    Stopped,
}

/// A running agent. Dropping it stops it too, without waiting.
#[derive(Debug)]
pub struct Agent {
    state: watch::Receiver<AgentState>,
    stop: CancellationToken,
    sessions: JoinHandle<()>,
}

impl Agent {
    /// Starts an agent that looks for a session with one of `managers`, each `HOST:PORT`, the
    /// preferred first; later the managers themselves say who they are. Must be called within a
    /// tokio runtime.
    #[must_use]
    pub fn start(options: Options, managers: Vec<String>, credentials: Credentials) -> Self {
        let Options { runtime, engine_version, hostname, tls } = options;
        let identity = description::Identity { hostname, engine_version };
        let reporter = Reporter::default();
        let (state, receiver) = watch::channel(AgentState::Searching { why: String::new() });
        let sessions = Sessions {
            dial: Box::new(move |manager| Ok(tls::channel(manager, &credentials)?)),
            describe: Box::new(move || description::describe(&identity, tls.clone())),
            boot_id: description::boot_id(),
            managers: Managers::new(managers),
            worker: Worker::new(Arc::new(Containerd::new(runtime)), reporter.clone()),
            reporter,
            state,
            obeyed: Obeyed::default(),
            backoff: Backoff::default(),
        };
        let stop = CancellationToken::new();
        let sessions = tokio::spawn(sessions.run(stop.clone()));
        Self { state: receiver, stop, sessions }
    }

    /// Its present state and every later one.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<AgentState> {
        self.state.clone()
    }

    /// Ends the session and returns when nothing of the agent runs any more, within seconds.
    /// Containers stay as they are.
    pub async fn stop(mut self) {
        self.stop.cancel();
        // The result only says whether the task panicked; then too, nothing of it is left.
        let _ = (&mut self.sessions).await;
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

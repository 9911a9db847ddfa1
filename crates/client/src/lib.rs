//! Speaks to a cluster: through a node's socket, or to a manager's port.
//!
//! What comes back are the types of `swarm-types`, decoded and checked. Every call has a
//! deadline. A change carries a request id drawn here, and is repeated with the same id when
//! its outcome is unknown or the manager is busy; the managers do it once.
//!
//! Names are resolved here ([`resolve`]), waiting for a service is here ([`settle`]); what a
//! change means is the managers' business.

mod cluster;
mod error;
mod figures;
mod images;
mod local;
mod nodes;
mod resolve;
mod retry;
mod services;
mod settle;
mod tasks;
mod volumes;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use swarm_proto::v1::control_client::ControlClient;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

pub use cluster::ClusterSettings;
pub use error::ClientError;
pub use figures::{Figures, RaftFigures};
pub use images::{Image, ImageRemoval, PullPhase, PullProgress, RemovedImage};
pub use local::{Founded, Info, JoinToken, Joined, Joining, Leaving, LocalState, Versions};
pub use nodes::{Managers, NodeVerdict, Removal, Standing, Verdict};
pub use services::{Changed, ServiceRow, TaskFilter};
pub use settle::{Progress, Settled, SlotKey, SlotProgress, Verify};
pub use tasks::{
    Exec, ExecCommand, ExecInput, ExecOutput, ExecSender, LogPart, LogQuery, Logs, Often,
    StatsSample, StatsStream, TaskStats, TerminalSize,
};
pub use volumes::{LocalVolume, Missing};
pub use watch::{Events, ObjectEvent};

/// How long a call may take.
const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// Largest answer that is taken; a list of 100,000 tasks stays below it.
const MAX_ANSWER: usize = 256 << 20;

/// How fresh an answer must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Consistency {
    /// As of a moment after the question; needs a leader and a quorum.
    Linearizable,
    /// What the asked manager has.
    Stale,
}

/// An answer and how old it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// Index of the log entry it reflects.
    pub applied_index: u64,
    /// Time since the manager last heard of the leader; `None` for linearizable answers.
    pub age: Option<Duration>,
}

/// A connection to a cluster; made when first needed, and again after it broke.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    /// Named in errors.
    target: String,
}

impl Client {
    /// Speaks through the socket of a node.
    #[must_use]
    pub fn unix(socket: &Path) -> Self {
        let path: PathBuf = socket.to_owned();
        let connector = tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        // The authority is only a header here; the socket is the address.
        let channel =
            Endpoint::from_static("http://swarm.sock").connect_with_connector_lazy(connector);
        Self { channel, target: format!("the daemon at {}", socket.display()) }
    }

    /// Speaks to a manager over a channel made by `swarm-crypto`.
    #[must_use]
    pub fn remote(channel: Channel, address: &str) -> Self {
        Self { channel, target: format!("the manager at {address}") }
    }

    fn control(&self) -> ControlClient<Channel> {
        ControlClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }
}

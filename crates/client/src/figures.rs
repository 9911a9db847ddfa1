//! What monitoring wants to know of the node behind the socket.

use std::collections::BTreeMap;

use swarm_proto::v1;
use swarm_types::Timestamp;

use crate::{Client, ClientError};

/// Figures of a node; what it does not have is `None` or empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Figures {
    /// Of its replicated store.
    pub raft: Option<RaftFigures>,
    /// Objects of the replica by kind, such as `service`.
    pub objects: BTreeMap<String, u64>,
    /// Tasks that no node was found for yet.
    pub pending_tasks: u64,
    /// When the node's certificate expires.
    pub certificate_expires_at: Option<Timestamp>,
    /// What the manager's parts count, in Prometheus' text form; empty without a manager.
    pub counted: String,
}

/// Figures of a manager's store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RaftFigures {
    /// Whether this manager leads.
    pub leads: bool,
    /// The term.
    pub term: u64,
    /// Managers in the membership.
    pub members: u64,
    /// Those among them that vote.
    pub voters: u64,
    /// Those that answered this one lately, with itself; only a leader asks all.
    pub reachable: u64,
    /// Index of the last entry in the log.
    pub last_index: u64,
    /// Index of the last entry applied.
    pub applied_index: u64,
    /// Index up to which the snapshot in use reaches.
    pub snapshot_index: Option<u64>,
    /// Bytes of all entries in the log.
    pub log_bytes: u64,
    /// Grows with every forced new cluster.
    pub epoch: u64,
}

impl Client {
    /// What monitoring wants to know; answers without a cluster and without a leader too.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unreachable`] when the daemon does not run.
    pub async fn figures(&self) -> Result<Figures, ClientError> {
        let answer = self
            .call(|| {
                let mut local = self.local();
                async move { local.figures(v1::FiguresRequest {}).await }
            })
            .await?;
        Ok(Figures {
            raft: answer.raft.map(|it| RaftFigures {
                leads: it.leads,
                term: it.term,
                members: it.members,
                voters: it.voters,
                reachable: it.reachable,
                last_index: it.last_index,
                applied_index: it.applied_index,
                snapshot_index: it.snapshot_index,
                log_bytes: it.log_bytes,
                epoch: it.epoch,
            }),
            objects: answer.objects.into_iter().collect(),
            pending_tasks: answer.pending_tasks,
            certificate_expires_at: answer.certificate_expires_at_ns.map(Timestamp),
            counted: answer.counted,
        })
    }
}

//! Reads that see every acknowledged write: one quorum round for all that wait.
//!
//! What arrives during a round belongs to the next one, since only a round that began after
//! the read can vouch for it.

use std::sync::Arc;
use std::time::Duration;

use openraft::error::{CheckIsLeaderError, RaftError};
use swarm_state::Snapshot;
use swarm_types::NodeId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::error::ReadError;
use crate::fault::Fault;
use crate::hub::Hub;
use crate::type_config::{Member, MemberId, Types};

/// How long a round may take: then there is no quorum.
const ROUND: Duration = Duration::from_secs(3);

/// Where a read's result goes.
pub(crate) type Reader = oneshot::Sender<Result<Snapshot, ReadError>>;

/// Serves reads.
pub(crate) struct Rounds {
    pub(crate) raft: openraft::Raft<Types>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) fault: Fault,
    pub(crate) readers: mpsc::Receiver<Reader>,
}

impl Rounds {
    /// Runs until nobody can ask any more; the owner drops it to stop it.
    pub(crate) async fn run(mut self) {
        while let Some(first) = self.readers.recv().await {
            let mut readers = vec![first];
            while let Ok(reader) = self.readers.try_recv() {
                readers.push(reader);
            }
            let result = self.round().await;
            for reader in readers {
                // A reader whose deadline has passed is gone.
                let _ = reader.send(result.clone());
            }
        }
    }

    async fn round(&self) -> Result<Snapshot, ReadError> {
        let began = Instant::now();
        let confirmed = tokio::select! {
            confirmed = timeout(ROUND, self.raft.ensure_linearizable()) => confirmed,
            reason = self.fault.raised() => return Err(reason.into()),
        };
        match confirmed {
            Ok(Ok(_)) => Ok(self.hub.snapshot()),
            Ok(Err(error)) => Err(self.unconfirmed(error)),
            Err(_) => Err(ReadError::Late { waited: began.elapsed() }),
        }
    }

    fn unconfirmed(
        &self,
        error: RaftError<MemberId, CheckIsLeaderError<MemberId, Member>>,
    ) -> ReadError {
        match error {
            RaftError::APIError(CheckIsLeaderError::ForwardToLeader(to)) => {
                ReadError::NotLeader { leader: to.leader_node.map(|member| member.node) }
            }
            RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(short)) => {
                let metrics = self.raft.metrics();
                let metrics = metrics.borrow();
                let membership = metrics.membership_config.membership();
                let node = |id: &MemberId| membership.get_node(id).map(|member| member.node);
                let reachable: Vec<NodeId> = short.got.iter().filter_map(node).collect();
                ReadError::NoQuorum { reachable }
            }
            RaftError::Fatal(_) => ReadError::Stopped(self.fault.stopped()),
        }
    }
}

//! The types openraft is used with, fixed once so that nothing else here is generic.

use std::fmt;
use std::sync::Arc;

use openraft::TokioRuntime;
use swarm_state::Accepted;
use swarm_types::{Entry, NodeId, Refusal};

use crate::snapshot::SnapshotFile;

openraft::declare_raft_types!(
    /// One raft group: the managers of one cluster.
    pub(crate) Types:
        D = Arc<Entry>,
        R = Reply,
        NodeId = MemberId,
        Node = Member,
        Entry = openraft::Entry<Types>,
        SnapshotData = SnapshotFile,
        Responder = openraft::impls::OneshotResponder<Types>,
        AsyncRuntime = TokioRuntime,
);

/// Raft's own number for a member: random, held in its store only, and never used again once
/// that store is gone.
pub type MemberId = u64;

/// A member of the raft group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The node it runs on.
    pub node: NodeId,
    /// Where the others reach it, `host:port`.
    pub addr: String,
}

impl Default for Member {
    fn default() -> Self {
        Self { node: NodeId::MIN, addr: String::new() }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.node, self.addr)
    }
}

/// What applying an entry came to, one result for each of its groups.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) results: Vec<Result<Accepted, Refusal>>,
}

pub(crate) type LogEntry = openraft::Entry<Types>;
pub(crate) type LogId = openraft::LogId<MemberId>;
pub(crate) type LeaderId = openraft::CommittedLeaderId<MemberId>;
pub(crate) type Vote = openraft::Vote<MemberId>;
pub(crate) type Membership = openraft::Membership<MemberId, Member>;
pub(crate) type StoredMembership = openraft::StoredMembership<MemberId, Member>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<MemberId, Member>;
pub(crate) type StorageError = openraft::StorageError<MemberId>;
pub(crate) type StorageIoError = openraft::StorageIOError<MemberId>;
pub(crate) type LogFlushed = openraft::storage::LogFlushed<Types>;

//! Why a store does not open, a proposal does not happen, a read has no answer.
//!
//! A variant for each thing the caller does differently. Whatever is wrong with the disk is
//! final: the store stops, says so once through [`StopReason`], and never tries again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use swarm_types::{NodeId, Refusal};

/// How a manager whose store cannot be trusted goes on; part of every such error.
const REJOIN: &str = "do not repair it by hand: restore the whole state directory from a backup, \
                      or, where other managers hold the cluster, move the folder `raft` in it away \
                      and start again as a new member";

/// Why the store does not open. Nothing was changed by trying.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no store. A node that had one before has lost it: it must join as a new member.
    #[error("there is no raft store in {}", dir.display())]
    Absent {
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// There is a store already.
    #[error("there is a raft store in {} already", dir.display())]
    Exists {
        /// Where it is.
        dir: PathBuf,
    },
    /// The founding of the cluster was interrupted before it was confirmed; found it again.
    #[error("the cluster in {} was never completely founded; run `swarm init` again", dir.display())]
    Unfinished {
        /// Where it is.
        dir: PathBuf,
    },
    /// Something acknowledged is missing or changed.
    #[error("{} is damaged: {why}; {REJOIN}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Written by a newer version.
    #[error(
        "{} has format {found}, this version reads up to {known}; install the newer version again",
        file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// The file system does not do as asked.
    #[error("{action} {}", file.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        file: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Settings that cannot work together.
    #[error("raft settings: {0}")]
    Settings(String),
    /// The founding group was refused.
    #[error("found the cluster")]
    Refused(#[source] Refusal),
    /// The store opened and stopped at once.
    #[error(transparent)]
    Stopped(#[from] StopReason),
    /// Opening took longer than it may.
    #[error("the raft store in {} was not ready within {waited:?}", dir.display())]
    Slow {
        /// Where it is.
        dir: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
}

impl OpenError {
    pub(crate) fn damaged(file: &Path, why: impl ToString) -> Self {
        Self::Damaged { file: file.into(), why: why.to_string() }
    }

    /// Turns an I/O error about `file` into ours.
    pub(crate) fn io(action: &'static str, file: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, file: file.into(), source }
    }
}

/// Why the store stopped. It stays stopped: the process must end, and look again on its start.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StopReason {
    /// The disk failed. After a failed write nobody knows what is durable.
    #[error("{action} {}: {source}", file.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// The file.
        file: PathBuf,
        /// Why it failed.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The replica may not apply what the log holds: it is too old for it, or differs.
    #[error("the replicated state stopped: {0}")]
    State(#[source] swarm_state::Halt),
    /// A bug.
    #[error("internal error in the raft {part}: {message}")]
    Panicked {
        /// Where.
        part: &'static str,
        /// What it said.
        message: String,
    },
    /// Raft itself gave up.
    #[error("raft stopped: {0}")]
    Raft(String),
    /// It was asked to.
    #[error("raft was shut down")]
    ShutDown,
}

impl StopReason {
    /// Turns an error about `file` into ours.
    pub(crate) fn disk<E>(action: &'static str, file: &Path) -> impl FnOnce(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        move |source| Self::Disk { action, file: file.into(), source: Arc::new(source) }
    }
}

/// Why a proposal has no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProposeError {
    /// Nothing was written here. Retry at the leader, when there is one.
    #[error("{}", not_leader(leader.as_ref()))]
    NotLeader {
        /// Who leads, as far as is known.
        leader: Option<NodeId>,
    },
    /// The queue is full; nothing was written.
    #[error("too many changes wait; try again in {} ms", retry_after.as_millis())]
    Busy {
        /// When there should be room again.
        retry_after: Duration,
    },
    /// The group is larger than an entry can be; nothing was written. Cut it into several.
    #[error("a group of {size} bytes is more than the {limit} an entry may have")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The largest size there may be.
        limit: usize,
    },
    /// It may still happen. Only the same group, with the same request id, may be tried again.
    #[error("no answer within {} ms: whether the change happens is not known", waited.as_millis())]
    Unknown {
        /// How long was waited.
        waited: Duration,
    },
    /// It was applied, and refused: it left no trace, and never will.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store has stopped. Whether the change happens is not known.
    #[error(transparent)]
    Stopped(#[from] StopReason),
}

/// Why a read has no answer. It may be tried again, here or at the leader.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// Another member leads.
    #[error("{}", not_leader(leader.as_ref()))]
    NotLeader {
        /// Who leads, as far as is known.
        leader: Option<NodeId>,
    },
    /// Too few members answered.
    #[error("no quorum: only {} answered", list(reachable))]
    NoQuorum {
        /// The members that answered, with this one.
        reachable: Vec<NodeId>,
    },
    /// The deadline passed first.
    #[error("no quorum answered within {} ms", waited.as_millis())]
    Late {
        /// How long was waited.
        waited: Duration,
    },
    /// Too many reads wait.
    #[error("too many reads wait; try again in {} ms", retry_after.as_millis())]
    Busy {
        /// When there should be room again.
        retry_after: Duration,
    },
    /// The store has stopped.
    #[error(transparent)]
    Stopped(#[from] StopReason),
}

/// Why the membership did not change. Every change may be tried again, here or elsewhere.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MembershipError {
    /// Nobody is known to lead, or that one does; nothing was changed.
    #[error("{}", not_leader(leader.as_ref()))]
    NotLeader {
        /// Who leads, as far as is known.
        leader: Option<NodeId>,
    },
    /// The managers left would have no quorum; nothing was changed.
    #[error(
        "the change needs {needed} managers that answer; there are {}: {}; bring managers back \
         first",
        reachable.len(),
        list(reachable)
    )]
    Quorum {
        /// The managers that answer.
        reachable: Vec<NodeId>,
        /// How many of them the membership after the change needs.
        needed: usize,
    },
    /// At that address nobody answers, or another than the newcomer; nothing was changed.
    #[error("the manager of node {node} is not reached at {addr}: {why}")]
    Unreachable {
        /// The newcomer.
        node: NodeId,
        /// Where it was looked for, `host:port`.
        addr: String,
        /// What happened there.
        why: String,
    },
    /// The newcomer did not catch up with the log in time; it does not vote.
    #[error("node {node} did not catch up with the others in time")]
    Behind {
        /// The newcomer.
        node: NodeId,
    },
    /// The member was a voter, and was removed: its number does not come back.
    #[error("the manager of node {node} was removed meanwhile: it comes back with an empty store")]
    Removed {
        /// Its node.
        node: NodeId,
    },
    /// The member was a voter, is not known here, and applied more than this leader has: what it holds
    /// may have been agreed on.
    #[error(
        "the manager of node {node} holds newer data than the one that leads, which seems to be of \
         an older backup: run `swarm init --force-new-cluster` on the one whose data is to be kept"
    )]
    Ahead {
        /// Its node.
        node: NodeId,
    },
    /// There would be no manager left.
    #[error("this is the last manager; removing it would end the cluster")]
    LastManager,
    /// Other changes wait already; nothing was changed.
    #[error("other managers are being added or removed; try again in {} ms", retry_after.as_millis())]
    Busy {
        /// When there should be room again.
        retry_after: Duration,
    },
    /// It may still happen; look at the members, or try again.
    #[error("no answer within {} ms: whether the change happens is not known", waited.as_millis())]
    Unknown {
        /// How long was waited.
        waited: Duration,
    },
    /// The store has stopped.
    #[error(transparent)]
    Stopped(#[from] StopReason),
}

fn not_leader(leader: Option<&NodeId>) -> String {
    match leader {
        Some(leader) => format!("not the leader; node {leader} is"),
        None => {
            "the swarm has no leader: too few managers may be online; `swarm info` tells which \
                 answer"
                .to_owned()
        }
    }
}

fn list(nodes: &[NodeId]) -> String {
    nodes.iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ")
}

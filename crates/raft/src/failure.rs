//! Why a member could not do what another asked of it, on its way back.
//!
//! The errors of the handle are made of it; where they say less, so does this.

use std::time::Duration;

use prost::Message;
use swarm_proto::v1;
use swarm_types::{NodeId, Refusal};

use crate::error::{MembershipError, ProposeError, ReadError, StopReason};
use crate::message::{millis, missing};
use crate::record::Malformed;

/// Why not.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// Nothing was done; that one leads, as far as is known.
    NotLeader(Option<NodeId>),
    /// Nothing was done; there should be room after that time.
    Busy(Duration),
    /// Nothing was done; bytes, and how many there may be.
    TooLarge(u64, u64),
    /// It may have been done, or may still be.
    Unknown(Duration),
    /// The state refuses it.
    Refused(Refusal),
    /// Only those answered; so many are needed.
    NoQuorum(Vec<NodeId>, u64),
    /// The node does not catch up.
    Behind(NodeId),
    /// The node is not at that address, and why.
    Unreachable(NodeId, String, String),
    /// The node's member was removed.
    Removed(NodeId),
    /// The node's member has more than the leader.
    Ahead(NodeId),
    /// It would leave no manager.
    LastManager,
}

impl From<ProposeError> for Failure {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::NotLeader { leader } => Self::NotLeader(leader),
            ProposeError::Busy { retry_after } => Self::Busy(retry_after),
            ProposeError::TooLarge { size, limit } => Self::TooLarge(size as u64, limit as u64),
            ProposeError::Unknown { waited } => Self::Unknown(waited),
            ProposeError::Refused(refusal) => Self::Refused(refusal),
            ProposeError::Stopped(_) => Self::Unknown(Duration::ZERO),
        }
    }
}

impl From<Failure> for ProposeError {
    fn from(failure: Failure) -> Self {
        let bytes = |count| usize::try_from(count).unwrap_or(usize::MAX);
        match failure {
            Failure::NotLeader(leader) => Self::NotLeader { leader },
            Failure::Busy(retry_after) => Self::Busy { retry_after },
            Failure::TooLarge(size, limit) => {
                Self::TooLarge { size: bytes(size), limit: bytes(limit) }
            }
            Failure::Refused(refusal) => Self::Refused(refusal),
            Failure::Unknown(waited) => Self::Unknown { waited },
            // No answer to a proposal.
            Failure::NoQuorum(..)
            | Failure::Behind(_)
            | Failure::Unreachable(..)
            | Failure::Removed(_)
            | Failure::Ahead(_)
            | Failure::LastManager => Self::Unknown { waited: Duration::ZERO },
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotLeader { leader } => Self::NotLeader(leader),
            ReadError::NoQuorum { reachable } => Self::NoQuorum(reachable, 0),
            ReadError::Late { waited } => Self::Unknown(waited),
            ReadError::Busy { retry_after } => Self::Busy(retry_after),
            ReadError::Stopped(_) => Self::NotLeader(None),
        }
    }
}

impl From<MembershipError> for Failure {
    fn from(error: MembershipError) -> Self {
        match error {
            MembershipError::NotLeader { leader } => Self::NotLeader(leader),
            MembershipError::Quorum { reachable, needed } => {
                Self::NoQuorum(reachable, needed as u64)
            }
            MembershipError::Behind { node } => Self::Behind(node),
            MembershipError::Unreachable { node, addr, why } => Self::Unreachable(node, addr, why),
            MembershipError::Removed { node } => Self::Removed(node),
            MembershipError::Ahead { node } => Self::Ahead(node),
            MembershipError::LastManager => Self::LastManager,
            MembershipError::Busy { retry_after } => Self::Busy(retry_after),
            MembershipError::Unknown { waited } => Self::Unknown(waited),
            MembershipError::Stopped(_) => Self::Unknown(Duration::ZERO),
        }
    }
}

impl From<Failure> for MembershipError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotLeader(leader) => Self::NotLeader { leader },
            Failure::Busy(retry_after) => Self::Busy { retry_after },
            Failure::Unknown(waited) => Self::Unknown { waited },
            Failure::NoQuorum(reachable, needed) => {
                Self::Quorum { reachable, needed: usize::try_from(needed).unwrap_or(usize::MAX) }
            }
            Failure::Behind(node) => Self::Behind { node },
            Failure::Unreachable(node, addr, why) => Self::Unreachable { node, addr, why },
            Failure::Removed(node) => Self::Removed { node },
            Failure::Ahead(node) => Self::Ahead { node },
            Failure::LastManager => Self::LastManager,
            // No answer to a change of the members.
            Failure::TooLarge(..) | Failure::Refused(_) => Self::Unknown { waited: Duration::ZERO },
        }
    }
}

impl From<StopReason> for Failure {
    fn from(_: StopReason) -> Self {
        Self::Unknown(Duration::ZERO)
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FailureRecord {
    #[prost(oneof = "FailureKind", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11")]
    kind: Option<FailureKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum FailureKind {
    /// The leader; empty when none is known.
    #[prost(string, tag = "1")]
    NotLeader(String),
    #[prost(uint64, tag = "2")]
    BusyMs(u64),
    #[prost(message, tag = "3")]
    TooLarge(SizeRecord),
    #[prost(uint64, tag = "4")]
    UnknownMs(u64),
    #[prost(message, tag = "5")]
    Refused(v1::Refusal),
    #[prost(message, tag = "6")]
    NoQuorum(QuorumRecord),
    #[prost(string, tag = "7")]
    Behind(String),
    #[prost(bool, tag = "8")]
    LastManager(bool),
    #[prost(message, tag = "9")]
    Unreachable(UnreachableRecord),
    #[prost(string, tag = "10")]
    Removed(String),
    #[prost(string, tag = "11")]
    Ahead(String),
}

#[derive(Clone, PartialEq, Message)]
struct UnreachableRecord {
    #[prost(string, tag = "1")]
    node: String,
    #[prost(string, tag = "2")]
    addr: String,
    #[prost(string, tag = "3")]
    why: String,
}

#[derive(Clone, PartialEq, Message)]
struct SizeRecord {
    #[prost(uint64, tag = "1")]
    size: u64,
    #[prost(uint64, tag = "2")]
    limit: u64,
}

#[derive(Clone, PartialEq, Message)]
struct QuorumRecord {
    #[prost(string, repeated, tag = "1")]
    reachable: Vec<String>,
    #[prost(uint64, tag = "2")]
    needed: u64,
}

fn node(text: &str) -> Result<NodeId, Malformed> {
    text.parse().map_err(Malformed::new)
}

impl From<&Failure> for FailureRecord {
    fn from(failure: &Failure) -> Self {
        let kind = match failure {
            Failure::NotLeader(leader) => {
                FailureKind::NotLeader(leader.map_or_else(String::new, |node| node.to_string()))
            }
            Failure::Busy(after) => FailureKind::BusyMs(millis(*after)),
            Failure::TooLarge(size, limit) => {
                FailureKind::TooLarge(SizeRecord { size: *size, limit: *limit })
            }
            Failure::Unknown(waited) => FailureKind::UnknownMs(millis(*waited)),
            Failure::Refused(refusal) => FailureKind::Refused(refusal.into()),
            Failure::NoQuorum(reachable, needed) => FailureKind::NoQuorum(QuorumRecord {
                reachable: reachable.iter().map(ToString::to_string).collect(),
                needed: *needed,
            }),
            Failure::Behind(node) => FailureKind::Behind(node.to_string()),
            Failure::Removed(node) => FailureKind::Removed(node.to_string()),
            Failure::Ahead(node) => FailureKind::Ahead(node.to_string()),
            Failure::LastManager => FailureKind::LastManager(true),
            Failure::Unreachable(node, addr, why) => {
                let (addr, why) = (addr.clone(), why.clone());
                FailureKind::Unreachable(UnreachableRecord { node: node.to_string(), addr, why })
            }
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<FailureRecord> for Failure {
    type Error = Malformed;

    fn try_from(record: FailureRecord) -> Result<Self, Malformed> {
        Ok(match record.kind.ok_or_else(missing)? {
            FailureKind::NotLeader(leader) if leader.is_empty() => Self::NotLeader(None),
            FailureKind::NotLeader(leader) => Self::NotLeader(Some(node(&leader)?)),
            FailureKind::BusyMs(after) => Self::Busy(Duration::from_millis(after)),
            FailureKind::TooLarge(SizeRecord { size, limit }) => Self::TooLarge(size, limit),
            FailureKind::UnknownMs(waited) => Self::Unknown(Duration::from_millis(waited)),
            FailureKind::Refused(refusal) => {
                Self::Refused(Refusal::try_from(refusal).map_err(Malformed::new)?)
            }
            FailureKind::NoQuorum(QuorumRecord { reachable, needed }) => {
                let reachable = reachable.iter().map(|text| node(text));
                Self::NoQuorum(reachable.collect::<Result<_, _>>()?, needed)
            }
            FailureKind::Behind(text) => Self::Behind(node(&text)?),
            FailureKind::Removed(text) => Self::Removed(node(&text)?),
            FailureKind::Ahead(text) => Self::Ahead(node(&text)?),
            FailureKind::LastManager(_) => Self::LastManager,
            FailureKind::Unreachable(UnreachableRecord { node: text, addr, why }) => {
                Self::Unreachable(node(&text)?, addr, why)
            }
        })
    }
}

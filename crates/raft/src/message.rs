//! What members ask each other and answer, as bytes with numbered fields.
//!
//! One question, one answer; which one belongs to which is known to those who ask. A message
//! that does not decode is refused, never guessed.

use std::sync::Arc;
use std::time::Duration;

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};
use prost::Message;
use swarm_proto::v1;
use swarm_types::{Group, NodeId};

use crate::failure::{Failure, FailureRecord};
use crate::lanes::Lane;
use crate::record::{
    Malformed, MemberRecord, PositionRecord, Tag, VoteRecord, decode_entry, encode_entry,
};
use crate::type_config::{LogId, Member, MemberId, Types, Vote};

/// A question to a member.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Take these entries; none is a heartbeat.
    Append {
        entries: AppendEntriesRequest<Types>,
        /// A quorum answered the leader within the lease.
        quorum: bool,
    },
    /// Vote for the sender.
    Vote(VoteRequest<MemberId>),
    /// Write a group, and say what became of it within the time.
    Propose(Lane, Arc<Group>, Duration),
    /// Up to where does a reader have to see?
    ReadIndex(Duration),
    /// Are you there?
    Ping,
    /// Does your store survive a restart, as the member it is?
    Ready,
    /// Stand for election.
    Elect,
    /// How much of the snapshot with this id came before its sender was cut off?
    Held(String),
    /// Change who the members are, within the time.
    Change(Change, Duration),
}

/// A change of the membership.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// A voter with this number, in place of what the node was before.
    Add(MemberId, Member),
    /// No member on that node any more.
    Remove(NodeId),
    /// Another address.
    Readdress(NodeId, String),
}

/// The answer.
#[derive(Debug)]
pub(crate) enum Answer {
    Append(AppendEntriesResponse<MemberId>),
    Vote(VoteResponse<MemberId>),
    /// What became of a group, and up to where the state shows it.
    Proposed(Result<swarm_state::Accepted, Failure>, u64),
    ReadIndex(Option<LogId>),
    Done,
    /// It is there, and how far it has come.
    Here {
        /// Whether it is a voter, as far as it knows.
        votes: bool,
        /// Index of the last entry it applied.
        applied: u64,
    },
    /// So many chunks of a snapshot.
    Held(u32),
    /// The vote of the one who took the snapshot.
    Installed(Vote),
    Failed(Failure),
}

#[derive(Clone, PartialEq, Message)]
struct AppendRecord {
    #[prost(message, required, tag = "1")]
    vote: VoteRecord,
    #[prost(message, optional, tag = "2")]
    prev: Option<PositionRecord>,
    #[prost(message, optional, tag = "3")]
    commit: Option<PositionRecord>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    entries: Vec<Vec<u8>>,
    #[prost(bool, tag = "5")]
    quorum: bool,
}

/// Asking for a vote, and the answer.
#[derive(Clone, PartialEq, Message)]
struct BallotRecord {
    #[prost(message, required, tag = "1")]
    vote: VoteRecord,
    #[prost(message, optional, tag = "2")]
    last: Option<PositionRecord>,
    #[prost(bool, tag = "3")]
    granted: bool,
}

#[derive(Clone, PartialEq, Message)]
struct ProposeRecord {
    #[prost(bool, tag = "1")]
    status: bool,
    #[prost(message, required, tag = "2")]
    group: v1::Group,
    #[prost(uint64, tag = "3")]
    within_ms: u64,
}

#[derive(Clone, PartialEq, Message)]
struct ChangeRecord {
    #[prost(oneof = "ChangeKind", tags = "1, 2, 3")]
    kind: Option<ChangeKind>,
    #[prost(uint64, tag = "4")]
    within_ms: u64,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum ChangeKind {
    #[prost(message, tag = "1")]
    Add(MemberRecord),
    #[prost(string, tag = "2")]
    Remove(String),
    #[prost(message, tag = "3")]
    Readdress(MemberRecord),
}

#[derive(Clone, PartialEq, Message)]
struct AskRecord {
    #[prost(oneof = "AskKind", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9")]
    kind: Option<AskKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum AskKind {
    #[prost(message, tag = "1")]
    Append(AppendRecord),
    #[prost(message, tag = "2")]
    Vote(BallotRecord),
    #[prost(message, tag = "3")]
    Propose(ProposeRecord),
    #[prost(uint64, tag = "4")]
    ReadIndex(u64),
    #[prost(bool, tag = "5")]
    Ping(bool),
    #[prost(bool, tag = "6")]
    Elect(bool),
    #[prost(message, tag = "7")]
    Change(ChangeRecord),
    #[prost(bool, tag = "8")]
    Ready(bool),
    #[prost(string, tag = "9")]
    Held(String),
}

#[derive(Clone, PartialEq, Message)]
struct AppendedRecord {
    #[prost(oneof = "AppendedKind", tags = "1, 2, 3, 4")]
    kind: Option<AppendedKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum AppendedKind {
    #[prost(bool, tag = "1")]
    Success(bool),
    #[prost(message, tag = "2")]
    Partial(SpotRecord),
    #[prost(bool, tag = "3")]
    Conflict(bool),
    #[prost(message, tag = "4")]
    HigherVote(VoteRecord),
}

#[derive(Clone, PartialEq, Message)]
struct AcceptedRecord {
    #[prost(uint64, tag = "1")]
    version: u64,
    #[prost(bool, tag = "2")]
    replayed: bool,
}

#[derive(Clone, PartialEq, Message)]
struct ProposedRecord {
    #[prost(oneof = "ProposedKind", tags = "1, 2")]
    kind: Option<ProposedKind>,
    #[prost(uint64, tag = "3")]
    at: u64,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum ProposedKind {
    #[prost(message, tag = "1")]
    Accepted(AcceptedRecord),
    #[prost(message, tag = "2")]
    Failed(FailureRecord),
}

#[derive(Clone, PartialEq, Message)]
struct SpotRecord {
    #[prost(message, optional, tag = "1")]
    at: Option<PositionRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct HereRecord {
    #[prost(bool, tag = "1")]
    votes: bool,
    #[prost(uint64, tag = "2")]
    applied: u64,
}

#[derive(Clone, PartialEq, Message)]
struct AnswerRecord {
    #[prost(oneof = "AnswerKind", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9")]
    kind: Option<AnswerKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum AnswerKind {
    #[prost(message, tag = "1")]
    Append(AppendedRecord),
    #[prost(message, tag = "2")]
    Vote(BallotRecord),
    #[prost(message, tag = "3")]
    Proposed(ProposedRecord),
    #[prost(message, tag = "4")]
    ReadIndex(SpotRecord),
    #[prost(bool, tag = "5")]
    Done(bool),
    #[prost(message, tag = "6")]
    Installed(VoteRecord),
    #[prost(message, tag = "7")]
    Failed(FailureRecord),
    #[prost(uint32, tag = "8")]
    Held(u32),
    #[prost(message, tag = "9")]
    Here(HereRecord),
}

pub(crate) fn missing() -> Malformed {
    Malformed::new("a message of a kind that is not known here")
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn node(text: &str) -> Result<NodeId, Malformed> {
    text.parse().map_err(Malformed::new)
}

impl Ask {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let kind = match self {
            Self::Append { entries: append, quorum } => AskKind::Append(AppendRecord {
                vote: append.vote.into(),
                prev: append.prev_log_id.map(Into::into),
                commit: append.leader_commit.map(Into::into),
                entries: append
                    .entries
                    .iter()
                    .map(|entry| encode_entry(entry, &Tag::default()))
                    .collect(),
                quorum: *quorum,
            }),
            Self::Vote(ballot) => AskKind::Vote(BallotRecord {
                vote: ballot.vote.into(),
                last: ballot.last_log_id.map(Into::into),
                granted: false,
            }),
            Self::Propose(lane, group, within) => AskKind::Propose(ProposeRecord {
                status: *lane == Lane::Status,
                group: group.as_ref().into(),
                within_ms: millis(*within),
            }),
            Self::ReadIndex(within) => AskKind::ReadIndex(millis(*within)),
            Self::Ping => AskKind::Ping(true),
            Self::Ready => AskKind::Ready(true),
            Self::Elect => AskKind::Elect(true),
            Self::Held(id) => AskKind::Held(id.clone()),
            Self::Change(change, within) => {
                let kind = match change {
                    Change::Add(id, member) => ChangeKind::Add((*id, member).into()),
                    Change::Remove(node) => ChangeKind::Remove(node.to_string()),
                    Change::Readdress(node, addr) => {
                        let member = Member { node: *node, addr: addr.clone() };
                        ChangeKind::Readdress((0, &member).into())
                    }
                };
                AskKind::Change(ChangeRecord { kind: Some(kind), within_ms: millis(*within) })
            }
        };
        AskRecord { kind: Some(kind) }.encode_to_vec()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let millis = Duration::from_millis;
        Ok(match AskRecord::decode(bytes)?.kind.ok_or_else(missing)? {
            AskKind::Append(append) => {
                let entries =
                    append.entries.iter().map(|entry| decode_entry(entry).map(|(it, _)| it));
                let entries = AppendEntriesRequest {
                    vote: append.vote.into(),
                    prev_log_id: append.prev.map(Into::into),
                    leader_commit: append.commit.map(Into::into),
                    entries: entries.collect::<Result<_, _>>()?,
                };
                Self::Append { entries, quorum: append.quorum }
            }
            AskKind::Vote(ballot) => {
                Self::Vote(VoteRequest::new(ballot.vote.into(), ballot.last.map(Into::into)))
            }
            AskKind::Propose(propose) => {
                let lane = if propose.status { Lane::Status } else { Lane::Control };
                let group = Group::try_from(propose.group).map_err(Malformed::new)?;
                Self::Propose(lane, Arc::new(group), millis(propose.within_ms))
            }
            AskKind::ReadIndex(within) => Self::ReadIndex(millis(within)),
            AskKind::Ping(_) => Self::Ping,
            AskKind::Ready(_) => Self::Ready,
            AskKind::Elect(_) => Self::Elect,
            AskKind::Held(id) => Self::Held(id),
            AskKind::Change(change) => {
                let within = millis(change.within_ms);
                let change = match change.kind.ok_or_else(missing)? {
                    ChangeKind::Add(member) => {
                        let (id, member) = member.try_into()?;
                        Change::Add(id, member)
                    }
                    ChangeKind::Remove(text) => Change::Remove(node(&text)?),
                    ChangeKind::Readdress(member) => {
                        let (_, member): (MemberId, Member) = member.try_into()?;
                        Change::Readdress(member.node, member.addr)
                    }
                };
                Self::Change(change, within)
            }
        })
    }
}

impl Answer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let kind = match self {
            Self::Append(response) => AnswerKind::Append(AppendedRecord {
                kind: Some(match response {
                    AppendEntriesResponse::Success => AppendedKind::Success(true),
                    AppendEntriesResponse::PartialSuccess(upto) => {
                        AppendedKind::Partial(SpotRecord { at: upto.map(Into::into) })
                    }
                    AppendEntriesResponse::Conflict => AppendedKind::Conflict(true),
                    AppendEntriesResponse::HigherVote(vote) => {
                        AppendedKind::HigherVote((*vote).into())
                    }
                }),
            }),
            Self::Vote(ballot) => AnswerKind::Vote(BallotRecord {
                vote: ballot.vote.into(),
                last: ballot.last_log_id.map(Into::into),
                granted: ballot.vote_granted,
            }),
            Self::Proposed(outcome, at) => {
                let kind = match outcome {
                    Ok(it) => ProposedKind::Accepted(AcceptedRecord {
                        version: it.version,
                        replayed: it.replayed,
                    }),
                    Err(failure) => ProposedKind::Failed(failure.into()),
                };
                AnswerKind::Proposed(ProposedRecord { kind: Some(kind), at: *at })
            }
            Self::ReadIndex(index) => {
                AnswerKind::ReadIndex(SpotRecord { at: index.map(Into::into) })
            }
            Self::Done => AnswerKind::Done(true),
            Self::Here { votes, applied } => {
                AnswerKind::Here(HereRecord { votes: *votes, applied: *applied })
            }
            Self::Held(chunks) => AnswerKind::Held(*chunks),
            Self::Installed(vote) => AnswerKind::Installed((*vote).into()),
            Self::Failed(failure) => AnswerKind::Failed(failure.into()),
        };
        AnswerRecord { kind: Some(kind) }.encode_to_vec()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        Ok(match AnswerRecord::decode(bytes)?.kind.ok_or_else(missing)? {
            AnswerKind::Append(appended) => {
                Self::Append(match appended.kind.ok_or_else(missing)? {
                    AppendedKind::Success(_) => AppendEntriesResponse::Success,
                    AppendedKind::Partial(upto) => {
                        AppendEntriesResponse::PartialSuccess(upto.at.map(Into::into))
                    }
                    AppendedKind::Conflict(_) => AppendEntriesResponse::Conflict,
                    AppendedKind::HigherVote(vote) => {
                        AppendEntriesResponse::HigherVote(vote.into())
                    }
                })
            }
            AnswerKind::Vote(ballot) => Self::Vote(VoteResponse::new(
                Vote::from(ballot.vote),
                ballot.last.map(Into::into),
                ballot.granted,
            )),
            AnswerKind::Proposed(ProposedRecord { kind, at }) => {
                let outcome = match kind.ok_or_else(missing)? {
                    ProposedKind::Accepted(AcceptedRecord { version, replayed }) => {
                        Ok(swarm_state::Accepted { version, replayed })
                    }
                    ProposedKind::Failed(failure) => Err(failure.try_into()?),
                };
                Self::Proposed(outcome, at)
            }
            AnswerKind::ReadIndex(read) => Self::ReadIndex(read.at.map(Into::into)),
            AnswerKind::Done(_) => Self::Done,
            AnswerKind::Here(HereRecord { votes, applied }) => Self::Here { votes, applied },
            AnswerKind::Held(chunks) => Self::Held(chunks),
            AnswerKind::Installed(vote) => Self::Installed(vote.into()),
            AnswerKind::Failed(failure) => Self::Failed(failure.try_into()?),
        })
    }
}

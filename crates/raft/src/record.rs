//! Raft's own records as bytes, with numbered fields.
//!
//! What an entry carries is encoded by `swarm-proto`; here stands only what raft adds: votes,
//! positions, membership. A record that does not decode is damage, never a default.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openraft::EntryPayload;
use prost::Message;

use crate::type_config::{
    LeaderId, LogEntry, LogId, Member, MemberId, Membership, SnapshotMeta, StoredMembership, Vote,
};

/// Why bytes are not the record they should be.
#[derive(Debug, Clone, thiserror::Error)]
#[error("a record cannot be decoded: {0}")]
pub(crate) struct Malformed(String);

impl Malformed {
    pub(crate) fn new(why: impl ToString) -> Self {
        Self(why.to_string())
    }
}

impl From<prost::DecodeError> for Malformed {
    fn from(error: prost::DecodeError) -> Self {
        Self::new(error)
    }
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct PositionRecord {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint64, tag = "2")]
    member: u64,
    #[prost(uint64, tag = "3")]
    index: u64,
}

impl From<LogId> for PositionRecord {
    fn from(id: LogId) -> Self {
        Self { term: id.leader_id.term, member: id.leader_id.node_id, index: id.index }
    }
}

impl From<PositionRecord> for LogId {
    fn from(record: PositionRecord) -> Self {
        Self::new(LeaderId::new(record.term, record.member), record.index)
    }
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct VoteRecord {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint64, tag = "2")]
    member: u64,
    #[prost(bool, tag = "3")]
    committed: bool,
}

impl From<Vote> for VoteRecord {
    fn from(vote: Vote) -> Self {
        let leader = vote.leader_id;
        Self { term: leader.term, member: leader.node_id, committed: vote.committed }
    }
}

impl From<VoteRecord> for Vote {
    fn from(record: VoteRecord) -> Self {
        let vote = Self::new(record.term, record.member);
        Self { committed: record.committed, ..vote }
    }
}

#[derive(Clone, PartialEq, Message)]
struct VotersRecord {
    #[prost(uint64, repeated, tag = "1")]
    members: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MemberRecord {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(string, tag = "2")]
    node: String,
    #[prost(string, tag = "3")]
    addr: String,
}

impl From<(MemberId, &Member)> for MemberRecord {
    fn from((id, member): (MemberId, &Member)) -> Self {
        Self { id, node: member.node.to_string(), addr: member.addr.clone() }
    }
}

impl TryFrom<MemberRecord> for (MemberId, Member) {
    type Error = Malformed;

    fn try_from(MemberRecord { id, node, addr }: MemberRecord) -> Result<Self, Malformed> {
        Ok((id, Member { node: node.parse().map_err(Malformed::new)?, addr }))
    }
}

#[derive(Clone, PartialEq, Message)]
struct MembershipRecord {
    #[prost(message, repeated, tag = "1")]
    configs: Vec<VotersRecord>,
    #[prost(message, repeated, tag = "2")]
    members: Vec<MemberRecord>,
}

impl From<&Membership> for MembershipRecord {
    fn from(membership: &Membership) -> Self {
        let voters = |set: &BTreeSet<u64>| VotersRecord { members: set.iter().copied().collect() };
        let member = |(id, it): (&u64, &Member)| MemberRecord::from((*id, it));
        Self {
            configs: membership.get_joint_config().iter().map(voters).collect(),
            members: membership.nodes().map(member).collect(),
        }
    }
}

impl TryFrom<MembershipRecord> for Membership {
    type Error = Malformed;

    fn try_from(record: MembershipRecord) -> Result<Self, Malformed> {
        let members = record.members.into_iter().map(TryInto::try_into);
        let members = members.collect::<Result<BTreeMap<MemberId, Member>, Malformed>>()?;
        let configs: Vec<BTreeSet<u64>> =
            record.configs.into_iter().map(|voters| voters.members.into_iter().collect()).collect();
        if configs.iter().flatten().any(|voter| !members.contains_key(voter)) {
            return Err(Malformed::new("a voter is not a member"));
        }
        Ok(Self::new(configs, members))
    }
}

#[derive(Clone, PartialEq, Message)]
struct EntryRecord {
    #[prost(message, required, tag = "1")]
    id: PositionRecord,
    /// Tag of the entry before: entries form a chain, so none can be replaced unnoticed.
    #[prost(bytes = "vec", tag = "2")]
    after: Vec<u8>,
    #[prost(oneof = "PayloadRecord", tags = "3, 4, 5")]
    payload: Option<PayloadRecord>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum PayloadRecord {
    #[prost(bool, tag = "3")]
    Blank(bool),
    #[prost(bytes, tag = "4")]
    Groups(Vec<u8>),
    #[prost(message, tag = "5")]
    Membership(MembershipRecord),
}

/// Binds an entry to the one before it; folded from the seals of its chunks.
pub(crate) type Tag = [u8; 16];

pub(crate) fn encode_entry(entry: &LogEntry, after: &Tag) -> Vec<u8> {
    let payload = match &entry.payload {
        EntryPayload::Blank => PayloadRecord::Blank(true),
        EntryPayload::Normal(groups) => {
            PayloadRecord::Groups(swarm_proto::records::encode_entry(groups))
        }
        EntryPayload::Membership(membership) => PayloadRecord::Membership(membership.into()),
    };
    let record =
        EntryRecord { id: entry.log_id.into(), after: after.to_vec(), payload: Some(payload) };
    record.encode_to_vec()
}

/// The entry, and the tag of the one before it.
pub(crate) fn decode_entry(bytes: &[u8]) -> Result<(LogEntry, Tag), Malformed> {
    let record = EntryRecord::decode(bytes)?;
    let after = record.after.try_into().map_err(|_| Malformed::new("an entry without a chain"))?;
    let payload = match record.payload.ok_or_else(|| Malformed::new("an entry without payload"))? {
        PayloadRecord::Blank(_) => EntryPayload::Blank,
        PayloadRecord::Groups(groups) => {
            let entry = swarm_proto::records::decode_entry(&groups).map_err(Malformed::new)?;
            EntryPayload::Normal(Arc::new(entry))
        }
        PayloadRecord::Membership(membership) => EntryPayload::Membership(membership.try_into()?),
    };
    Ok((LogEntry { log_id: record.id.into(), payload }, after))
}

/// Random id of a snapshot, unique in the world.
pub(crate) type SnapshotId = [u8; 16];

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SnapshotMetaRecord {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    last: Option<PositionRecord>,
    #[prost(message, optional, tag = "3")]
    membership_at: Option<PositionRecord>,
    #[prost(message, required, tag = "4")]
    membership: MembershipRecord,
}

impl From<&SnapshotMeta> for SnapshotMetaRecord {
    fn from(meta: &SnapshotMeta) -> Self {
        Self {
            id: meta.snapshot_id.clone().into_bytes(),
            last: meta.last_log_id.map(Into::into),
            membership_at: meta.last_membership.log_id().map(Into::into),
            membership: meta.last_membership.membership().into(),
        }
    }
}

impl TryFrom<SnapshotMetaRecord> for SnapshotMeta {
    type Error = Malformed;

    fn try_from(record: SnapshotMetaRecord) -> Result<Self, Malformed> {
        let membership_at = record.membership_at.map(Into::into);
        Ok(Self {
            last_log_id: record.last.map(Into::into),
            last_membership: StoredMembership::new(membership_at, record.membership.try_into()?),
            snapshot_id: String::from_utf8(record.id).map_err(Malformed::new)?,
        })
    }
}

/// Two hexadecimal digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a [`SnapshotId`] from its text form.
pub(crate) fn snapshot_id(text: &str) -> Result<SnapshotId, Malformed> {
    let wrong = || Malformed::new("a snapshot id has 32 hexadecimal digits");
    if text.len() != 32 || !text.is_ascii() {
        return Err(wrong());
    }
    let mut id = SnapshotId::default();
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| wrong())?;
    }
    Ok(id)
}

//! A cluster of one out of what this member holds, made while nothing runs.
//!
//! The mark decides, in one write: from then on the store is of the next epoch, under another
//! member number, and names who is left. Before it, nothing has changed; after it, whoever opens
//! the store finishes the rest, from the beginning if that was cut. Doing so twice is harmless:
//! it only adds another entry that says the same in a later term.
//!
//! The rest is what a leader would have written that all others agreed with: an entry after all
//! that is there, in a later term, with this member as the only one. Everything before it counts
//! as committed by that.

use std::collections::{BTreeMap, BTreeSet};

use openraft::EntryPayload;
use prost::Message;
use sled::Batch;

use super::open::Opened;
use super::table::Fact;
use crate::error::OpenError;
use crate::mark::{Anchor, MarkFile};
use crate::record::{PositionRecord, VoteRecord};
use crate::type_config::{LeaderId, LogEntry, LogId, Member, MemberId, Membership, Vote};

/// Longest address: it has to fit into a cell of the mark.
const ADDR: usize = 512;

/// Decides that the store is a cluster of its own, with `alone` as the only member.
pub(super) fn decide(
    mark: &mut MarkFile,
    member: MemberId,
    alone: Member,
) -> Result<(), OpenError> {
    if alone.addr.len() > ADDR {
        return Err(OpenError::Settings(format!("an address has at most {ADDR} bytes")));
    }
    mark.update(|mark| {
        mark.member = member;
        mark.epoch += 1;
        mark.alone = Some(alone);
    })?;
    Ok(())
}

/// Does what was decided and not finished.
pub(super) fn finish((table, mut mark, tail, mut positions): Opened) -> Result<Opened, OpenError> {
    let Some(alone) = mark.get().alone.clone() else {
        return Ok((table, mark, tail, positions));
    };
    let member = mark.get().member;
    let voted = positions.vote.map_or(0, |vote| vote.leader_id.term);
    let term = 1 + positions.last.map_or(0, |last| last.leader_id.term).max(voted);
    let index = positions.last.map_or(0, |last| last.index + 1);
    let vote = Vote::new_committed(term, member);
    let id = LogId::new(LeaderId::new(term, member), index);
    let only = Membership::new(vec![BTreeSet::from([member])], BTreeMap::from([(member, alone)]));
    let entry = LogEntry { log_id: id, payload: EntryPayload::Membership(only) };

    let mut batch = Batch::default();
    let (tag, size) = table.put_entry(&mut batch, &entry, &tail);
    table.put_fact(&mut batch, Fact::Vote, &VoteRecord::from(vote).encode_to_vec());
    table.commit(batch)?;
    mark.update(|mark| {
        mark.vote = Some(vote);
        mark.last = Some(Anchor { id, tag: Some(tag) });
    })?;
    // Not before the entry counts: one that is committed must never be missing.
    let mut batch = Batch::default();
    table.put_fact(&mut batch, Fact::Committed, &PositionRecord::from(id).encode_to_vec());
    table.commit(batch)?;
    mark.update(|mark| mark.alone = None)?;

    positions.push(entry);
    positions.durable(size);
    (positions.vote, positions.committed) = (Some(vote), Some(id));
    tracing::warn!(epoch = mark.get().epoch, "this member is a cluster of its own from here on");
    Ok((table, mark, tag, positions))
}

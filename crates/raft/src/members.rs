//! Who the members are.
//!
//! One change at a time, by the leader, and only when the members that answer are a quorum
//! before and after it: a change that cannot be agreed on would stop everything behind it. Every
//! change may be repeated; what is so already is not done again.
//!
//! A member's number stands for its vote memory. A node that comes with another number has lost
//! it, so its old member goes before the new one is let in. A voter that was removed does not come
//! back under its number: it may have stood again and again since, and the term it came to would
//! end the leader's office.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use openraft::error::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::{ChangeMembers, RaftMetrics, ServerState};
use swarm_types::NodeId;
use tokio::time::{sleep, timeout_at};

use crate::dial::Lost;
use crate::error::MembershipError;
use crate::failure::Failure;
use crate::leadership::Leadership;
use crate::message::{Answer, Ask, Change};
use crate::propose::other;
use crate::raft::Raft;
use crate::settle::finish_last;
use crate::type_config::{Member, MemberId, Membership};

/// Changes that may wait for their turn.
pub(crate) const CHANGES: usize = 16;
/// After that long some of them are done.
pub(crate) const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Pause before the leader is looked for again.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a newcomer may take to answer at its address.
const DIAL_BACK: Duration = Duration::from_secs(2);
/// Entries a newcomer may lack when it becomes a voter; it gets them within a heartbeat.
const NEARLY: u64 = 64;

pub(crate) type Metrics = RaftMetrics<MemberId, Member>;

impl Raft {
    /// Makes the member a voter, if it answers at its address: it is told everything first, and a
    /// member of the same node with another number is removed. Asks the leader when this member does
    /// not lead.
    ///
    /// # Errors
    ///
    /// [`MembershipError`]; [`MembershipError::Removed`] alone says that the member's store is of no
    /// use any more.
    pub async fn add(
        &self,
        id: MemberId,
        member: Member,
        deadline: Instant,
    ) -> Result<(), MembershipError> {
        self.change(Change::Add(id, member), deadline).await
    }

    /// Removes the node's member; a leader hands over first. A node without one is `Ok`.
    ///
    /// # Errors
    ///
    /// [`MembershipError`].
    pub async fn remove(&self, node: NodeId, deadline: Instant) -> Result<(), MembershipError> {
        self.change(Change::Remove(node), deadline).await
    }

    /// Tells everybody the address, `host:port`, at which the node's member is reached. A node
    /// without a member is `Ok`.
    ///
    /// # Errors
    ///
    /// [`MembershipError`].
    pub async fn readdress(
        &self,
        node: NodeId,
        addr: String,
        deadline: Instant,
    ) -> Result<(), MembershipError> {
        self.change(Change::Readdress(node, addr), deadline).await
    }

    async fn change(&self, change: Change, deadline: Instant) -> Result<(), MembershipError> {
        loop {
            let tried = match self.0.leader() {
                Some(leader) => self.change_there(&leader, &change, deadline).await,
                None => self.change_here(change.clone(), deadline).await,
            };
            let last = Instant::now() + PAUSE >= deadline;
            match tried {
                // A change may be repeated, and somebody will lead.
                Err(MembershipError::NotLeader { .. }) if !last => sleep(PAUSE).await,
                tried => return tried,
            }
        }
    }

    async fn change_there(
        &self,
        (id, member): &(MemberId, Member),
        change: &Change,
        deadline: Instant,
    ) -> Result<(), MembershipError> {
        let began = Instant::now();
        let within = deadline.saturating_duration_since(began);
        let ask = Ask::Change(change.clone(), within);
        match self.0.link.ask((*id, member), &ask, within).await {
            Ok(Answer::Done) => Ok(()),
            Ok(Answer::Failed(failure)) => Err(failure.into()),
            Err(Lost::Unreached(_) | Lost::Refused(_)) => {
                Err(MembershipError::NotLeader { leader: None })
            }
            Ok(_) | Err(Lost::Silent(_)) => {
                Err(MembershipError::Unknown { waited: began.elapsed() })
            }
        }
    }

    /// Carries the change out when this member leads.
    pub(crate) async fn change_here(
        &self,
        change: Change,
        deadline: Instant,
    ) -> Result<(), MembershipError> {
        let began = Instant::now();
        let busy = || MembershipError::Busy { retry_after: RETRY_AFTER };
        let _place = self.0.turns.try_acquire().map_err(|_| busy())?;
        let turn = timeout_at(deadline.into(), self.0.turn.lock()).await;
        let _turn = turn.map_err(|_| busy())?;
        let made = async {
            self.leads()?;
            if self.membership().get_joint_config().len() > 1 {
                self.agree(finish_last(), deadline).await?;
            }
            match change {
                Change::Add(id, member) => self.add_here(id, member, deadline).await,
                Change::Remove(node) => self.remove_here(node, deadline).await,
                Change::Readdress(node, addr) => self.readdress_here(node, addr, deadline).await,
            }
        };
        tokio::select! {
            made = timeout_at(deadline.into(), made) => match made {
                Ok(made) => made,
                Err(_) => Err(MembershipError::Unknown { waited: began.elapsed() }),
            },
            reason = self.0.fault.raised() => Err(reason.into()),
        }
    }

    fn leads(&self) -> Result<(), MembershipError> {
        match *self.0.leadership.borrow() {
            Leadership::Leader { .. } => Ok(()),
            led => Err(MembershipError::NotLeader { leader: other(led) }),
        }
    }

    pub(crate) fn membership(&self) -> Membership {
        self.0.raft.metrics().borrow().membership_config.membership().clone()
    }

    async fn add_here(
        &self,
        id: MemberId,
        member: Member,
        deadline: Instant,
    ) -> Result<(), MembershipError> {
        let membership = self.membership();
        let known = membership.get_node(&id);
        if known == Some(&member) && membership.voter_ids().any(|voter| voter == id) {
            return Ok(());
        }
        let voted = self.dial_back(id, &member, deadline).await?;
        if let (None, Some(applied)) = (known, voted) {
            self.refuse_removed(id, member.node, applied, deadline).await?;
        }
        let lost = membership.nodes().filter(|(old, it)| it.node == member.node && **old != id);
        let lost: Vec<MemberId> = lost.map(|(old, _)| *old).collect();
        for old in lost {
            self.expel(old, deadline).await?;
        }
        let node = member.node;
        let set = BTreeMap::from([(id, member.clone())]);
        self.agree(ChangeMembers::SetNodes(set), deadline).await?;
        if !self.caught_up(id, deadline).await || !self.is_ready(id, &member, deadline).await {
            // Best effort: a learner that does not follow harms nobody.
            let gone = ChangeMembers::RemoveNodes(BTreeSet::from([id]));
            let removed = self.agree(gone, Instant::now() + 4 * self.0.heartbeat).await;
            tracing::info!(%node, removed = removed.is_ok(), "a newcomer did not catch up");
            return Err(MembershipError::Behind { node });
        }
        let mut voters: BTreeSet<MemberId> = self.membership().voter_ids().collect();
        voters.insert(id);
        self.guard(&voters)?;
        self.agree(ChangeMembers::AddVoterIds(BTreeSet::from([id])), deadline).await
    }

    /// Refuses a voter that is no member any more. What it gives up then cannot be had back, so
    /// this leader makes sure first that it leads still.
    async fn refuse_removed(
        &self,
        id: MemberId,
        node: NodeId,
        applied: u64,
        deadline: Instant,
    ) -> Result<(), MembershipError> {
        let began = Instant::now();
        let asked = self.read_index(deadline).await;
        asked.map_err(|error| MembershipError::from(Failure::from(error)))?;
        // What is not agreed on may be lost with this leader, and the voter count again.
        let mut metrics = self.0.raft.metrics();
        let agreed = metrics.wait_for(|now| now.last_applied >= *now.membership_config.log_id());
        match timeout_at(deadline.into(), agreed).await {
            Ok(Ok(now)) => match now.membership_config.membership().get_node(&id) {
                Some(_) => Ok(()),
                // It left before it could have more; a leader that was put back to an older image
                // knows nothing of it.
                None if now.last_applied.is_none_or(|ours| ours.index < applied) => {
                    Err(MembershipError::Ahead { node })
                }
                None => Err(MembershipError::Removed { node }),
            },
            _ => Err(MembershipError::Unknown { waited: began.elapsed() }),
        }
    }

    /// Refuses a member that does not answer where it says it is. Tells what it applied last when it
    /// is a voter, as far as it knows.
    async fn dial_back(
        &self,
        id: MemberId,
        member: &Member,
        deadline: Instant,
    ) -> Result<Option<u64>, MembershipError> {
        let patience = deadline.saturating_duration_since(Instant::now()).min(DIAL_BACK);
        match self.0.link.ask((id, member), &Ask::Ping, patience).await {
            Ok(Answer::Here { votes, applied }) => Ok(votes.then_some(applied)),
            Ok(_) => Ok(None),
            Err(lost) => Err(MembershipError::Unreachable {
                node: member.node,
                addr: member.addr.clone(),
                why: lost.to_string(),
            }),
        }
    }

    /// Whether this member is a voter, as far as it knows.
    #[must_use]
    pub fn votes(&self) -> bool {
        self.membership().voter_ids().any(|voter| voter == self.0.member)
    }

    async fn remove_here(&self, node: NodeId, deadline: Instant) -> Result<(), MembershipError> {
        let membership = self.membership();
        let members = membership.nodes().filter(|(_, member)| member.node == node);
        let members: Vec<MemberId> = members.map(|(id, _)| *id).collect();
        for id in members {
            if id == self.0.member {
                if membership.voter_ids().count() == 1 {
                    return Err(MembershipError::LastManager);
                }
                self.hand_over_here(deadline).await?;
                // The next leader removes this one.
                return Err(MembershipError::NotLeader { leader: None });
            }
            self.expel(id, deadline).await?;
        }
        Ok(())
    }

    async fn readdress_here(
        &self,
        node: NodeId,
        addr: String,
        deadline: Instant,
    ) -> Result<(), MembershipError> {
        let membership = self.membership();
        let moved = membership.nodes().filter(|(_, it)| it.node == node && it.addr != addr);
        let moved: BTreeMap<MemberId, Member> =
            moved.map(|(id, _)| (*id, Member { node, addr: addr.clone() })).collect();
        if moved.is_empty() {
            return Ok(());
        }
        self.agree(ChangeMembers::SetNodes(moved), deadline).await
    }

    /// Removes a member that is not this one.
    async fn expel(&self, id: MemberId, deadline: Instant) -> Result<(), MembershipError> {
        let mut voters: BTreeSet<MemberId> = self.membership().voter_ids().collect();
        let gone = BTreeSet::from([id]);
        if !voters.contains(&id) {
            return self.agree(ChangeMembers::RemoveNodes(gone), deadline).await;
        }
        self.guard(&voters)?;
        voters.remove(&id);
        self.guard(&voters)?;
        self.agree(ChangeMembers::RemoveVoters(gone), deadline).await
    }

    /// Refuses when too few of these voters answer.
    fn guard(&self, voters: &BTreeSet<MemberId>) -> Result<(), MembershipError> {
        if voters.is_empty() {
            return Err(MembershipError::LastManager);
        }
        let reachable = self.0.link.reachable(self.0.lease);
        let needed = voters.len() / 2 + 1;
        if voters.intersection(&reachable).count() >= needed {
            return Ok(());
        }
        let membership = self.membership();
        let nodes = voters.intersection(&reachable).filter_map(|id| membership.get_node(id));
        Err(MembershipError::Quorum {
            reachable: nodes.map(|member| member.node).collect(),
            needed,
        })
    }

    /// Whether the newcomer will still be this member after a restart: once it votes, it cannot
    /// be replaced by another one without its own word.
    async fn is_ready(&self, id: MemberId, member: &Member, deadline: Instant) -> bool {
        let until = for_a_newcomer(deadline);
        while Instant::now() < until {
            let asked = self.0.link.ask((id, member), &Ask::Ready, DIAL_BACK).await;
            if let Ok(Answer::Done) = asked {
                return true;
            }
            sleep(PAUSE).await;
        }
        false
    }

    /// Whether the learner has all but the newest entries by the deadline.
    async fn caught_up(&self, id: MemberId, deadline: Instant) -> bool {
        let mut metrics = self.0.raft.metrics();
        let caught_up = metrics.wait_for(|now| {
            let has = matched(now, id);
            now.state != ServerState::Leader || (has > 0 && has + NEARLY >= last(now))
        });
        matches!(timeout_at(for_a_newcomer(deadline).into(), caught_up).await, Ok(Ok(_)))
    }

    /// Writes a membership, and waits until it is agreed on.
    async fn agree(
        &self,
        change: ChangeMembers<MemberId, Member>,
        deadline: Instant,
    ) -> Result<(), MembershipError> {
        let began = Instant::now();
        loop {
            let changed = self.0.raft.change_membership(change.clone(), false);
            let changed = match timeout_at(deadline.into(), changed).await {
                Ok(changed) => changed.map_err(|error| self.not_agreed(&error)),
                Err(_) => return Err(MembershipError::Unknown { waited: began.elapsed() }),
            };
            match changed {
                Ok(_) => return Ok(()),
                // The one before is agreed on, and not known here to be.
                Err(MembershipError::Busy { .. }) => sleep(PAUSE).await,
                Err(error) => return Err(error),
            }
        }
    }

    fn not_agreed(
        &self,
        error: &RaftError<MemberId, ClientWriteError<MemberId, Member>>,
    ) -> MembershipError {
        match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(to)) => {
                MembershipError::NotLeader { leader: to.leader_node.as_ref().map(|it| it.node) }
            }
            RaftError::APIError(ClientWriteError::ChangeMembershipError(
                ChangeMembershipError::InProgress(_),
            )) => MembershipError::Busy { retry_after: RETRY_AFTER },
            RaftError::APIError(ClientWriteError::ChangeMembershipError(
                ChangeMembershipError::EmptyMembership(_),
            )) => MembershipError::LastManager,
            RaftError::APIError(ClientWriteError::ChangeMembershipError(
                ChangeMembershipError::LearnerNotFound(_),
            )) => MembershipError::NotLeader { leader: None },
            RaftError::Fatal(_) => MembershipError::Stopped(self.0.stopped_by(error)),
        }
    }
}

/// Until when a newcomer is waited for: some time has to be left for the vote.
fn for_a_newcomer(deadline: Instant) -> Instant {
    deadline - (deadline.saturating_duration_since(Instant::now()) / 4)
}

pub(crate) fn last(now: &Metrics) -> u64 {
    now.last_log_index.map_or(0, |last| last + 1)
}

/// How many entries the member is known to have.
pub(crate) fn matched(now: &Metrics, id: MemberId) -> u64 {
    let replication = now.replication.as_ref().and_then(|all| all.get(&id));
    replication.and_then(Option::as_ref).map_or(0, |matched| matched.index + 1)
}

//! Hands leadership to another member, which raft itself does not know how to do.
//!
//! The leader takes nothing new, ends what it began, and falls silent for a lease: nobody votes
//! while it hears a leader. Then the voter that has most is asked to stand. When nobody comes of
//! it, this member leads on.

use std::time::Instant;

use openraft::ServerState;
use tokio::time::{sleep, timeout, timeout_at};

use crate::error::MembershipError;
use crate::leadership::Office;
use crate::members::{Metrics, RETRY_AFTER, last, matched};
use crate::message::Ask;
use crate::raft::Raft;
use crate::type_config::{Member, MemberId};

impl Raft {
    /// Hands leadership to the voter that has most, for a graceful stop. `Ok` when another
    /// member leads, or when there is nobody to hand over to.
    ///
    /// # Errors
    ///
    /// [`MembershipError::NotLeader`] when nobody took it by the deadline: this member leads on.
    pub async fn hand_over(&self, deadline: Instant) -> Result<(), MembershipError> {
        self.hand_over_to(None, deadline).await
    }

    /// Hands leadership to that voter, or to the one that has most.
    pub(crate) async fn hand_over_to(
        &self,
        chosen: Option<MemberId>,
        deadline: Instant,
    ) -> Result<(), MembershipError> {
        let busy = || MembershipError::Busy { retry_after: RETRY_AFTER };
        let turn = timeout_at(deadline.into(), self.0.turn.lock()).await;
        let _turn = turn.map_err(|_| busy())?;
        if self.0.raft.metrics().borrow().state != ServerState::Leader
            || self.membership().voter_ids().count() == 1
        {
            return Ok(());
        }
        self.leave_to(chosen, deadline).await
    }

    /// For who holds the turn.
    pub(crate) async fn hand_over_here(&self, deadline: Instant) -> Result<(), MembershipError> {
        self.leave_to(None, deadline).await
    }

    async fn leave_to(
        &self,
        chosen: Option<MemberId>,
        deadline: Instant,
    ) -> Result<(), MembershipError> {
        let _office = Leaving(self);
        self.0.office.send_replace(Office::Closing);
        let Some((heir, member)) = self.heir(chosen, deadline).await else {
            return Err(MembershipError::NotLeader { leader: None });
        };
        // Nobody votes while it hears a leader, so this one falls silent for a lease.
        self.0.raft.runtime_config().heartbeat(false);
        self.0.office.send_replace(Office::Left);
        sleep(self.0.lease + self.0.heartbeat / 4).await;
        let mut metrics = self.0.raft.metrics();
        let end = (Instant::now() + 2 * self.0.lease).min(deadline);
        while Instant::now() < end {
            let asked = self.0.link.ask((heir, &member), &Ask::Elect, self.0.heartbeat).await;
            if let Err(lost) = asked {
                tracing::warn!(%member, %lost, "the one to lead does not answer");
            }
            let other = metrics.wait_for(|now| led_by_another(now, self.0.member));
            if let Ok(Ok(_)) = timeout(2 * self.0.heartbeat, other).await {
                return Ok(());
            }
        }
        Err(MembershipError::NotLeader { leader: None })
    }

    /// The voter to lead next, once everything that was begun is agreed on and it has it.
    async fn heir(
        &self,
        chosen: Option<MemberId>,
        deadline: Instant,
    ) -> Option<(MemberId, Member)> {
        let end = (Instant::now() + self.0.lease).min(deadline);
        loop {
            let metrics = self.0.raft.metrics().borrow().clone();
            let membership = metrics.membership_config.membership();
            let reachable = self.0.link.reachable(self.0.lease);
            let voters = membership.voter_ids().filter(|id| *id != self.0.member);
            let fit = |id: &MemberId| chosen.is_none_or(|it| it == *id) && reachable.contains(id);
            let best = voters.filter(fit).max_by_key(|id| matched(&metrics, *id));
            let ready =
                |id: MemberId| self.0.lanes.is_idle() && matched(&metrics, id) >= last(&metrics);
            if best.is_some_and(ready) || Instant::now() >= end {
                return best.and_then(|id| Some((id, membership.get_node(&id)?.clone())));
            }
            sleep(self.0.heartbeat / 8).await;
        }
    }
}

/// Takes the office back when dropped, in case this member leads on, or again.
struct Leaving<'a>(&'a Raft);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let Self(raft) = self;
        raft.0.raft.runtime_config().heartbeat(true);
        raft.0.office.send_replace(Office::Held);
    }
}

fn led_by_another(now: &Metrics, me: MemberId) -> bool {
    now.current_leader.is_some_and(|leader| leader != me)
}

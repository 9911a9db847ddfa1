//! Who leads, and whether it still may.
//!
//! openraft 0.9 lets a leader that no quorum answers believe in itself. So a leader whose last
//! acknowledgement by a quorum is older than the lease counts as no leader here. A leader is
//! announced only after a read barrier: its replica then holds all that was ever acknowledged.
//!
//! A leader that restarts within its lease leads the same term again, with empty tables: what
//! tells the two apart is the incarnation.
//!
//! One that is heard and hears nobody keeps the others from electing another. So without a
//! quorum it falls silent, and speaks up from time to time in case it is the best there is.

use std::collections::BTreeMap;
use std::time::Duration;

use openraft::{RaftMetrics, ServerState};
use swarm_types::NodeId;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::error::StopReason;
use crate::propose::Proposer;
use crate::type_config::{Member, MemberId};

/// Whether this member leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leadership {
    /// It leads, a quorum has said so within the lease, and its replica is up to date.
    Leader {
        /// Grows with every election.
        term: u64,
        /// Random for each time the store was opened.
        incarnation: u64,
    },
    /// It follows.
    Follower {
        /// The leader, as far as is known.
        leader: Option<NodeId>,
    },
    /// It would lead, but no quorum has said so within the lease, or the store has stopped.
    NoQuorum,
}

/// The members by number, as of the last membership in the log.
pub type Members = BTreeMap<MemberId, Member>;

type Metrics = RaftMetrics<MemberId, Member>;

/// Watches raft and tells the outcome, until stopped.
pub(crate) struct Leaderships {
    pub(crate) metrics: watch::Receiver<Metrics>,
    pub(crate) told: watch::Sender<Leadership>,
    pub(crate) members: watch::Sender<Members>,
    pub(crate) proposer: Proposer,
    pub(crate) lease: Duration,
    pub(crate) incarnation: u64,
    pub(crate) office: watch::Receiver<Office>,
    pub(crate) voice: watch::Sender<Voice>,
}

/// What this member does with the leadership it may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Office {
    /// It leads when it can.
    #[default]
    Held,
    /// It takes nothing new, and ends what it began.
    Closing,
    /// It leads no more, and waits for the one it hands over to.
    Left,
}

/// Whether this member speaks as the leader that raft takes it for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Voice {
    /// It does.
    #[default]
    Speaks,
    /// It says nothing, so that the others look for another leader.
    Silent,
}

impl Voice {
    /// Leases in which it speaks, and in which it is then silent: for the lease of the others and
    /// an election, which takes at most another one, and for a second try.
    const TURN: (u32, u32) = (1, 3);

    /// What a leader does that has had no quorum for that long, and for how much longer.
    fn without_quorum(since: Duration, lease: Duration) -> (Self, Duration) {
        let (speaks, silent) = Self::TURN;
        let turn = (speaks + silent) * lease;
        let turns = since.as_millis() / turn.as_millis().max(1);
        let into = since.saturating_sub(turn * u32::try_from(turns).unwrap_or(u32::MAX));
        match (speaks * lease).checked_sub(into).filter(|left| !left.is_zero()) {
            Some(left) => (Self::Speaks, left),
            None => (Self::Silent, turn - into),
        }
    }
}

impl Leaderships {
    /// Runs until raft ends; the owner drops it to stop it.
    pub(crate) async fn run(mut self) {
        let (mut confirmed, mut alone) = (None, None);
        let (mut metrics, mut seen) = (self.metrics.borrow_and_update().clone(), Instant::now());
        self.note(&metrics);
        loop {
            // The age of an acknowledgement is as of when raft told it: nothing new means that it
            // has grown older.
            if self.metrics.has_changed().unwrap_or(false) {
                (metrics, seen) = (self.metrics.borrow_and_update().clone(), Instant::now());
                self.note(&metrics);
            }
            if let Err(fatal) = &metrics.running_state {
                self.proposer.fault.raise(StopReason::Raft(fatal.to_string()));
                break;
            }
            let office = *self.office.borrow_and_update();
            let (found, expires) = assess(&metrics, seen, self.lease, self.incarnation);
            let (voice, turns) = match found {
                Leadership::NoQuorum => {
                    let since = alone.get_or_insert_with(Instant::now).elapsed();
                    let (voice, left) = Voice::without_quorum(since, self.lease);
                    (voice, Some(Instant::now() + left))
                }
                Leadership::Leader { .. } | Leadership::Follower { .. } => {
                    alone = None;
                    (Voice::Speaks, expires)
                }
            };
            self.voice.send_if_modified(|told| std::mem::replace(told, voice) != voice);
            let (found, expires) = match found {
                Leadership::NoQuorum => (found, turns),
                Leadership::Leader { .. } if office == Office::Left => (Leadership::NoQuorum, None),
                Leadership::Leader { term, .. } if confirmed != Some(term) => {
                    confirmed = self.confirm(term).await.then_some(term);
                    if confirmed.is_some() {
                        // That took time: look again before it is told.
                        continue;
                    }
                    // To be tried again, also when nothing else happens.
                    (Leadership::NoQuorum, Some(Instant::now() + self.lease))
                }
                found => (found, expires),
            };
            if !matches!(found, Leadership::Leader { .. }) {
                confirmed = None;
            }
            self.tell(found);
            if !self.wait(expires).await {
                break;
            }
        }
        self.tell(Leadership::NoQuorum);
    }

    /// Whether to look again; false at the end.
    async fn wait(&mut self, expires: Option<Instant>) -> bool {
        let expiry = async {
            match expires {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.metrics.changed() => {
                // Waiting took note of it; `run` has not looked yet.
                self.metrics.mark_changed();
                changed.is_ok()
            }
            changed = self.office.changed() => changed.is_ok(),
            () = expiry => true,
            _ = self.proposer.fault.raised() => false,
        }
    }

    fn tell(&self, leadership: Leadership) {
        let told = self.told.send_if_modified(|told| {
            let changed = *told != leadership;
            *told = leadership;
            changed
        });
        if told {
            tracing::info!(?leadership, "raft leadership");
        }
    }

    /// Tells who the members are, and counts who leads them.
    fn note(&self, metrics: &Metrics) {
        if let Some(leader) = metrics.current_leader {
            self.proposer.log.figures().led_by(metrics.current_term, leader);
        }
        let membership = metrics.membership_config.membership();
        self.members.send_if_modified(|told| {
            let changed = !membership.nodes().eq(told.iter());
            if changed {
                *told = membership.nodes().map(|(id, member)| (*id, member.clone())).collect();
            }
            changed
        });
    }

    /// Whether a quorum agrees and everything that was ever acknowledged is applied here.
    ///
    /// openraft writes no first entry for a leader it restores after a restart, and takes for
    /// agreed on what its disk says, which is older than what was acknowledged. So whatever the log
    /// holds has to be agreed on, and of this term, before anything is read here.
    async fn confirm(&self, term: u64) -> bool {
        let barrier = async {
            let is_of_term = self.proposer.last().is_some_and(|last| last.leader_id.term == term);
            if !is_of_term && self.proposer.write_nothing().await.is_err() {
                return false;
            }
            let (last, mut metrics) = (self.proposer.last(), self.metrics.clone());
            let applied = metrics.wait_for(|now| now.last_applied >= last);
            applied.await.is_ok() && self.proposer.raft.ensure_linearizable().await.is_ok()
        };
        timeout(self.lease, barrier).await.unwrap_or(false)
    }
}

/// What the metrics say, and until when.
fn assess(
    metrics: &Metrics,
    seen: Instant,
    lease: Duration,
    incarnation: u64,
) -> (Leadership, Option<Instant>) {
    let membership = metrics.membership_config.membership();
    if metrics.state != ServerState::Leader {
        let leader = metrics.current_leader.filter(|leader| *leader != metrics.id);
        let leader = leader.and_then(|leader| membership.get_node(&leader));
        return (Leadership::Follower { leader: leader.map(|member| member.node) }, None);
    }
    let leader = Leadership::Leader { term: metrics.current_term, incarnation };
    // Where this member alone is a quorum, its own word is never old.
    let alone = membership
        .get_joint_config()
        .iter()
        .all(|voters| voters.len() == 1 && voters.contains(&metrics.id));
    if alone {
        return (leader, None);
    }
    let age = metrics.millis_since_quorum_ack.map(Duration::from_millis);
    match age.and_then(|age| lease.checked_sub(age)) {
        Some(left) if Instant::now() < seen + left => (leader, Some(seen + left)),
        _ => (Leadership::NoQuorum, None),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::type_config::{Membership, StoredMembership};

    const LEASE: Duration = Duration::from_millis(900);

    fn leader(voters: &[u64], age: Option<u64>) -> Metrics {
        let nodes: BTreeMap<u64, Member> =
            voters.iter().map(|id| (*id, Member::default())).collect();
        let voters: BTreeSet<u64> = voters.iter().copied().collect();
        let membership = StoredMembership::new(None, Membership::new(vec![voters], nodes));
        Metrics {
            state: ServerState::Leader,
            current_term: 7,
            current_leader: Some(1),
            millis_since_quorum_ack: age,
            membership_config: Arc::new(membership),
            ..Metrics::new_initial(1)
        }
    }

    #[test]
    fn a_leader_without_quorum_speaks_in_one_lease_of_four() {
        let at = |leases: u32| Voice::without_quorum(leases * LEASE + LEASE / 3, LEASE);

        for turn in 0..3 {
            assert_eq!(at(4 * turn), (Voice::Speaks, LEASE - LEASE / 3));
            for silent in 1..4 {
                let left = (4 - silent) * LEASE - LEASE / 3;
                assert_eq!(at(4 * turn + silent), (Voice::Silent, left));
            }
        }
    }

    #[test]
    fn a_leader_with_an_old_acknowledgement_is_none() {
        let now = Instant::now();
        let found = |metrics: &Metrics| assess(metrics, now, LEASE, 3);
        let leads = Leadership::Leader { term: 7, incarnation: 3 };

        assert_eq!(found(&leader(&[1], None)), (leads, None));
        let fresh = found(&leader(&[1, 2, 3], Some(200)));
        assert_eq!(fresh, (leads, Some(now + Duration::from_millis(700))));
        for age in [None, Some(900), Some(5000)] {
            assert_eq!(found(&leader(&[1, 2, 3], age)), (Leadership::NoQuorum, None), "{age:?}");
        }
    }
}

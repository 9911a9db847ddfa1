//! Reads that see every acknowledged write: one round for all that wait.
//!
//! The leader asks a quorum whether it still leads; any other member asks the leader, and waits
//! until it has applied as much. What arrives during a round belongs to the next one, since only
//! a round that began after the read can vouch for it; that nobody answers is told to all.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use openraft::ServerState;
use swarm_state::Snapshot;
use swarm_types::NodeId;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::ask::Vouched;
use crate::error::ReadError;
use crate::fault::Fault;
use crate::hub::Hub;
use crate::leadership::{Leadership, Office};
use crate::link::Link;
use crate::message::{Answer, Ask};
use crate::raft::Raft;
use crate::type_config::{LogId, Member, MemberId, Types};

/// How long a round may take: then there is no quorum.
const ROUND: Duration = Duration::from_secs(3);
/// The last part of it, in which the others are asked whether they are there.
const ROLL_CALL: Duration = Duration::from_millis(400);
/// How long the one taken for the leader may take, before somebody else is looked for.
const ATTEMPT: Duration = Duration::from_millis(600);
/// Pause before asking again after a failure.
const PAUSE: Duration = Duration::from_millis(20);

/// Who reads, and where the result goes.
pub(crate) enum Reader {
    /// Wants the state.
    State(oneshot::Sender<Result<Snapshot, ReadError>>),
    /// Another member that wants to know what to wait for. It asked the one it took for the
    /// leader, so nobody else is asked.
    Index(oneshot::Sender<Result<Option<LogId>, ReadError>>),
}

/// Serves reads.
pub(crate) struct Rounds {
    pub(crate) raft: openraft::Raft<Types>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) fault: Fault,
    pub(crate) readers: mpsc::Receiver<Reader>,
    pub(crate) link: Link,
    pub(crate) office: watch::Receiver<Office>,
    pub(crate) leadership: watch::Receiver<Leadership>,
    pub(crate) vouched: Vouched,
}

/// Who can vouch for a read.
enum Role {
    Leader,
    Follows(MemberId, Member),
    Nobody,
}

impl Rounds {
    /// Runs until nobody can ask any more; the owner drops it to stop it.
    pub(crate) async fn run(mut self) {
        while let Some(first) = self.readers.recv().await {
            let mut readers = self.waiting();
            readers.push(first);
            if !matches!(self.role(), Role::Leader) {
                readers = self.send_away(readers);
                if readers.is_empty() {
                    continue;
                }
            }
            let result = self.round(Instant::now() + ROUND).await;
            if let Err(ReadError::NoQuorum { .. }) = &result {
                readers.append(&mut self.waiting());
            }
            let state = result.clone().map(|_| self.hub.snapshot());
            for reader in readers {
                // A reader whose deadline has passed is gone.
                match reader {
                    Reader::State(answer) => drop(answer.send(state.clone())),
                    Reader::Index(answer) => drop(answer.send(result.clone())),
                }
            }
        }
    }

    fn waiting(&mut self) -> Vec<Reader> {
        std::iter::from_fn(|| self.readers.try_recv().ok()).collect()
    }

    /// Tells other members that somebody else leads, and keeps the rest.
    fn send_away(&self, readers: Vec<Reader>) -> Vec<Reader> {
        let leader = match self.role() {
            Role::Follows(_, member) => Some(member.node),
            Role::Leader | Role::Nobody => None,
        };
        let mut kept = Vec::with_capacity(readers.len());
        for reader in readers {
            match reader {
                Reader::Index(answer) => drop(answer.send(Err(ReadError::NotLeader { leader }))),
                reader @ Reader::State(_) => kept.push(reader),
            }
        }
        kept
    }

    fn role(&self) -> Role {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        match metrics.current_leader {
            // Heartbeats of one that hands over would keep the next from being elected.
            _ if metrics.state == ServerState::Leader => match *self.leadership.borrow() {
                // One that was just elected or restored may not know yet what was agreed on.
                Leadership::Leader { .. } if *self.office.borrow() != Office::Left => Role::Leader,
                _ => Role::Nobody,
            },
            Some(leader) => match metrics.membership_config.membership().get_node(&leader) {
                Some(member) if leader != metrics.id => Role::Follows(leader, member.clone()),
                _ => Role::Nobody,
            },
            None => Role::Nobody,
        }
    }

    /// What everybody has to see who asked before; it is applied here.
    async fn round(&self, deadline: Instant) -> Result<Option<LogId>, ReadError> {
        let began = Instant::now();
        let roll_call = deadline - ROLL_CALL;
        let index = tokio::select! {
            index = self.index(roll_call) => index,
            reason = self.fault.raised() => return Err(reason.into()),
        };
        let Some(index) = index else {
            return Err(ReadError::NoQuorum { reachable: answering(&self.raft, &self.link).await });
        };
        let mut metrics = self.raft.metrics();
        let applied = metrics.wait_for(|now| now.last_applied >= index);
        match timeout_at(deadline, applied).await {
            Ok(Ok(_)) => {
                self.vouched.note();
                Ok(index)
            }
            Ok(Err(_)) => Err(self.fault.stopped().into()),
            Err(_) => Err(ReadError::Late { waited: began.elapsed() }),
        }
    }

    /// What has to be seen, as soon as anybody vouches for it; `None` when nobody does in time.
    async fn index(&self, deadline: Instant) -> Option<Option<LogId>> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).min(ATTEMPT);
            if left.is_zero() {
                return None;
            }
            let found = match self.role() {
                Role::Leader => {
                    let confirmed = timeout_at(deadline, self.raft.get_read_log_id()).await;
                    confirmed.ok()?.ok().map(|(index, _)| index)
                }
                Role::Follows(id, member) => {
                    let ask = Ask::ReadIndex(left);
                    match self.link.ask((id, &member), &ask, left).await {
                        Ok(Answer::ReadIndex(index)) => Some(index),
                        _ => None,
                    }
                }
                Role::Nobody => None,
            };
            if found.is_some() {
                return found;
            }
            sleep_until((Instant::now() + PAUSE).min(deadline)).await;
        }
    }
}

impl Raft {
    /// The nodes of the members that answer within 400 ms, with this one.
    pub async fn roll_call(&self) -> Vec<NodeId> {
        answering(&self.0.raft, &self.0.link).await
    }
}

async fn answering(raft: &openraft::Raft<Types>, link: &Link) -> Vec<NodeId> {
    let membership = raft.metrics().borrow().membership_config.membership().clone();
    let members: Vec<_> = membership.nodes().collect();
    let asked = members.into_iter().map(async |(id, member)| {
        let here = *id == link.me();
        let there = here || link.ask((*id, member), &Ask::Ping, ROLL_CALL).await.is_ok();
        there.then_some(member.node)
    });
    join_all(asked).await.into_iter().flatten().collect()
}

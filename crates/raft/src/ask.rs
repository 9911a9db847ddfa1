//! What a member is asked from above: to write a group, and to read. Whoever does not lead asks
//! the leader, once; nobody passes on what was passed on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use openraft::raft::AppendEntriesResponse;
use swarm_state::{Accepted, Snapshot};
use swarm_types::Group;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout_at;

use crate::dial::Lost;
use crate::error::{ProposeError, ReadError};
use crate::failure::Failure;
use crate::lanes::{GROUP_BYTES, Lane, Waiting};
use crate::leadership::{Leadership, Office};
use crate::message::{Answer, Ask};
use crate::propose::other;
use crate::raft::{Inner, Raft};
use crate::read::Reader;
use crate::type_config::{LogId, Member, MemberId};

/// After that long a full queue of reads has been answered.
const READ_RETRY: Duration = Duration::from_millis(50);

/// The state of this replica, as old as it may be.
#[derive(Clone, Debug)]
pub struct Stale {
    /// The state.
    pub snapshot: Snapshot,
    /// Index of the last entry in it.
    pub index: u64,
    /// Time since this member last heard a leader with a quorum, or led with one; `None` when it
    /// never did since its start.
    pub age: Option<Duration>,
}

/// When a leader with a quorum was last heard, or this member last knew to lead.
#[derive(Clone, Debug, Default)]
pub(crate) struct Vouched(Arc<Mutex<Option<Instant>>>);

impl Vouched {
    pub(crate) fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn age(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }
}

impl Raft {
    /// Proposes a group and waits until it is applied, or until `deadline`.
    ///
    /// A member that does not lead passes it on, once. What became of it shows in this member's
    /// own [`Raft::snapshot`] then, unless it has not caught up by `deadline`. The group counts as the same one when
    /// tried again with the same request id, anywhere; it then has its first result.
    ///
    /// # Errors
    ///
    /// [`ProposeError`]; after `Unknown` and `Stopped` it may still happen.
    pub async fn propose(
        &self,
        lane: Lane,
        group: impl Into<Arc<Group>>,
        deadline: Instant,
    ) -> Result<Accepted, ProposeError> {
        let group = group.into();
        let leads = matches!(*self.0.leadership.borrow(), Leadership::Leader { .. });
        if leads {
            self.propose_here(lane, group, deadline, None).await
        } else {
            self.pass_on(lane, group, deadline).await
        }
    }

    /// Proposes a group that was decided under a leadership: it is not passed on, and written
    /// under no other one.
    ///
    /// # Errors
    ///
    /// As [`Raft::propose`].
    pub async fn propose_as(
        &self,
        led: Leadership,
        lane: Lane,
        group: impl Into<Arc<Group>>,
        deadline: Instant,
    ) -> Result<Accepted, ProposeError> {
        self.propose_here(lane, group.into(), deadline, Some(led)).await
    }

    pub(crate) async fn propose_here(
        &self,
        lane: Lane,
        group: Arc<Group>,
        deadline: Instant,
        led: Option<Leadership>,
    ) -> Result<Accepted, ProposeError> {
        if let Some(reason) = self.0.fault.reason() {
            return Err(reason.into());
        }
        let leadership = *self.0.leadership.borrow();
        let closed = *self.0.office.borrow() != Office::Held;
        let leads = matches!(leadership, Leadership::Leader { .. });
        if !leads || closed || led.is_some_and(|led| led != leadership) {
            return Err(ProposeError::NotLeader { leader: other(leadership) });
        }
        let size = sized(&group)?;
        let (answer, answered) = oneshot::channel();
        let since = tokio::time::Instant::now();
        self.0.lanes.push(lane, Waiting { group, size, since, led, answer })?;
        tokio::select! {
            biased;
            answered = timeout_at(deadline.into(), answered) => match answered {
                Ok(Ok(result)) => result,
                Ok(Err(_)) | Err(_) => match self.0.fault.reason() {
                    Some(reason) => Err(reason.into()),
                    None => Err(ProposeError::Unknown { waited: since.elapsed() }),
                },
            },
            // Nobody serves the queue any more.
            reason = self.0.fault.raised() => Err(reason.into()),
        }
    }

    async fn pass_on(
        &self,
        lane: Lane,
        group: Arc<Group>,
        deadline: Instant,
    ) -> Result<Accepted, ProposeError> {
        if let Some(reason) = self.0.fault.reason() {
            return Err(reason.into());
        }
        sized(&group)?;
        let Some((id, member)) = self.0.leader() else {
            return Err(ProposeError::NotLeader { leader: None });
        };
        let began = Instant::now();
        let within = deadline.saturating_duration_since(began);
        let ask = Ask::Propose(lane, group, within);
        let asked = tokio::select! {
            asked = self.0.link.ask((id, &member), &ask, within) => asked,
            reason = self.0.fault.raised() => return Err(reason.into()),
        };
        match asked {
            Ok(Answer::Proposed(outcome, at)) => {
                if matches!(outcome, Ok(_) | Err(Failure::Refused(_))) {
                    self.show(at, deadline).await;
                }
                outcome.map_err(Into::into)
            }
            // The one that was asked is not there, or another.
            Err(Lost::Unreached(_) | Lost::Refused(_)) => {
                Err(ProposeError::NotLeader { leader: None })
            }
            Ok(_) | Err(Lost::Silent(_)) => Err(ProposeError::Unknown { waited: began.elapsed() }),
        }
    }

    /// Waits until this replica shows what the entry at that index led to, until `deadline` and
    /// for two leases at most: a member that was removed by that entry never shows it.
    async fn show(&self, at: u64, deadline: Instant) {
        let deadline = deadline.min(Instant::now() + 2 * self.0.lease);
        let mut metrics = self.0.raft.metrics();
        let shown = metrics.wait_for(|now| now.last_applied.is_some_and(|last| last.index >= at));
        tokio::select! {
            _ = timeout_at(deadline.into(), shown) => {}
            _ = self.0.fault.raised() => {}
        }
    }

    /// The state with everything that was acknowledged anywhere before the call, or an error by
    /// `deadline` and within 3 s.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn read(&self, deadline: Instant) -> Result<Snapshot, ReadError> {
        self.queue_read(deadline, Reader::State).await
    }

    /// What a reader elsewhere has to see; only the leader knows.
    pub(crate) async fn read_index(&self, deadline: Instant) -> Result<Option<LogId>, ReadError> {
        self.queue_read(deadline, Reader::Index).await
    }

    async fn queue_read<T>(
        &self,
        deadline: Instant,
        reader: impl FnOnce(oneshot::Sender<Result<T, ReadError>>) -> Reader,
    ) -> Result<T, ReadError> {
        if let Some(reason) = self.0.fault.reason() {
            return Err(reason.into());
        }
        let began = Instant::now();
        let (answer, result) = oneshot::channel();
        let asked = self.0.readers.try_send(reader(answer));
        asked.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ReadError::Busy { retry_after: READ_RETRY },
            mpsc::error::TrySendError::Closed(_) => self.0.fault.stopped().into(),
        })?;
        match timeout_at(deadline.into(), result).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(self.0.fault.stopped().into()),
            Err(_) => Err(ReadError::Late { waited: began.elapsed() }),
        }
    }

    /// The state of this replica, without asking anybody, and how old it may be.
    #[must_use]
    pub fn stale(&self) -> Stale {
        let snapshot = self.snapshot();
        let leads = matches!(*self.0.leadership.borrow(), Leadership::Leader { .. });
        let age = if leads { Some(Duration::ZERO) } else { self.0.vouched.age() };
        Stale { index: snapshot.applied(), snapshot, age }
    }

    /// Takes note of a leader with a quorum that was heard, and obeyed.
    pub(crate) fn heard_leader(&self, response: &AppendEntriesResponse<MemberId>) {
        if !matches!(response, AppendEntriesResponse::HigherVote(_)) {
            self.0.vouched.note();
        }
    }
}

impl Inner {
    /// The leader, when it is another member.
    pub(crate) fn leader(&self) -> Option<(MemberId, Member)> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let leader = metrics.current_leader.filter(|leader| *leader != self.member)?;
        let member = metrics.membership_config.membership().get_node(&leader)?;
        Some((leader, member.clone()))
    }
}

fn sized(group: &Group) -> Result<usize, ProposeError> {
    let size = swarm_proto::records::group_len(group);
    if size > GROUP_BYTES {
        return Err(ProposeError::TooLarge { size, limit: GROUP_BYTES });
    }
    Ok(size)
}

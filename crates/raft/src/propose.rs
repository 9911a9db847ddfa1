//! Group commit: turns what waits into entries, one entry in flight at a time.
//!
//! openraft awaits the disk for every write, so while one entry is on its way the queue forms
//! the next; the longer the disk takes, the more groups share an entry.

use std::sync::Arc;

use openraft::error::{ClientWriteError, RaftError};
use swarm_types::{Entry, HashCheck, LEVEL, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::ProposeError;
use crate::fault::Fault;
use crate::hub::Hub;
use crate::lanes::{Lanes, Waiting};
use crate::leadership::Leadership;
use crate::log::Log;
use crate::type_config::{LogId, Member, MemberId, Types};

/// Writes entries.
#[derive(Clone)]
pub(crate) struct Proposer {
    pub(crate) raft: openraft::Raft<Types>,
    pub(crate) log: Log,
    pub(crate) hub: Arc<Hub>,
    pub(crate) fault: Fault,
}

type WriteError = RaftError<MemberId, ClientWriteError<MemberId, Member>>;

impl Proposer {
    /// Serves the lanes; the owner drops it to stop it.
    pub(crate) async fn run(self, lanes: Arc<Lanes>, mut leads: watch::Receiver<Leadership>) {
        let mut checked = None;
        loop {
            let waiting = tokio::select! {
                waiting = lanes.next() => waiting,
                // Whoever waits learns the reason by itself.
                _ = self.fault.raised() => return,
            };
            let leader = *leads.borrow_and_update();
            if !matches!(leader, Leadership::Leader { .. }) {
                let error = ProposeError::NotLeader { leader: other(leader) };
                waiting.into_iter().for_each(|one| tell(one, Err(error.clone())));
                continue;
            }
            let (waiting, old): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|one| one.led.is_none_or(|led| led == leader));
            for one in old {
                tell(one, Err(ProposeError::NotLeader { leader: None }));
            }
            if waiting.is_empty() {
                continue;
            }
            let check = self.hub.check().filter(|check| Some(check.index) > checked);
            let mut lost = leads.clone();
            tokio::select! {
                () = self.write(waiting, check) => {}
                _ = self.fault.raised() => return,
                // Those in flight are dropped, and their callers do not know the outcome.
                _ = lost.wait_for(|now| *now != leader) => continue,
            }
            checked = check.map_or(checked, |check| Some(check.index));
        }
    }

    async fn write(&self, waiting: Vec<Waiting>, check: Option<HashCheck>) {
        let groups = waiting.iter().map(|one| one.group.clone()).collect();
        let entry = Entry { groups, check, ..self.empty() };
        let began = Instant::now();
        match self.raft.client_write(Arc::new(entry)).await {
            Ok(response) => {
                self.log.figures().commits.observe(began.elapsed().as_secs_f64());
                let results = response.data.results.into_iter();
                for (one, result) in waiting.into_iter().zip(results) {
                    tell(one, result.map_err(ProposeError::Refused));
                }
            }
            Err(error) => {
                let error = self.not_written(error);
                for one in waiting {
                    // What was handed to raft may be in its log still.
                    let error = error.clone().unwrap_or(unknown(&one));
                    tell(one, Err(error));
                }
            }
        }
    }

    fn not_written(&self, error: WriteError) -> Option<ProposeError> {
        match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => None,
            RaftError::APIError(ClientWriteError::ChangeMembershipError(_)) => None,
            RaftError::Fatal(_) => Some(ProposeError::Stopped(self.fault.stopped())),
        }
    }

    /// An entry without groups, at the level the cluster writes at.
    fn empty(&self) -> Entry {
        let level = self.hub.snapshot().cluster().map_or(LEVEL, |cluster| cluster.level);
        Entry { level, at: Timestamp::now(), groups: Vec::new(), check: None }
    }

    /// Writes an entry that changes nothing.
    pub(crate) async fn write_nothing(&self) -> Result<(), WriteError> {
        self.raft.client_write(Arc::new(self.empty())).await.map(drop)
    }

    /// The last entry in the log.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.log.last()
    }
}

/// The leader, when it is another one.
pub(crate) fn other(leadership: Leadership) -> Option<swarm_types::NodeId> {
    match leadership {
        Leadership::Follower { leader } => leader,
        Leadership::Leader { .. } | Leadership::NoQuorum => None,
    }
}

fn unknown(one: &Waiting) -> ProposeError {
    ProposeError::Unknown { waited: one.since.elapsed() }
}

fn tell(one: Waiting, result: Result<swarm_state::Accepted, ProposeError>) {
    // A caller that no longer waits has its answer: the outcome is unknown.
    let _ = one.answer.send(result);
}

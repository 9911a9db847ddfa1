//! openraft's view of the way to other members.
//!
//! A member that cannot be reached is left alone for one heartbeat; everything else is tried
//! again when openraft likes.

use std::future::Future;
use std::iter;

use openraft::error::{
    Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, Snapshot};
use std::time::Duration;
use tokio::sync::watch;

use crate::dial::Lost;
use crate::fault::Fault;
use crate::flight::{Before, Flight};
use crate::leadership::{Leadership, Voice};
use crate::link::Link;
use crate::message::{Answer, Ask};
use crate::snapshot::Snapshots;
use crate::type_config::{Member, MemberId, SnapshotMeta, Types, Vote};

/// Heartbeats that entries may be on their way: about a lease. After that their leader is none.
const IN_FLIGHT: u32 = 6;
/// How long a member may take to say what it has of a snapshot.
const HELD_PATIENCE: Duration = Duration::from_secs(2);

/// Makes clients.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) link: Link,
    pub(crate) snapshots: Snapshots,
    pub(crate) heartbeat: Duration,
    pub(crate) fault: Fault,
    pub(crate) leadership: watch::Receiver<Leadership>,
    pub(crate) voice: watch::Receiver<Voice>,
}

/// Speaks to one member.
pub(crate) struct Client {
    network: Network,
    to: MemberId,
    member: Member,
    flight: Flight,
    /// Whether the entry before those that openraft sends is known to be there. openraft looks for
    /// it by halves, and would send half a log with each guess.
    found: bool,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Client;

    async fn new_client(&mut self, to: MemberId, member: &Member) -> Client {
        let flight = Flight::default();
        Client { network: self.clone(), to, member: member.clone(), flight, found: false }
    }
}

type Failed = RPCError<MemberId, Member, RaftError<MemberId>>;

fn failed(lost: &Lost) -> Failed {
    match lost {
        Lost::Unreached(_) | Lost::Refused(_) => Unreachable::new(lost).into(),
        Lost::Silent(_) => NetworkError::new(lost).into(),
    }
}

fn unexpected() -> Lost {
    Lost::Refused("the answer is to another question".into())
}

impl Client {
    async fn ask(&self, ask: Ask, option: &RPCOption) -> Result<Answer, Failed> {
        let member = (self.to, &self.member);
        let answered = self.network.link.ask(member, &ask, option.hard_ttl()).await;
        answered.map_err(|lost| failed(&lost))
    }

    /// How many chunks of the snapshot the member has from before; who does not know has none.
    async fn held(&self, meta: &SnapshotMeta) -> u32 {
        let ask = Ask::Held(meta.snapshot_id.clone());
        match self.network.link.ask((self.to, &self.member), &ask, HELD_PATIENCE).await {
            Ok(Answer::Held(chunks)) => chunks,
            _ => 0,
        }
    }

    /// Sends the snapshot; `None` when nobody came to take it.
    async fn send(&self, vote: Vote, snapshot: Snapshot<Types>) -> Result<Answer, Lost> {
        let Snapshot { meta, snapshot } = snapshot;
        let skipped = self.held(&meta).await;
        let (parts, outgoing) = Link::parts();
        let reading = self.network.snapshots.send(vote, meta, *snapshot, skipped, parts);
        let sending = self.network.link.install((self.to, &self.member), outgoing);
        let (read, sent) = tokio::join!(reading, sending);
        if let Err(reason) = read {
            // A snapshot in use that cannot be read is a damaged disk.
            self.network.fault.raise(reason);
        }
        sent
    }
}

impl RaftNetwork<Types> for Client {
    async fn append_entries(
        &mut self,
        mut append: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<MemberId>, Failed> {
        if *self.network.voice.borrow() == Voice::Silent {
            self.flight.forget();
            return Err(failed(&Lost::Unreached("without a quorum this member is silent".into())));
        }
        let before = self.flight.join(&mut append).await;
        let quorum = matches!(*self.network.leadership.borrow(), Leadership::Leader { .. });
        let (link, to, member) = (self.network.link.clone(), self.to, self.member.clone());
        let patience = self.network.heartbeat * IN_FLIGHT;
        if before == Before::Conflict {
            self.found = false;
            self.flight.forget();
        }
        if !self.found && !append.entries.is_empty() {
            // Without the entries: that is answered in time, and proves it.
            let bare = AppendEntriesRequest { entries: Vec::new(), ..append.clone() };
            match self.ask(Ask::Append { entries: bare, quorum }, &option).await? {
                Answer::Append(AppendEntriesResponse::Success) => self.found = true,
                Answer::Append(response) => return Ok(response),
                _ => return Err(failed(&unexpected())),
            }
        }
        let stretch = self.flight.portion(&mut append);
        let last = append.entries.last().map(|entry| entry.log_id).or(append.prev_log_id);
        let new = stretch.is_some_and(|stretch| self.flight.is_new(&stretch));
        let ask = Ask::Append { entries: append, quorum };
        let answer = async move {
            match new {
                true => link.ask_to_write((to, &member), &ask, patience).await,
                false => link.ask((to, &member), &ask, patience).await,
            }
        };
        match self.flight.send(stretch, answer).await.map_err(|lost| failed(&lost))? {
            // It may be less than openraft asked for.
            Answer::Append(AppendEntriesResponse::Success) => {
                Ok(AppendEntriesResponse::PartialSuccess(last))
            }
            Answer::Append(AppendEntriesResponse::Conflict) => {
                self.found = false;
                match before {
                    Before::Nothing | Before::Conflict => Ok(AppendEntriesResponse::Conflict),
                    // It is about other entries than openraft asked for.
                    Before::Arrived => {
                        self.flight.forget();
                        Err(failed(&Lost::Silent("the member lost what it had".into())))
                    }
                }
            }
            Answer::Append(response) => Ok(response),
            _ => Err(failed(&unexpected())),
        }
    }

    async fn vote(
        &mut self,
        ballot: VoteRequest<MemberId>,
        option: RPCOption,
    ) -> Result<VoteResponse<MemberId>, Failed> {
        match self.ask(Ask::Vote(ballot), &option).await? {
            Answer::Vote(response) => Ok(response),
            _ => Err(failed(&unexpected())),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<Types>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<MemberId>, StreamingError<Types, Fatal<MemberId>>> {
        let sent = tokio::select! {
            sent = self.send(vote, snapshot) => sent,
            closed = cancel => return Err(closed.into()),
        };
        match sent {
            Ok(Answer::Installed(vote)) => Ok(SnapshotResponse::new(vote)),
            Ok(_) => Err(Unreachable::new(&unexpected()).into()),
            // Whatever it was, it is sent again: not at once, and only what did not come.
            Err(lost) => {
                tracing::warn!(member = %self.member, %lost, "a snapshot was not taken");
                Err(Unreachable::new(&lost).into())
            }
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(iter::repeat(self.network.heartbeat))
    }
}

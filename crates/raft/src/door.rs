//! What other managers may ask of this member.
//!
//! Only managers are let in, and only with a frame for this member of this epoch: a store that
//! was wiped and made anew answers to another number. What changes or reads the state is taken
//! from members only; what raft says among itself comes also from one that joined a moment ago.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use openraft::Snapshot;
use swarm_crypto::tls::peer;
use swarm_proto::v1::RaftFrame;
use swarm_proto::v1::raft_server::{self, RaftServer};
use swarm_types::NodeId;
use swarm_types::spec::node::NodeRole;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};

use crate::dial::FRAME_BYTES;
use crate::failure::Failure;
use crate::members::RETRY_AFTER;
use crate::message::{Answer, Ask};
use crate::raft::Raft;
use crate::record::Malformed;
use crate::snapshot::{Intake, IntakeError, Part};
use crate::type_config::{SnapshotMeta, Vote};

/// How long the next part of a snapshot may take.
const PART_PATIENCE: Duration = Duration::from_secs(10);
/// Longest a manager's question may be worked on.
const PATIENCE: Duration = Duration::from_secs(60);

/// The service for the managers' port; mount it in a server.
pub type Service = RaftServer<Door>;

/// Answers other managers.
#[derive(Clone, Debug)]
pub struct Door {
    raft: Raft,
    /// One snapshot at a time comes in, and none is made then.
    installing: Arc<Mutex<()>>,
}

impl Door {
    pub(crate) fn service(raft: Raft) -> Service {
        let server = RaftServer::new(Self::new(raft));
        server.max_decoding_message_size(FRAME_BYTES).max_encoding_message_size(FRAME_BYTES)
    }

    pub(crate) fn new(raft: Raft) -> Self {
        let installing = raft.installing();
        Self { raft, installing }
    }

    /// Answers a frame that `caller`, a manager, sent.
    pub(crate) async fn answer(
        &self,
        caller: NodeId,
        frame: RaftFrame,
    ) -> Result<RaftFrame, Status> {
        self.admit(&frame)?;
        let ask = Ask::decode(&frame.body).map_err(malformed)?;
        let answer = match ask {
            Ask::Append { entries, quorum } => {
                elected(&entries.vote)?;
                let response = self.raft.openraft().append_entries(entries).await;
                let response = response.map_err(|error| stopped(&error))?;
                if quorum {
                    self.raft.heard_leader(&response);
                }
                Answer::Append(response)
            }
            Ask::Vote(ballot) if ballot.vote.is_committed() => {
                return Err(Status::invalid_argument("who was elected does not stand"));
            }
            Ask::Vote(ballot) => {
                let response = self.raft.openraft().vote(ballot).await;
                Answer::Vote(response.map_err(|error| stopped(&error))?)
            }
            Ask::Ping => {
                let (votes, applied) = (self.raft.votes(), self.raft.info().applied);
                Answer::Here { votes, applied }
            }
            Ask::Held(id) => Answer::Held(self.raft.snapshots().held(&id)),
            Ask::Ready if self.raft.is_complete() => Answer::Done,
            Ask::Ready => Answer::Failed(Failure::Busy(RETRY_AFTER)),
            ask => {
                self.member(caller)?;
                self.serve(ask).await?
            }
        };
        Ok(self.raft.link().frame(frame.from, answer.encode()))
    }

    async fn serve(&self, ask: Ask) -> Result<Answer, Status> {
        let by = |within: Duration| Instant::now() + within.min(PATIENCE);
        Ok(match ask {
            Ask::Propose(lane, group, within) => {
                let outcome = self.raft.propose_here(lane, group, by(within), None).await;
                // Read afterwards: it shows what became of the group.
                Answer::Proposed(outcome.map_err(Into::into), self.raft.snapshot().applied())
            }
            Ask::ReadIndex(within) => match self.raft.read_index(by(within)).await {
                Ok(index) => Answer::ReadIndex(index),
                Err(error) => Answer::Failed(error.into()),
            },
            Ask::Change(change, within) => match self.raft.change_here(change, by(within)).await {
                Ok(()) => Answer::Done,
                Err(error) => Answer::Failed(error.into()),
            },
            Ask::Elect => {
                let asked = self.raft.openraft().trigger().elect().await;
                asked.map_err(|error| stopped(&error))?;
                Answer::Done
            }
            Ask::Append { .. } | Ask::Vote(_) | Ask::Ping | Ask::Ready | Ask::Held(_) => {
                return Err(Status::internal("raft's own question"));
            }
        })
    }

    /// Takes a snapshot. What came of it is kept when the caller goes away in the middle, and
    /// removed when it is not put to use for another reason.
    pub(crate) async fn install(
        &self,
        mut frames: impl Stream<Item = Result<RaftFrame, Status>> + Send + Unpin + 'static,
    ) -> Result<RaftFrame, Status> {
        let place = self.installing.clone().try_lock_owned();
        let place =
            place.map_err(|_| Status::resource_exhausted("a snapshot is coming already"))?;
        let door = self.clone();
        // Not to be dropped half done with the call; it ends when the frames do.
        let done = self.raft.spawn(async move {
            let _place = place;
            door.take(&mut frames).await
        });
        done.await.map_err(|_| Status::unavailable("raft was shut down"))?
    }

    async fn take(
        &self,
        frames: &mut (impl Stream<Item = Result<RaftFrame, Status>> + Send + Unpin),
    ) -> Result<RaftFrame, Status> {
        let (from, part) = self.next(frames).await?;
        let Part::Head(vote, meta, skipped) = part else {
            return Err(Status::invalid_argument("a snapshot begins with what it is"));
        };
        elected(&vote)?;
        let taken = self.raft.snapshots().take(meta.clone(), skipped).await;
        let mut intake = taken.map_err(not_taken)?;
        let used = match self.receive(frames, &mut intake).await {
            Ok(file) => self.raft.put_to_use(vote, meta, file).await,
            Err(Broken::Line(status)) => {
                intake.keep().await.map_err(|error| stopped(&error))?;
                return Err(status);
            }
            Err(Broken::Content(status)) => Err(status),
        };
        let closed = intake.close().await;
        let vote = used?;
        closed.map_err(|error| stopped(&error))?;
        Ok(self.raft.link().frame(from, Answer::Installed(vote).encode()))
    }

    async fn receive(
        &self,
        frames: &mut (impl Stream<Item = Result<RaftFrame, Status>> + Send + Unpin),
        intake: &mut Intake,
    ) -> Result<crate::snapshot::SnapshotFile, Broken> {
        let broken = |error| Broken::Content(not_taken(error));
        loop {
            match self.next(frames).await.map_err(Broken::Line)?.1 {
                Part::Piece(bytes, ends) => intake.piece(&bytes, ends).await.map_err(broken)?,
                Part::End(digest) => return intake.finish(digest).await.map_err(broken),
                Part::Head(..) => {
                    return Err(Broken::Content(Status::invalid_argument("two heads")));
                }
            }
        }
    }

    async fn next(
        &self,
        frames: &mut (impl Stream<Item = Result<RaftFrame, Status>> + Send + Unpin),
    ) -> Result<(u64, Part), Status> {
        let late = |_| Status::deadline_exceeded("the next part of the snapshot does not come");
        let frame = timeout(PART_PATIENCE, frames.next()).await.map_err(late)?;
        let frame = frame.ok_or_else(|| Status::invalid_argument("the snapshot has no end"))??;
        self.admit(&frame)?;
        Ok((frame.from, Part::decode(&frame.body).map_err(malformed)?))
    }

    fn admit(&self, frame: &RaftFrame) -> Result<(), Status> {
        let (epoch, me) = (self.raft.link().epoch(), self.raft.link().me());
        if frame.epoch != epoch {
            let text = format!("this manager is of epoch {epoch}, not {}", frame.epoch);
            return Err(Status::failed_precondition(text));
        }
        if frame.to != me {
            let text = format!("raft member {} is not here", frame.to);
            return Err(Status::failed_precondition(text));
        }
        Ok(())
    }

    fn member(&self, caller: NodeId) -> Result<(), Status> {
        let known = self.raft.info().members.values().any(|member| member.node == caller);
        known.then_some(()).ok_or_else(|| {
            Status::permission_denied(format!("node {caller} is no manager of this cluster"))
        })
    }
}

/// Why a snapshot did not come to its end.
enum Broken {
    /// What came so far is good.
    Line(Status),
    Content(Status),
}

/// What only a leader sends is not taken from one who stands: raft relies on it.
fn elected(vote: &Vote) -> Result<(), Status> {
    if vote.is_committed() {
        return Ok(());
    }
    Err(Status::invalid_argument("only who was elected sends this"))
}

fn malformed(error: Malformed) -> Status {
    tracing::warn!(%error, "a manager sent what this version does not understand");
    Status::invalid_argument(error.to_string())
}

fn stopped(error: &impl ToString) -> Status {
    Status::unavailable(error.to_string())
}

fn not_taken(error: IntakeError) -> Status {
    match error {
        IntakeError::Sent(why) => Status::invalid_argument(why),
        IntakeError::Stopped(reason) => Status::unavailable(reason.to_string()),
    }
}

impl Raft {
    /// Hands a snapshot that is complete here to raft.
    async fn put_to_use(
        &self,
        vote: Vote,
        meta: SnapshotMeta,
        file: crate::snapshot::SnapshotFile,
    ) -> Result<Vote, Status> {
        let snapshot = Snapshot { meta, snapshot: Box::new(file) };
        let installed = self.openraft().install_full_snapshot(vote, snapshot).await;
        installed.map(|response| response.vote).map_err(|error| stopped(&error))
    }
}

/// The manager that sent a request.
fn caller<T>(request: &Request<T>) -> Result<NodeId, Status> {
    let certificate = peer(request.extensions()).and_then(|peer| peer.certificate);
    let identity = certificate.map(|certificate| certificate.identity);
    let manager = identity.filter(|identity| identity.role == NodeRole::Manager);
    let manager = manager.map(|identity| identity.node);
    manager.ok_or_else(|| Status::permission_denied("only managers speak raft"))
}

#[tonic::async_trait]
impl raft_server::Raft for Door {
    async fn call(&self, request: Request<RaftFrame>) -> Result<Response<RaftFrame>, Status> {
        let caller = caller(&request)?;
        self.answer(caller, request.into_inner()).await.map(Response::new)
    }

    async fn install(
        &self,
        request: Request<Streaming<RaftFrame>>,
    ) -> Result<Response<RaftFrame>, Status> {
        caller(&request)?;
        // The other `install`: this one is the trait's.
        Self::install(self, request.into_inner()).await.map(Response::new)
    }
}

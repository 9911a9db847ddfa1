//! Hands work to nodes and takes their reports. Any manager serves any node, from its own
//! replica; only what has to be agreed on (a session, a report) is proposed.
//!
//! [`hub`] knows the sessions this manager carries and tells each what changed for it;
//! [`session`], [`assignments`] and [`status`] are the calls; [`fence`] says who may be served, and
//! [`openings`] how often.

pub(crate) mod assignments;
pub(crate) mod fence;
mod hosts;
pub(crate) mod hub;
mod openings;
mod session;
mod status;

use std::sync::Arc;

use swarm_proto::{field, v1};
use swarm_state::Snapshot;
use swarm_types::{NodeId, SessionId};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::Core;
use crate::access;
use hub::Live;

/// Messages of a stream that wait for a node. One: what changes meanwhile joins the next.
const IN_FLIGHT: usize = 1;

/// The dispatcher of one manager.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    core: Arc<Core>,
}

impl Dispatcher {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// The calling node and the state it is checked against.
    fn caller<T>(&self, request: &Request<T>) -> Result<(NodeId, Snapshot), Status> {
        let snapshot = self.core.raft.snapshot();
        let node = access::node(request, &snapshot)?;
        Ok((node, snapshot))
    }

    /// The node's session as this manager carries it.
    fn live(&self, node: NodeId, session: &[u8]) -> Result<Arc<Live>, Status> {
        let session: SessionId = field::id(session, "session_id")
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let live = self.core.hub.session(&node).filter(|live| live.id == session);
        live.ok_or_else(|| {
            Status::aborted(format!("session {session} is not carried here: open a new one"))
        })
    }
}

/// Refuses a node that obeys another epoch; one that obeyed none yet takes ours.
pub(crate) fn check_epoch(snapshot: &Snapshot, epoch: u64) -> Result<u64, Status> {
    let ours = snapshot.cluster().map_or(0, |cluster| cluster.epoch);
    if epoch != 0 && epoch != ours {
        return Err(Status::aborted(format!("the cluster is in epoch {ours}, not in {epoch}")));
    }
    Ok(ours)
}

/// Why a session that was carried here ends.
fn closed(core: &Core) -> Status {
    if core.stopping.is_cancelled() {
        return Status::unavailable("this manager is stopping: try another manager");
    }
    Status::aborted("the session was superseded, or its node was removed: open a new one")
}

/// Time between a node's heartbeats, in milliseconds.
fn heartbeat_ms(snapshot: &Snapshot) -> u32 {
    let period = snapshot
        .cluster()
        .map_or(swarm_types::defaults::HEARTBEAT_PERIOD, |cluster| cluster.spec.heartbeat_period);
    u32::try_from(period.as_millis()).unwrap_or(u32::MAX)
}

#[tonic::async_trait]
impl v1::dispatcher_server::Dispatcher for Dispatcher {
    type SessionStream = ReceiverStream<Result<v1::SessionMessage, Status>>;
    type AssignmentsStream = ReceiverStream<Result<v1::AssignmentsMessage, Status>>;

    async fn session(
        &self,
        request: Request<v1::SessionRequest>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        self.open(request).await.map(Response::new)
    }

    async fn heartbeat(
        &self,
        request: Request<v1::HeartbeatRequest>,
    ) -> Result<Response<v1::HeartbeatResponse>, Status> {
        let (node, snapshot) = self.caller(&request)?;
        let request = request.into_inner();
        check_epoch(&snapshot, request.epoch)?;
        let live = self.live(node, &request.session_id)?;
        self.core.hub.hear(node, live.id);
        self.core.figures.heartbeats.inc();
        let period_ms = heartbeat_ms(&snapshot);
        Ok(Response::new(v1::HeartbeatResponse { period_ms, r#move: !self.core.is_fit() }))
    }

    async fn update_task_status(
        &self,
        request: Request<v1::UpdateTaskStatusRequest>,
    ) -> Result<Response<v1::UpdateTaskStatusResponse>, Status> {
        let (node, snapshot) = self.caller(&request)?;
        self.report(node, &snapshot, request.into_inner()).await.map(Response::new)
    }

    async fn assignments(
        &self,
        request: Request<v1::AssignmentsRequest>,
    ) -> Result<Response<Self::AssignmentsStream>, Status> {
        let (node, snapshot) = self.caller(&request)?;
        let request = request.into_inner();
        check_epoch(&snapshot, request.epoch)?;
        self.core.require_fit()?;
        let live = self.live(node, &request.session_id)?;
        Ok(Response::new(assignments::stream(self.core.clone(), live)))
    }
}

#[cfg(test)]
mod tests;

//! `Session`: a node opens a session, and is told what it needs to know while it lasts.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use swarm_proto::{field, v1};
use swarm_raft::Lane;
use swarm_types::object::node::NodeDescription;
use swarm_types::{Change, Group, IdSource, NodeId, OpenSession, SessionId};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status};

use super::hub::Live;
use super::{Dispatcher, IN_FLIGHT, check_epoch, closed, fence, heartbeat_ms};
use crate::{Core, errors};

/// How long the opening of a session may take.
const OPEN_DEADLINE: Duration = Duration::from_secs(5);

type Sender = mpsc::Sender<Result<v1::SessionMessage, Status>>;

impl Dispatcher {
    pub(super) async fn open(
        &self,
        request: Request<v1::SessionRequest>,
    ) -> Result<ReceiverStream<Result<v1::SessionMessage, Status>>, Status> {
        let (node, snapshot) = self.caller(&request)?;
        let peer = swarm_crypto::tls::peer(request.extensions());
        let seen = peer.map(|peer| peer.addr.ip().to_string()).unwrap_or_default();
        let request = request.into_inner();
        let addr = address(&request.addr, seen)?;
        let ours = snapshot.cluster().map_or(0, |cluster| cluster.epoch);
        // Of a forced cluster it takes the epoch; what it obeyed before counts no more.
        let before = request.epoch < ours;
        if !before {
            check_epoch(&snapshot, request.epoch)?;
        }
        self.core.require_fit()?;
        if !before && !fence::may_order(&snapshot, request.obeyed_index) {
            return Err(Status::failed_precondition(format!(
                "behind: this manager has applied {}, the node obeyed {}: try another manager",
                snapshot.applied(),
                request.obeyed_index
            )));
        }

        if !self.core.hub.admit(node) {
            return Err(Status::resource_exhausted(
                "this node opens sessions too often: try again in some seconds",
            ));
        }
        let id: SessionId = IdSource::system().draw();
        self.propose(node, id, addr, request).await?;
        let present = || {
            let snapshot = self.core.raft.snapshot();
            snapshot.node(&node)?.session.as_ref().map(|session| session.id)
        };
        let live = self.core.hub.carry(node, id, self.core.stopping.child_token(), present);
        let live = live.ok_or_else(|| closed(&self.core))?;
        tracing::info!(%node, session = %id, "session opened");

        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        self.core.tracker.spawn(tell(self.core.clone(), live, sender));
        Ok(ReceiverStream::new(receiver))
    }

    async fn propose(
        &self,
        node: NodeId,
        session: SessionId,
        addr: String,
        request: v1::SessionRequest,
    ) -> Result<(), Status> {
        let description: NodeDescription = field::part(request.description, "description")
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let open = OpenSession {
            node,
            session,
            manager: self.core.node,
            boot_id: request.boot_id,
            description: Box::new(description),
            addr,
        };
        let group = Group {
            request: IdSource::system().draw(),
            expect: Vec::new(),
            changes: vec![Change::OpenSession(Box::new(open))],
        };
        let opened =
            self.core.raft.propose(Lane::Control, group, Instant::now() + OPEN_DEADLINE).await;
        opened.map(|_| ()).map_err(|error| errors::not_proposed(&error))
    }
}

/// Where others reach the node: where it says, or else where it calls from.
fn address(told: &str, seen: String) -> Result<String, Status> {
    match told.parse::<IpAddr>() {
        _ if told.is_empty() => Ok(seen),
        Ok(addr) => Ok(addr.to_string()),
        Err(_) => Err(Status::invalid_argument(format!("addr: {told:?} is no IP address"))),
    }
}

/// Sends what the node needs to know, first at once and then when it changes.
async fn tell(core: Arc<Core>, live: Arc<Live>, sender: Sender) {
    // A node that does not read must not keep the stream from ending.
    tokio::select! {
        biased;
        () = live.closed.cancelled() => {
            let _ = sender.try_send(Err(closed(&core)));
        }
        () = feed(&core, &live, &sender) => {}
    }
    core.hub.drop_session(&live);
    tracing::info!(node = %live.node, session = %live.id, "session closed");
}

async fn feed(core: &Core, live: &Live, sender: &Sender) {
    let mut told = None;
    loop {
        tokio::select! {
            () = live.about_changed.notified() => {}
            () = sender.closed() => return,
        }
        let Some(message) = message(core, live) else { continue };
        if told.as_ref() != Some(&message) {
            if sender.send(Ok(message.clone())).await.is_err() {
                return;
            }
            told = Some(message);
        }
    }
}

fn message(core: &Core, live: &Live) -> Option<v1::SessionMessage> {
    let snapshot = &core.raft.snapshot();
    let cluster = snapshot.cluster()?;
    let node = snapshot.node(&live.node)?;
    Some(v1::SessionMessage {
        session_id: field::put_id(live.id),
        node: Some(node.as_ref().into()),
        managers: core.manager_addresses(),
        heartbeat_period_ms: heartbeat_ms(snapshot),
        epoch: cluster.epoch,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_where_it_says_or_where_it_calls_from() {
        let seen = || "192.0.2.1".to_owned();

        assert_eq!(address("", seen()).unwrap(), "192.0.2.1");
        assert_eq!(address("2001:db8::1", seen()).unwrap(), "2001:db8::1");
        assert!(address("host", seen()).unwrap_err().message().contains("host"));
    }
}

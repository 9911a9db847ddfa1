//! `Managers`: what managers ask each other beside the log.
//!
//! Only a node that is a manager now, and is to be one, becomes a member of raft: the state is
//! asked, after a quorum round. Whether it is where it says, raft finds out before it changes
//! anything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use swarm_proto::{field, v1};
use swarm_raft::{Leadership, Member, MemberId};
use swarm_state::Snapshot;
use swarm_types::spec::node::NodeRole;
use swarm_types::{NodeId, SessionId};
use tonic::{Request, Response, Status};

use crate::access::{self, Caller};
use crate::audit::Audit;
use crate::clock::boot_time;
use crate::{Core, errors};

/// How long letting a member in may take, until it has everything.
const ADMIT_DEADLINE: Duration = Duration::from_secs(30);
/// Longest address: a host name and a port.
const MAX_ADDR: usize = 255 + 6;

/// What a manager serves to managers.
#[derive(Debug)]
pub(crate) struct Managers {
    core: Arc<Core>,
}

impl Managers {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    async fn let_in(&self, node: NodeId, request: v1::AdmitRequest) -> Result<(), Status> {
        let deadline = Instant::now() + ADMIT_DEADLINE;
        let addr = request.addr;
        if request.member == 0 || addr.is_empty() || addr.len() > MAX_ADDR {
            return Err(Status::invalid_argument(
                "a member has a number, and an address HOST:PORT",
            ));
        }
        let snapshot = self.core.raft.read(deadline).await;
        let snapshot = snapshot.map_err(|error| errors::not_read(&error))?;
        self.check_epoch(request.epoch)?;
        self.core.require_fit()?;
        wanted(&snapshot, node)?;
        let member = Member { node, addr };
        let added = self.core.raft.add(request.member, member, deadline).await;
        added.map_err(|error| errors::not_changed(&error))
    }

    fn check_epoch(&self, epoch: u64) -> Result<(), Status> {
        let ours = self.core.raft.epoch();
        if epoch == ours {
            return Ok(());
        }
        Err(Status::failed_precondition(format!("the cluster is in epoch {ours}, not in {epoch}")))
    }

    /// Takes what another manager heard of nodes, and says where the leader stands.
    fn hear(&self, request: v1::VouchRequest) -> Result<v1::VouchResponse, Status> {
        self.check_epoch(request.epoch)?;
        let core = &self.core;
        let Leadership::Leader { incarnation: clock, .. } = *core.raft.leadership().borrow() else {
            return Err(Status::unavailable("this manager does not lead"));
        };
        let now = boot_time();
        let heard = decode(&request)?;
        if request.clock == clock {
            let snapshot = core.raft.snapshot();
            let as_of = Duration::from_millis(request.as_of_ms).min(now);
            let mut liveness = core.hub.liveness();
            for (node, session, age) in heard {
                // What a manager still carries of a session that is over says nothing.
                if present(&snapshot, &node) == Some(session) {
                    liveness.hear(node, session, as_of.saturating_sub(age));
                }
            }
        }
        Ok(v1::VouchResponse {
            clock,
            now_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            applied_index: core.raft.snapshot().applied(),
            reachable: core.reachable().into_iter().map(field::put_id).collect(),
        })
    }
}

fn present(snapshot: &Snapshot, node: &NodeId) -> Option<SessionId> {
    Some(snapshot.node(node)?.session.as_ref()?.id)
}

fn decode(request: &v1::VouchRequest) -> Result<Vec<(NodeId, SessionId, Duration)>, Status> {
    let heard = request.nodes.iter().map(|heard| {
        let node = field::id(&heard.node, "node")?;
        let session = field::id(&heard.session, "session")?;
        Ok((node, session, Duration::from_millis(heard.age_ms.into())))
    });
    let heard: Result<_, swarm_proto::DecodeError> = heard.collect();
    heard.map_err(|error| Status::invalid_argument(error.to_string()))
}

/// Refuses a node that is no manager any more, or is not to stay one.
fn wanted(snapshot: &Snapshot, id: NodeId) -> Result<(), Status> {
    let node = snapshot.node(&id);
    let is = node
        .is_some_and(|node| node.role == NodeRole::Manager && node.spec.role == NodeRole::Manager);
    is.then_some(()).ok_or_else(|| {
        Status::permission_denied(format!(
            "node {id} is no manager: promote it, or join it with the managers' token"
        ))
    })
}

#[tonic::async_trait]
impl v1::managers_server::Managers for Managers {
    async fn admit(
        &self,
        request: Request<v1::AdmitRequest>,
    ) -> Result<Response<v1::AdmitResponse>, Status> {
        let node = access::manager(&request, &self.core.raft.snapshot(), self.core.freshness());
        let request = request.into_inner();
        let number: Result<MemberId, Status> = Ok(request.member);
        let at: Result<String, Status> = Ok(request.addr.clone());
        let audit = Audit::new("Admit", &node.clone().map(Caller::Node), &number, &at);
        audit
            .end(async {
                self.let_in(node?, request).await?;
                Ok(v1::AdmitResponse {})
            })
            .await
    }

    async fn vouch(
        &self,
        request: Request<v1::VouchRequest>,
    ) -> Result<Response<v1::VouchResponse>, Status> {
        access::manager(&request, &self.core.raft.snapshot(), self.core.freshness())?;
        self.hear(request.into_inner()).map(Response::new)
    }
}

#[cfg(test)]
mod tests;

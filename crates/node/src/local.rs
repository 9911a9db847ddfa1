//! `NodeLocal`: founding a cluster, and what the node knows of itself. Always answers `Info`.

use std::sync::Arc;
use std::time::Duration;

use swarm_proto::v1::node_local_server::NodeLocal;
use swarm_proto::{field, v1};
use swarm_types::spec::node::{Availability, NodeRole};
use tokio::time::timeout;
use tonic::{Request, Response, Status};

use crate::membership::Membership;
use crate::{Inner, NodeError, check};

/// How long `Info` waits for a change of membership that is under way.
const BUSY: Duration = Duration::from_millis(200);

/// The node's own service.
#[derive(Debug)]
pub(crate) struct Local(pub(crate) Arc<Inner>);

#[tonic::async_trait]
impl NodeLocal for Local {
    async fn init(
        &self,
        request: Request<v1::InitRequest>,
    ) -> Result<Response<v1::InitResponse>, Status> {
        let request = request.into_inner();
        if !request.listen_addr.is_empty() {
            return Err(Status::unimplemented(
                "not supported yet: ListenAddr; pass --listen-addr to `swarm daemon`",
            ));
        }
        let availability = availability(request.availability())?;
        let founded = self.0.found(request.advertise_addr, availability).await;
        let outcome = founded.as_ref().map_or_else(ToString::to_string, |_| "done".to_owned());
        tracing::info!(
            target: "swarm::audit", caller = "local socket", call = "Init", outcome, "change"
        );
        let founded = founded.map_err(|error| refused(&error))?;
        let answer = self.founded(founded).await?;
        Ok(Response::new(answer))
    }

    async fn info(
        &self,
        _: Request<v1::InfoRequest>,
    ) -> Result<Response<v1::InfoResponse>, Status> {
        let mut info = v1::InfoResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            containerd_version: self.0.runtime.version().to_owned(),
            hostname: nix::unistd::gethostname()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            ..v1::InfoResponse::default()
        };
        let Ok(member) = timeout(BUSY, self.0.member.lock()).await else {
            info.set_state(v1::LocalState::Pending);
            return Ok(Response::new(info));
        };
        let Some(member) = member.as_ref() else {
            info.set_state(v1::LocalState::Inactive);
            return Ok(Response::new(info));
        };
        let Membership { node, advertise, .. } = member.membership;
        let snapshot = member.raft.snapshot();
        let managers = snapshot.nodes().filter(|node| node.role == NodeRole::Manager);
        info.managers = u32::try_from(managers.count()).unwrap_or(u32::MAX);
        info.nodes = u32::try_from(snapshot.nodes().count()).unwrap_or(u32::MAX);
        info.node_id = Some(field::put_id(node));
        info.cluster = snapshot.cluster().map(|cluster| cluster.as_ref().into());
        info.is_manager = true;
        info.applied_index = snapshot.applied();
        info.leader = member.manager.leader().map(field::put_id);
        info.advertise_addr = advertise.to_string();
        info.manager_addrs = vec![advertise.to_string()];
        let failure = self.0.failure.borrow().clone();
        info.error = failure.map(|reason| reason.to_string()).unwrap_or_default();
        info.set_state(match info.error.is_empty() {
            true => v1::LocalState::Active,
            false => v1::LocalState::Error,
        });
        Ok(Response::new(info))
    }

    async fn version(
        &self,
        _: Request<v1::VersionRequest>,
    ) -> Result<Response<v1::VersionResponse>, Status> {
        Ok(Response::new(v1::VersionResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            containerd_version: self.0.runtime.version().to_owned(),
            runc_version: check::runc_version().await.unwrap_or_default(),
        }))
    }
}

impl Local {
    async fn founded(&self, founded: Membership) -> Result<v1::InitResponse, Status> {
        let member = self.0.member.lock().await;
        let snapshot = member.as_ref().map(|member| member.raft.snapshot());
        let cluster = snapshot.as_ref().and_then(|snapshot| snapshot.cluster());
        let cluster = cluster.ok_or_else(|| Status::aborted("the node was stopped meanwhile"))?;
        let token = |value: &swarm_types::Sensitive| Some(value.into());
        Ok(v1::InitResponse {
            node_id: field::put_id(founded.node),
            cluster_id: field::put_id(founded.cluster),
            worker_token: token(&cluster.root_ca.worker_token),
            manager_token: token(&cluster.root_ca.manager_token),
            advertise_addr: founded.advertise.to_string(),
        })
    }
}

fn availability(value: v1::Availability) -> Result<Availability, Status> {
    match value {
        v1::Availability::Active => Ok(Availability::Active),
        v1::Availability::Pause => Ok(Availability::Pause),
        v1::Availability::Drain => Ok(Availability::Drain),
        v1::Availability::Unspecified => Err(Status::invalid_argument("availability is missing")),
    }
}

fn refused(error: &NodeError) -> Status {
    let text = with_causes(error);
    match error {
        NodeError::Member => {
            Status::failed_precondition(format!("{text}; `swarm info` says which"))
        }
        NodeError::NoAddress { .. } | NodeError::Elsewhere { .. } => Status::invalid_argument(text),
        NodeError::Listen { .. } | NodeError::NotReady { .. } | NodeError::Stopping => {
            Status::unavailable(text)
        }
        _ => Status::internal(text),
    }
}

/// The error and its causes in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

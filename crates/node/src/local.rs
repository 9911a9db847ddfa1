//! `NodeLocal`: founding, joining and leaving a cluster, and what the node knows of itself. Always answers `Info`.

use std::sync::Arc;
use std::time::Duration;

use swarm_crypto::UnlockKey;
use swarm_crypto::ca::JoinToken;
use swarm_proto::v1::node_local_server::NodeLocal;
use swarm_proto::{field, v1};
use swarm_raft::Raft;
use swarm_types::IdSource;
use swarm_types::resolve::resolve;
use swarm_types::spec::cluster::ClusterSpec;
use swarm_types::spec::node::{Availability, NodeRole};
use tokio::time::timeout;
use tonic::{Request, Response, Status};

use crate::join::Joining;
use crate::leave::Insistence;
use crate::managing::Managing;
use crate::member::Member;
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
        if request.force_new_cluster {
            if request.spec.is_some() {
                return Err(Status::invalid_argument(
                    "a forced new cluster keeps its settings: change them with `swarm update`",
                ));
            }
            let forced = self.0.force_new(request.advertise_addr).await;
            let forced = forced.map_err(|error| refused(&error));
            told("ForceNewCluster", &forced);
            return Ok(Response::new(self.founded(forced?).await?));
        }
        let availability = availability(request.availability())?;
        let spec = settings(request.spec)?;
        let founded = self.0.found(request.advertise_addr, availability, spec).await;
        let founded = founded.map_err(|error| refused(&error));
        told("Init", &founded);
        let answer = self.founded(founded?).await?;
        Ok(Response::new(answer))
    }

    async fn join(
        &self,
        request: Request<v1::JoinRequest>,
    ) -> Result<Response<v1::JoinResponse>, Status> {
        let joined = match joining(request.into_inner()) {
            Ok(with) => self.0.join(with).await.map_err(|error| refused(&error)),
            Err(refusal) => Err(refusal),
        };
        told("Join", &joined);
        let Membership { node, cluster, part } = joined?;
        Ok(Response::new(v1::JoinResponse {
            node_id: field::put_id(node),
            cluster_id: field::put_id(cluster),
            role: field::put_word(part.role()),
        }))
    }

    async fn unlock(
        &self,
        request: Request<v1::UnlockRequest>,
    ) -> Result<Response<v1::UnlockResponse>, Status> {
        let key = field::part(request.into_inner().key, "key").map_err(|error| bad(&error))?;
        let unlocked = match UnlockKey::parse(&key) {
            Ok(key) => self.0.unlock(key).await.map_err(|error| refused(&error)),
            Err(error) => Err(bad(&error)),
        };
        told("Unlock", &unlocked);
        unlocked.map(|()| Response::new(v1::UnlockResponse {}))
    }

    async fn leave(
        &self,
        request: Request<v1::LeaveRequest>,
    ) -> Result<Response<v1::LeaveResponse>, Status> {
        let insistence = match request.into_inner().force {
            true => Insistence::Forced,
            false => Insistence::Asked,
        };
        let left = self.0.leave(insistence).await.map_err(|error| refused(&error));
        told("Leave", &left);
        let counted = left?.map(|counted| counted.to_string()).unwrap_or_default();
        Ok(Response::new(v1::LeaveResponse { counted }))
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
        if let Some(raft) = self.describe(&mut info).await {
            info.reachable = raft.roll_call().await.into_iter().map(field::put_id).collect();
        }
        Ok(Response::new(info))
    }

    async fn figures(
        &self,
        _: Request<v1::FiguresRequest>,
    ) -> Result<Response<v1::FiguresResponse>, Status> {
        Ok(Response::new(timeout(BUSY, self.0.figures()).await.unwrap_or_default()))
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
    /// What the node is part of. The store of a manager that knows no leader comes back: it can
    /// ask who is there.
    async fn describe(&self, info: &mut v1::InfoResponse) -> Option<Raft> {
        let Ok(member) = timeout(BUSY, self.0.member.lock()).await else {
            info.set_state(v1::LocalState::Pending);
            return None;
        };
        let Some(member) = member.as_ref() else {
            info.set_state(v1::LocalState::Inactive);
            return None;
        };
        info.node_id = Some(field::put_id(member.membership.node));
        info.advertise_addr = member.address();
        info.manager_addrs = member.managers();
        if let Some(managing) = &member.managing {
            fill(info, managing);
        }
        let failure = self.0.failure.borrow().clone();
        info.error = failure.map_or_else(|| member.trouble(), |reason| reason.to_string());
        info.set_state(match info.error.is_empty() {
            true if member.is_locked() => v1::LocalState::Locked,
            true => v1::LocalState::Active,
            false => v1::LocalState::Error,
        });
        let managing = member.managing.as_ref().filter(|it| it.manager.leader().is_none());
        managing.map(|managing| managing.raft.clone())
    }

    async fn founded(&self, founded: Membership) -> Result<v1::InitResponse, Status> {
        let member = self.0.member.lock().await;
        let managing = member.as_ref().and_then(|member| member.managing.as_ref());
        let snapshot = managing.map(|managing| managing.raft.snapshot());
        let cluster = snapshot.as_ref().and_then(|snapshot| snapshot.cluster());
        let cluster = cluster.ok_or_else(|| Status::aborted("the node was stopped meanwhile"))?;
        let token = |value: &swarm_types::Sensitive| Some(value.into());
        Ok(v1::InitResponse {
            node_id: field::put_id(founded.node),
            cluster_id: field::put_id(founded.cluster),
            worker_token: token(&cluster.root_ca.worker_token),
            manager_token: token(&cluster.root_ca.manager_token),
            advertise_addr: member.as_ref().map(Member::address).unwrap_or_default(),
            unlock_key: token(&cluster.unlock_key),
        })
    }
}

/// What only a manager's node knows.
fn fill(info: &mut v1::InfoResponse, managing: &Managing) {
    let snapshot = managing.raft.snapshot();
    let managers: Vec<_> = snapshot.nodes().filter(|node| node.role == NodeRole::Manager).collect();
    info.managers = u32::try_from(managers.len()).unwrap_or(u32::MAX);
    info.nodes = u32::try_from(snapshot.nodes().count()).unwrap_or(u32::MAX);
    info.cluster = snapshot.cluster().map(|cluster| cluster.as_ref().into());
    info.is_manager = true;
    info.applied_index = snapshot.applied();
    info.leader = managing.manager.leader().map(field::put_id);
}

/// The trace of a change of membership.
fn told<T>(call: &str, result: &Result<T, Status>) {
    let outcome = match result {
        Ok(_) => "done".to_owned(),
        Err(status) => format!("{:?}: {}", status.code(), status.message()),
    };
    tracing::info!(target: "swarm::audit", caller = "local socket", call, outcome, "change");
}

fn joining(request: v1::JoinRequest) -> Result<Joining, Status> {
    if !request.listen_addr.is_empty() {
        return Err(Status::unimplemented(
            "not supported yet: ListenAddr; pass --listen-addr to `swarm daemon`",
        ));
    }
    let availability = availability(request.availability())?;
    let text = request.token.as_ref().map(|token| token.value.as_slice()).unwrap_or_default();
    let token = JoinToken::parse(std::str::from_utf8(text).unwrap_or_default());
    Ok(Joining {
        token: token.map_err(|error| Status::invalid_argument(error.to_string()))?,
        remotes: request.remote_addrs,
        advertise: request.advertise_addr,
        availability,
    })
}

/// The settings a cluster begins with.
fn settings(spec: Option<v1::ClusterSpec>) -> Result<ClusterSpec, Status> {
    let Some(spec) = spec else { return Ok(ClusterSpec::default()) };
    let spec: ClusterSpec = field::part(Some(spec), "spec").map_err(|error| bad(&error))?;
    let spec = resolve(spec, &mut IdSource::system()).map_err(|error| bad(&error))?;
    let plain = ClusterSpec::default();
    let unserved = |field: &str| Err(Status::unimplemented(format!("not supported yet: {field}")));
    match () {
        () if !spec.ca.external_cas.is_empty() => unserved("CAConfig.ExternalCAs"),
        () if !spec.ca.signing_cert.is_empty() => unserved("CAConfig.SigningCACert"),
        () if spec.ca.force_rotate != plain.ca.force_rotate => unserved("CAConfig.ForceRotate"),
        () if spec.raft != plain.raft => {
            unserved("Raft (snapshots are made by the size of the log)")
        }
        () if spec.default_log_driver.is_some() => unserved("TaskDefaults.LogDriver"),
        () => Ok((*spec).clone()),
    }
}

fn bad(error: &impl std::fmt::Display) -> Status {
    Status::invalid_argument(error.to_string())
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
            Status::failed_precondition(format!("{text} (`swarm info` says which)"))
        }
        NodeError::NoMember
        | NodeError::NoManager
        | NodeError::HasQuorum
        | NodeError::Locked
        | NodeError::ManagerStays
        | NodeError::NotLocked => Status::failed_precondition(text),
        NodeError::WrongKey => Status::unauthenticated(text),
        NodeError::NoAddress { .. } | NodeError::Elsewhere { .. } | NodeError::Remote { .. } => {
            Status::invalid_argument(text)
        }
        NodeError::NotAdmitted { code, .. } => Status::new(*code, text),
        NodeError::Listen { .. } | NodeError::NotReady { .. } | NodeError::Stopping => {
            Status::unavailable(text)
        }
        _ => Status::internal(text),
    }
}

/// What is at the bottom of an error.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    text
}

/// Why a call was refused, or did not come through.
pub(crate) fn said(status: &Status) -> String {
    match std::error::Error::source(status) {
        // Made on this side: the cause says more than the transport.
        Some(_) => innermost(status),
        None => status.message().to_owned(),
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

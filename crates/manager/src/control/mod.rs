//! The control API: what users ask of the cluster, one file per kind of object.
//!
//! A change is authorised, resolved and checked here, becomes one group, and is proposed under
//! the caller's request id. Reads are answered from a snapshot. Nothing is decided here that a
//! replica must agree on: names, references and versions are checked where it is applied.

mod cluster;
mod credentials;
mod node;
mod placeholders;
mod read;
mod service;
mod task;
mod token;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use swarm_proto::{field, v1};
use swarm_raft::{Lane, ProposeError};
use swarm_types::{Change, Expect, Group, IdSource, RequestId, ServiceId};
use tonic::{Request, Response, Status};

use crate::Core;
use crate::access::{self, Access, Caller};
use crate::audit::Audit;
use crate::errors;

/// How long a change may take before its outcome is called unknown.
const PROPOSE_DEADLINE: Duration = Duration::from_secs(20);

/// The control API, for callers that prove themselves in one way.
#[derive(Debug)]
pub(crate) struct Control {
    core: Arc<Core>,
    access: Access,
}

impl Control {
    pub(crate) const fn new(core: Arc<Core>, access: Access) -> Self {
        Self { core, access }
    }

    fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        access::user(self.access, request, &self.core.raft.snapshot())
    }

    /// Proposes one change.
    async fn change(
        &self,
        request: RequestId,
        expect: Vec<Expect>,
        change: Change,
    ) -> Result<(), Status> {
        self.change_all(request, expect, vec![change]).await
    }

    /// Proposes changes that happen together or not at all.
    async fn change_all(
        &self,
        request: RequestId,
        expect: Vec<Expect>,
        changes: Vec<Change>,
    ) -> Result<(), Status> {
        let done = self.propose(request, expect, changes).await;
        done.map_err(|error| errors::not_proposed(&error))
    }

    async fn propose(
        &self,
        request: RequestId,
        expect: Vec<Expect>,
        changes: Vec<Change>,
    ) -> Result<(), ProposeError> {
        let group = Group { request, expect, changes };
        let deadline = Instant::now() + PROPOSE_DEADLINE;
        self.core.raft.propose(Lane::Control, group, deadline).await.map(drop)
    }
}

/// The caller's request id, or a fresh one for a caller that will not retry.
fn request_id(bytes: &[u8]) -> Result<RequestId, Status> {
    if bytes.is_empty() {
        return Ok(IdSource::system().draw());
    }
    field::id(bytes, "request_id").map_err(invalid)
}

fn service_id(bytes: &[u8]) -> Result<ServiceId, Status> {
    field::id(bytes, "id").map_err(invalid)
}

fn invalid(error: impl std::fmt::Display) -> Status {
    Status::invalid_argument(error.to_string())
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl v1::control_server::Control for Control {
    async fn create_service(
        &self,
        request: Request<v1::CreateServiceRequest>,
    ) -> Answer<v1::CreateServiceResponse> {
        let (caller, request) = (self.caller(&request), request.into_inner());
        let id = request_id(&request.request_id);
        let service = id.clone().map(RequestId::created::<ServiceId>);
        let audit = Audit::new("CreateService", &caller, &id, &service);
        audit
            .end(async {
                caller?;
                self.create(id?, request.spec).await
            })
            .await
    }

    async fn update_service(
        &self,
        request: Request<v1::UpdateServiceRequest>,
    ) -> Answer<v1::UpdateServiceResponse> {
        let (caller, request) = (self.caller(&request), request.into_inner());
        let id = request_id(&request.request_id);
        let service = service_id(&request.id);
        let audit = Audit::new("UpdateService", &caller, &id, &service);
        audit
            .end(async {
                caller?;
                self.update(id?, service?, request).await
            })
            .await
    }

    async fn rollback_service(
        &self,
        request: Request<v1::RollbackServiceRequest>,
    ) -> Answer<v1::UpdateServiceResponse> {
        let (caller, request) = (self.caller(&request), request.into_inner());
        let id = request_id(&request.request_id);
        let service = service_id(&request.id);
        let audit = Audit::new("RollbackService", &caller, &id, &service);
        audit
            .end(async {
                caller?;
                self.roll_back(id?, service?, request.spec_version).await
            })
            .await
    }

    async fn remove_service(
        &self,
        request: Request<v1::RemoveServiceRequest>,
    ) -> Answer<v1::RemoveServiceResponse> {
        let (caller, request) = (self.caller(&request), request.into_inner());
        let id = request_id(&request.request_id);
        let service = service_id(&request.id);
        let audit = Audit::new("RemoveService", &caller, &id, &service);
        audit
            .end(async {
                caller?;
                self.remove(id?, service?).await
            })
            .await
    }

    async fn get_service(
        &self,
        request: Request<v1::GetServiceRequest>,
    ) -> Answer<v1::GetServiceResponse> {
        self.caller(&request)?;
        self.service(request.into_inner()).await.map(Response::new)
    }

    async fn list_services(
        &self,
        request: Request<v1::ListServicesRequest>,
    ) -> Answer<v1::ListServicesResponse> {
        self.caller(&request)?;
        self.services(request.into_inner()).await.map(Response::new)
    }

    async fn list_tasks(
        &self,
        request: Request<v1::ListTasksRequest>,
    ) -> Answer<v1::ListTasksResponse> {
        self.caller(&request)?;
        self.tasks(request.into_inner()).await.map(Response::new)
    }

    async fn get_task(&self, request: Request<v1::GetTaskRequest>) -> Answer<v1::GetTaskResponse> {
        self.caller(&request)?;
        self.task(request.into_inner()).await.map(Response::new)
    }

    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Answer<v1::ListNodesResponse> {
        self.caller(&request)?;
        self.nodes(request.into_inner()).await.map(Response::new)
    }

    async fn get_node(&self, request: Request<v1::GetNodeRequest>) -> Answer<v1::GetNodeResponse> {
        self.caller(&request)?;
        self.node(request.into_inner()).await.map(Response::new)
    }

    async fn update_node(
        &self,
        request: Request<v1::UpdateNodeRequest>,
    ) -> Answer<v1::UpdateNodeResponse> {
        let (caller, request) = (self.caller(&request), request.into_inner());
        let id = request_id(&request.request_id);
        let node = node::node_id(&request.id);
        let audit = Audit::new("UpdateNode", &caller, &id, &node);
        audit
            .end(async {
                caller?;
                self.update_node(id?, node?, request).await
            })
            .await
    }

    async fn remove_node(
        &self,
        request: Request<v1::RemoveNodeRequest>,
    ) -> Answer<v1::RemoveNodeResponse> {
        let (caller, request) = (self.caller(&request), request.into_inner());
        let id = request_id(&request.request_id);
        let node = node::node_id(&request.id);
        let audit = Audit::new("RemoveNode", &caller, &id, &node);
        audit
            .end(async {
                caller?;
                self.remove_node(id?, node?, request.force).await
            })
            .await
    }

    async fn explain_task(
        &self,
        request: Request<v1::ExplainTaskRequest>,
    ) -> Answer<v1::ExplainTaskResponse> {
        self.caller(&request)?;
        self.explain(request.into_inner()).await.map(Response::new)
    }

    type WatchStream = watch::Events;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Answer<Self::WatchStream> {
        let caller = self.caller(&request)?;
        self.events(caller, &request.into_inner()).map(Response::new)
    }

    async fn get_cluster(
        &self,
        request: Request<v1::GetClusterRequest>,
    ) -> Answer<v1::GetClusterResponse> {
        self.caller(&request)?;
        self.cluster(request.into_inner()).await.map(Response::new)
    }

    async fn update_cluster(
        &self,
        request: Request<v1::UpdateClusterRequest>,
    ) -> Answer<v1::UpdateClusterResponse> {
        let (caller, request) = (self.caller(&request), request.into_inner());
        let id = request_id(&request.request_id);
        let audit = Audit::new("UpdateCluster", &caller, &id, &Ok("cluster"));
        audit
            .end(async {
                caller?;
                self.update_cluster(id?, request).await
            })
            .await
    }

    async fn get_unlock_key(
        &self,
        request: Request<v1::GetUnlockKeyRequest>,
    ) -> Answer<v1::UnlockKeyResponse> {
        self.caller(&request)?;
        self.unlock_key().await.map(Response::new)
    }

    async fn rotate_unlock_key(
        &self,
        request: Request<v1::RotateUnlockKeyRequest>,
    ) -> Answer<v1::UnlockKeyResponse> {
        let (caller, request) = (self.caller(&request), request.into_inner());
        let id = request_id(&request.request_id);
        let audit = Audit::new("RotateUnlockKey", &caller, &id, &Ok("unlock key"));
        audit
            .end(async {
                caller?;
                self.rotate_unlock_key(id?).await
            })
            .await
    }

    async fn get_join_token(
        &self,
        request: Request<v1::GetJoinTokenRequest>,
    ) -> Answer<v1::JoinTokenResponse> {
        self.caller(&request)?;
        self.join_token(request.into_inner().role).await.map(Response::new)
    }

    async fn rotate_join_token(
        &self,
        request: Request<v1::RotateJoinTokenRequest>,
    ) -> Answer<v1::JoinTokenResponse> {
        let (caller, request) = (self.caller(&request), request.into_inner());
        let id = request_id(&request.request_id);
        let audit = Audit::new("RotateJoinToken", &caller, &id, &token::role(request.role));
        audit
            .end(async {
                caller?;
                self.rotate_join_token(id?, request.role).await
            })
            .await
    }
}

#[cfg(test)]
mod tests;

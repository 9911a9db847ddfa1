//! Services: create, update, remove, get, list.

use std::sync::Arc;

use swarm_proto::{field, v1};
use swarm_state::Snapshot;
use swarm_types::object::service::{Endpoint, UpdateState, UpdateStatus};
use swarm_types::resolve::{Resolved, resolve};
use swarm_types::spec::service::{ServiceMode, ServiceSpec};
use swarm_types::unsupported::unsupported;
use swarm_types::update::may_update;
use swarm_types::{
    Change, Expect, Expected, IdSource, Meta, ObjectId, RequestId, Service, ServiceId, TaskState,
    Timestamp,
};
use tonic::Status;

use super::{Control, credentials, invalid, placeholders, service_id};

impl Control {
    pub(crate) async fn create(
        &self,
        request: RequestId,
        spec: Option<v1::ServiceSpec>,
    ) -> Result<v1::CreateServiceResponse, Status> {
        let spec = accepted(field::part(spec, "spec").map_err(invalid)?)?;
        let id: ServiceId = request.created();

        let expect = vec![Expect { object: ObjectId::Service(id), what: Expected::Absent }];
        let change = Change::CreateService(Box::new(fresh(id, spec.into_inner())));
        self.change(request, expect, change).await?;

        Ok(v1::CreateServiceResponse { service: self.stored(&id)?, warnings: Vec::new() })
    }

    pub(super) async fn update(
        &self,
        request: RequestId,
        id: ServiceId,
        update: v1::UpdateServiceRequest,
    ) -> Result<v1::UpdateServiceResponse, Status> {
        let spec: ServiceSpec = field::part(update.spec, "spec").map_err(invalid)?;
        let snapshot = self.spec_seen(&request, &id, update.spec_version).await?;
        let spec = match snapshot.service(&id) {
            Some(stored) => accepted(credentials::kept(&stored.spec, spec))?,
            None => accepted(spec)?,
        };
        // A retry gets its first answer, whatever became of the service since.
        if snapshot.request(&request).is_none() {
            let stored = snapshot.service(&id).ok_or_else(|| not_found(&id))?;
            may_update(&stored.spec, &spec)
                .map_err(|error| Status::unimplemented(error.to_string()))?;
        }

        let what = Expected::SpecVersion(update.spec_version);
        let expect = vec![Expect { object: ObjectId::Service(id), what }];
        let change = Change::UpdateService(id, Box::new(spec.into_inner()));
        self.change(request, expect, change).await?;

        Ok(v1::UpdateServiceResponse { service: self.stored(&id)?, warnings: Vec::new() })
    }

    /// A state to judge an update by. This replica may lag behind the one the caller read.
    async fn spec_seen(
        &self,
        request: &RequestId,
        id: &ServiceId,
        version: u64,
    ) -> Result<Snapshot, Status> {
        let snapshot = self.core.raft.snapshot();
        let seen = snapshot.service(id).is_some_and(|it| it.meta.spec_version == version);
        if seen || snapshot.request(request).is_some() {
            return Ok(snapshot);
        }
        Ok(self.view(false).await?.snapshot)
    }

    pub(super) async fn roll_back(
        &self,
        request: RequestId,
        id: ServiceId,
        spec_version: u64,
    ) -> Result<v1::UpdateServiceResponse, Status> {
        let what = Expected::SpecVersion(spec_version);
        let expect = vec![Expect { object: ObjectId::Service(id), what }];
        let status = UpdateStatus {
            state: UpdateState::RollbackStarted,
            started_at: Some(Timestamp::now()),
            completed_at: None,
            message: "manually requested rollback".to_owned(),
        };
        self.change(request, expect, Change::RollbackService(id, Box::new(status))).await?;

        Ok(v1::UpdateServiceResponse { service: self.stored(&id)?, warnings: Vec::new() })
    }

    pub(super) async fn remove(
        &self,
        request: RequestId,
        id: ServiceId,
    ) -> Result<v1::RemoveServiceResponse, Status> {
        self.change(request, Vec::new(), Change::RemoveService(id)).await?;
        Ok(v1::RemoveServiceResponse {})
    }

    pub(super) async fn service(
        &self,
        request: v1::GetServiceRequest,
    ) -> Result<v1::GetServiceResponse, Status> {
        let id = service_id(&request.id)?;
        let view = self.view(request.stale).await?;
        let service = view.snapshot.service(&id).ok_or_else(|| not_found(&id))?;
        Ok(v1::GetServiceResponse {
            service: Some(listed(&view.snapshot, service)),
            applied_index: view.index(),
            age_ms: view.age_ms,
        })
    }

    pub(super) async fn services(
        &self,
        request: v1::ListServicesRequest,
    ) -> Result<v1::ListServicesResponse, Status> {
        let view = self.view(request.stale).await?;
        let services = view.snapshot.services().map(|it| listed(&view.snapshot, it)).collect();
        Ok(v1::ListServicesResponse { services, applied_index: view.index(), age_ms: view.age_ms })
    }

    /// The service after a change; `None` when it was removed in the meantime.
    fn stored(&self, id: &ServiceId) -> Result<Option<v1::Service>, Status> {
        let snapshot = self.core.raft.snapshot();
        let service = snapshot.service(id).ok_or_else(|| {
            Status::aborted(format!("service {id} was changed, and removed right after that"))
        })?;
        Ok(Some(credentials::without(service.as_ref().into())))
    }
}

/// The spec as it is stored: complete, allowed, and within what this version serves.
fn accepted(spec: ServiceSpec) -> Result<Resolved<ServiceSpec>, Status> {
    let spec = resolve(spec, &mut IdSource::system()).map_err(invalid)?;
    placeholders::checked(&spec)?;
    let missing: Vec<String> = unsupported(&spec).iter().map(ToString::to_string).collect();
    if missing.is_empty() { Ok(spec) } else { Err(Status::unimplemented(missing.join("; "))) }
}

fn fresh(id: ServiceId, spec: ServiceSpec) -> Service {
    Service {
        id,
        meta: Meta::default(),
        spec,
        previous: None,
        endpoint: Endpoint::default(),
        update_status: None,
        job: None,
    }
}

fn not_found(id: &ServiceId) -> Status {
    Status::not_found(format!("service {id} not found"))
}

fn listed(snapshot: &Snapshot, service: &Arc<Service>) -> v1::ListedService {
    let wanted = || snapshot.tasks_of_service(&service.id).filter(|task| task.wanted());
    let running = wanted().filter(|task| task.status.state == TaskState::Running).count();
    v1::ListedService {
        service: Some(credentials::without(service.as_ref().into())),
        running: running as u64,
        desired: match service.spec.mode {
            ServiceMode::Replicated { replicas } => replicas,
            ServiceMode::ReplicatedJob { total_completions, .. } => total_completions,
            ServiceMode::Global | ServiceMode::GlobalJob => wanted().count() as u64,
        },
    }
}

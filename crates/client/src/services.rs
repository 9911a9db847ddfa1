//! Services, tasks and nodes.

use std::time::Duration;

use swarm_proto::shared::TemplateReader;
use swarm_proto::{DecodeError, field, v1};
use swarm_types::spec::service::ServiceSpec;
use swarm_types::{IdSource, Node, NodeId, RequestId, Service, ServiceId, Task};

use crate::resolve::pick;
use crate::{Answer, Client, ClientError, Consistency};

/// A service and how many of its tasks run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceRow {
    /// The service.
    pub service: Service,
    /// Tasks that run and are wanted.
    pub running: u64,
    /// Tasks there should be.
    pub desired: u64,
}

/// A service after a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Changed {
    /// The service.
    pub service: Service,
    /// For people; the change happened all the same.
    pub warnings: Vec<String>,
}

/// Which tasks are meant; an empty list does not restrict.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TaskFilter {
    /// Only tasks of these services.
    pub services: Vec<ServiceId>,
    /// Only tasks on these nodes.
    pub nodes: Vec<NodeId>,
}

impl Client {
    /// Creates a service.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when the spec breaks a rule or the name is taken.
    pub async fn create_service(&self, spec: &ServiceSpec) -> Result<Changed, ClientError> {
        let request =
            v1::CreateServiceRequest { request_id: request_id(), spec: Some(spec.into()) };
        let answer = self
            .call(|| {
                let (mut control, request) = (self.control(), request.clone());
                async move { control.create_service(request).await }
            })
            .await?;
        self.changed(answer.service, answer.warnings)
    }

    /// Replaces the spec of a service, if nobody did since `service` was read.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when the spec breaks a rule or was replaced meanwhile.
    pub async fn update_service(
        &self,
        service: &Service,
        spec: &ServiceSpec,
    ) -> Result<Changed, ClientError> {
        let request = v1::UpdateServiceRequest {
            request_id: request_id(),
            id: field::put_id(service.id),
            spec_version: service.meta.spec_version,
            spec: Some(spec.into()),
        };
        let answer = self
            .call(|| {
                let (mut control, request) = (self.control(), request.clone());
                async move { control.update_service(request).await }
            })
            .await?;
        self.changed(answer.service, answer.warnings)
    }

    /// Returns to the spec before the last update, if nobody wrote the spec since `service` was
    /// read. It rolls out as the rollback settings say.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when there is no such spec, or it was written meanwhile.
    pub async fn rollback_service(&self, service: &Service) -> Result<Changed, ClientError> {
        let request = v1::RollbackServiceRequest {
            request_id: request_id(),
            id: field::put_id(service.id),
            spec_version: service.meta.spec_version,
        };
        let answer = self
            .call(|| {
                let (mut control, request) = (self.control(), request.clone());
                async move { control.rollback_service(request).await }
            })
            .await?;
        self.changed(answer.service, answer.warnings)
    }

    /// Removes a service; its tasks end after that.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when there is no such service.
    pub async fn remove_service(&self, id: ServiceId) -> Result<(), ClientError> {
        let request = v1::RemoveServiceRequest { request_id: request_id(), id: field::put_id(id) };
        self.call(|| {
            let (mut control, request) = (self.control(), request.clone());
            async move { control.remove_service(request).await }
        })
        .await?;
        Ok(())
    }

    /// All services, by id.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] without a leader, unless a stale answer will do.
    pub async fn services(
        &self,
        consistency: Consistency,
    ) -> Result<Answer<Vec<ServiceRow>>, ClientError> {
        let request = v1::ListServicesRequest { stale: consistency == Consistency::Stale };
        let answer = self
            .call(|| {
                let mut control = self.control();
                async move { control.list_services(request).await }
            })
            .await?;
        let value: Result<Vec<_>, _> = answer.services.into_iter().map(|it| self.row(it)).collect();
        Ok(self::answer(value?, answer.applied_index, answer.age_ms))
    }

    /// The service of that id, name or unique start of an id.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`] and [`ClientError::Ambiguous`], beside those of [`Self::services`].
    pub async fn service(
        &self,
        wanted: &str,
        consistency: Consistency,
    ) -> Result<Answer<Service>, ClientError> {
        let rows = self.services(consistency).await?;
        let id = |row: &ServiceRow| row.service.id;
        let found = pick(
            "service",
            wanted,
            &rows.value,
            |row| row.service.id.as_str(),
            |row| row.service.spec.annotations.name.as_str(),
        )
        .map(id)?;
        let service = rows.value.into_iter().find(|row| row.service.id == found);
        let value = service
            .map(|row| row.service)
            .ok_or_else(|| ClientError::NotFound { kind: "service", name: wanted.to_owned() })?;
        Ok(Answer { value, applied_index: rows.applied_index, age: rows.age })
    }

    /// The one service of that id with its counts.
    pub(crate) async fn service_row(&self, id: ServiceId) -> Result<ServiceRow, ClientError> {
        let request = v1::GetServiceRequest { id: field::put_id(id), stale: false };
        let answer = self
            .call(|| {
                let (mut control, request) = (self.control(), request.clone());
                async move { control.get_service(request).await }
            })
            .await?;
        self.row(answer.service.unwrap_or_default())
    }

    /// Tasks with their history: by service, slot, and age with the newest first.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] without a leader, unless a stale answer will do.
    pub async fn tasks(
        &self,
        filter: &TaskFilter,
        consistency: Consistency,
    ) -> Result<Answer<Vec<Task>>, ClientError> {
        let request = v1::ListTasksRequest {
            services: filter.services.iter().map(|id| field::put_id(*id)).collect(),
            nodes: filter.nodes.iter().map(|id| field::put_id(*id)).collect(),
            stale: consistency == Consistency::Stale,
        };
        let answer = self
            .call(|| {
                let (mut control, request) = (self.control(), request.clone());
                async move { control.list_tasks(request).await }
            })
            .await?;
        let value = read_tasks(answer.templates, answer.tasks);
        let value = value.map_err(|error| self.unreadable(error))?;
        Ok(self::answer(value, answer.applied_index, answer.age_ms))
    }

    /// All nodes, by id.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] without a leader, unless a stale answer will do.
    pub async fn nodes(&self, consistency: Consistency) -> Result<Answer<Vec<Node>>, ClientError> {
        let request = v1::ListNodesRequest { stale: consistency == Consistency::Stale };
        let answer = self
            .call(|| {
                let mut control = self.control();
                async move { control.list_nodes(request).await }
            })
            .await?;
        let nodes: Result<Vec<Node>, _> = answer.nodes.into_iter().map(Node::try_from).collect();
        let value = nodes.map_err(|error| self.unreadable(error))?;
        Ok(self::answer(value, answer.applied_index, answer.age_ms))
    }

    fn row(&self, listed: v1::ListedService) -> Result<ServiceRow, ClientError> {
        let service = field::part(listed.service, "service");
        let service = service.map_err(|error| self.unreadable(error))?;
        Ok(ServiceRow { service, running: listed.running, desired: listed.desired })
    }

    fn changed(
        &self,
        service: Option<v1::Service>,
        warnings: Vec<String>,
    ) -> Result<Changed, ClientError> {
        let service = field::part(service, "service").map_err(|error| self.unreadable(error))?;
        Ok(Changed { service, warnings })
    }
}

pub(crate) fn request_id() -> Vec<u8> {
    field::put_id(IdSource::system().draw::<RequestId>())
}

fn read_tasks(
    templates: Vec<v1::Template>,
    tasks: Vec<v1::Task>,
) -> Result<Vec<Task>, DecodeError> {
    let templates = TemplateReader::new(templates)?;
    tasks.into_iter().map(|task| templates.task(task)).collect()
}

fn answer<T>(value: T, applied_index: u64, age_ms: Option<u64>) -> Answer<T> {
    Answer { value, applied_index, age: age_ms.map(Duration::from_millis) }
}

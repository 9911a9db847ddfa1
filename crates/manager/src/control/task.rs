//! Tasks: get, list.

use std::collections::BTreeSet;
use std::sync::Arc;

use swarm_proto::shared::TemplateWriter;
use swarm_proto::{field, v1};
use swarm_state::Snapshot;
use swarm_types::{NodeId, ServiceId, Task, TaskId};
use tonic::Status;

use super::{Control, invalid};

impl Control {
    pub(super) async fn tasks(
        &self,
        request: v1::ListTasksRequest,
    ) -> Result<v1::ListTasksResponse, Status> {
        let services: Result<BTreeSet<ServiceId>, _> =
            request.services.iter().map(|id| field::id(id, "services")).collect();
        let nodes: Result<BTreeSet<NodeId>, _> =
            request.nodes.iter().map(|id| field::id(id, "nodes")).collect();
        let (services, nodes) = (services.map_err(invalid)?, nodes.map_err(invalid)?);
        let view = self.view(request.stale).await?;

        let mut found = select(&view.snapshot, &services);
        found
            .retain(|task| nodes.is_empty() || task.node.is_some_and(|node| nodes.contains(&node)));
        found.sort_by_key(|task| {
            (task.service(), task.slot, std::cmp::Reverse(task.meta.created_at), task.id)
        });

        let mut templates = TemplateWriter::new();
        let tasks = found.iter().map(|task| templates.task(task)).collect();
        Ok(v1::ListTasksResponse {
            templates: templates.into_templates(),
            tasks,
            applied_index: view.index(),
            age_ms: view.age_ms,
        })
    }

    pub(super) async fn task(
        &self,
        request: v1::GetTaskRequest,
    ) -> Result<v1::GetTaskResponse, Status> {
        let id: TaskId = field::id(&request.id, "id").map_err(invalid)?;
        let view = self.view(request.stale).await?;
        let task = view.snapshot.task(&id);
        let task = task.ok_or_else(|| Status::not_found(format!("task {id} not found")))?;
        Ok(v1::GetTaskResponse {
            task: Some(task.as_ref().into()),
            applied_index: view.index(),
            age_ms: view.age_ms,
        })
    }
}

fn select(snapshot: &Snapshot, services: &BTreeSet<ServiceId>) -> Vec<Arc<Task>> {
    if services.is_empty() {
        return snapshot.tasks().cloned().collect();
    }
    services.iter().flat_map(|id| snapshot.tasks_of_service(id)).cloned().collect()
}

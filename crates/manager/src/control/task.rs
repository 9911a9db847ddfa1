//! Tasks: get, list, explain.

use std::collections::BTreeSet;
use std::sync::Arc;

use swarm_planner::Verdict;
use swarm_proto::shared::TemplateWriter;
use swarm_proto::{field, v1};
use swarm_state::Snapshot;
use swarm_types::{NodeId, ServiceId, Task, TaskId, Timestamp};
use tonic::Status;

use super::{Control, credentials, invalid};

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
            templates: credentials::without_in(templates.into_templates()),
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
        let task = view.snapshot.task(&id).ok_or_else(|| not_found(id))?;
        Ok(v1::GetTaskResponse {
            task: Some(credentials::without_of(task.as_ref().into())),
            applied_index: view.index(),
            age_ms: view.age_ms,
        })
    }

    pub(super) async fn explain(
        &self,
        request: v1::ExplainTaskRequest,
    ) -> Result<v1::ExplainTaskResponse, Status> {
        let id: TaskId = field::id(&request.id, "id").map_err(invalid)?;
        let view = self.view(request.stale).await?;
        let task = view.snapshot.task(&id).ok_or_else(|| not_found(id))?;
        let verdicts = swarm_planner::explain(&view.snapshot, task, Timestamp::now());

        let mut nodes: Vec<_> = verdicts.into_iter().map(|it| shown(&view.snapshot, it)).collect();
        nodes.sort_by(|left, right| left.hostname.cmp(&right.hostname));
        Ok(v1::ExplainTaskResponse { nodes, applied_index: view.index(), age_ms: view.age_ms })
    }
}

fn not_found(id: TaskId) -> Status {
    Status::not_found(format!("task {id} not found"))
}

fn shown(snapshot: &Snapshot, said: swarm_planner::NodeVerdict) -> v1::NodeVerdict {
    use v1::node_verdict::Verdict as Word;
    let (verdict, filter) = match said.verdict {
        Verdict::Fits => (Word::Fits, ""),
        Verdict::Refused(filter) => (Word::Refused, filter.as_str()),
        Verdict::Assigned => (Word::Assigned, ""),
    };
    let hostname = snapshot.node(&said.node).map(|node| node.description.hostname.clone());
    v1::NodeVerdict {
        node: field::put_id(said.node),
        hostname: hostname.unwrap_or_default(),
        verdict: verdict.into(),
        filter: filter.to_owned(),
        detail: said.detail,
    }
}

fn select(snapshot: &Snapshot, services: &BTreeSet<ServiceId>) -> Vec<Arc<Task>> {
    if services.is_empty() {
        return snapshot.tasks().cloned().collect();
    }
    services.iter().flat_map(|id| snapshot.tasks_of_service(id)).cloned().collect()
}

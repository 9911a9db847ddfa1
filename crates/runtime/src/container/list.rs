//! What is there.

use std::collections::HashMap;

use containerd_client::services::v1::{
    Container, GetContainerRequest, GetRequest, ListContainersRequest, ListTasksRequest,
};
use containerd_client::types::v1::{Process, Status as TaskStatus};

use super::{ContainerState, Exit, KEPT, Kept, STARTED, Status, time};
use crate::error::Tolerate;
use crate::rpc::{QUICK, refusal, rpc};
use crate::{Error, Runtime};

impl Runtime {
    /// All containers, by id.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] and the like.
    pub async fn containers(&self) -> Result<Vec<ContainerState>, Error> {
        // Records first: a container made in between is left out, not shown without its process.
        let records = self.container_records().await?;
        let request = ListTasksRequest::default();
        let tasks = rpc("list tasks", QUICK * 3, self.link.tasks().list(request)).await?.tasks;
        let tasks: HashMap<String, Process> =
            tasks.into_iter().map(|task| (task.id.clone(), task)).collect();
        let state = |record: Container| state(tasks.get(&record.id), record);
        let mut states: Vec<ContainerState> = records.into_iter().map(state).collect();
        states.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(states)
    }

    /// Where one container is in its life.
    pub(crate) async fn status(&self, id: &str) -> Result<Status, Error> {
        let record = self.container(id).await?;
        Ok(status(self.process(id).await?.as_ref(), &record))
    }

    /// The records of all containers, without their specifications. They come one by one: an
    /// answer with all of them soon has more than the 16 MiB that containerd sends at once.
    pub(crate) async fn container_records(&self) -> Result<Vec<Container>, Error> {
        let refused = |status| refusal("list containers", status);
        let mut client = self.link.containers();
        let all = async {
            let request = ListContainersRequest::default();
            let mut answers = client.list_stream(request).await.map_err(refused)?.into_inner();
            let mut records = Vec::new();
            while let Some(answer) = answers.message().await.map_err(refused)? {
                records.extend(answer.container.map(|record| Container { spec: None, ..record }));
            }
            Ok(records)
        };
        let late = Error::TimedOut { call: "list containers", waited: QUICK * 3 };
        tokio::time::timeout(QUICK * 3, all).await.unwrap_or(Err(late))
    }

    /// The record of a container.
    pub(crate) async fn container(&self, id: &str) -> Result<Container, Error> {
        let request = GetContainerRequest { id: id.into() };
        let found = rpc("get container", QUICK, self.link.containers().get(request)).await;
        let found = found.or_absent()?.and_then(|found| found.container);
        found.ok_or_else(|| Error::NotFound { id: id.into() })
    }

    /// The process of a container; `None` when it has none.
    pub(super) async fn process(&self, id: &str) -> Result<Option<Process>, Error> {
        let request = GetRequest { container_id: id.into(), exec_id: String::new() };
        let found = rpc("get task", QUICK, self.link.tasks().get(request)).await;
        match found.or_absent()?.and_then(|found| found.process) {
            // The shim did not answer containerd in time: nothing is known of the process.
            Some(process) if process.status() == TaskStatus::Unknown => {
                Err(Error::Unavailable { call: "get task" })
            }
            process => Ok(process),
        }
    }
}

fn state(task: Option<&Process>, record: Container) -> ContainerState {
    let kept = kept(&record);
    let status = status(task, &record);
    let Container { id, image, .. } = record;
    ContainerState { id, name: kept.name, image, labels: kept.labels, status }
}

/// What we keep with a record; empty for one we did not make.
pub(super) fn kept(record: &Container) -> Kept {
    let kept = record.extensions.get(KEPT);
    kept.and_then(|kept| serde_json::from_slice(&kept.value).ok()).unwrap_or_default()
}

pub(super) fn status(task: Option<&Process>, record: &Container) -> Status {
    let started = record.labels.contains_key(STARTED);
    match task {
        Some(task) => match task.status() {
            TaskStatus::Created => Status::Created,
            // A shim that does not answer; what was never started does not run, though.
            TaskStatus::Unknown if !started => Status::Created,
            TaskStatus::Stopped => Status::Stopped(exit(task.exit_status, task.exited_at)),
            _ => Status::Running { pid: task.pid },
        },
        None if started => Status::Lost,
        None => Status::Created,
    }
}

pub(super) fn exit(code: u32, at: Option<prost_types::Timestamp>) -> Exit {
    Exit { code, at: time(at) }
}

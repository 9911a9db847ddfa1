//! `Tasks`: what users do with the containers of tasks that run here, over the runtime.
//!
//! A container's id is its task's. One call per file; each answer is a stream with an owner:
//! it ends when the caller goes away or the node stops.

mod exec;
mod logs;
mod stats;

use std::str::FromStr;
use std::sync::Arc;

use swarm_proto::v1::tasks_server;
use swarm_proto::{field, v1};
use swarm_runtime::Error;
use swarm_types::TaskId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::Inner;

/// Commands that users may run at once on a node.
const EXECS: usize = 64;
/// Calls at once that read logs or stats.
const READERS: usize = 256;
/// Most tasks of one request.
const MOST: usize = 1000;
/// Messages that wait for a caller that does not read.
const WAITING: usize = 4;

/// The containers of this node's tasks.
#[derive(Debug)]
pub(crate) struct Tasks {
    inner: Arc<Inner>,
    execs: Arc<Semaphore>,
    readers: Arc<Semaphore>,
}

type Answers<T> = ReceiverStream<Result<T, Status>>;
type Sender<T> = mpsc::Sender<Result<T, Status>>;

impl Tasks {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        let [execs, readers] = [EXECS, READERS].map(|most| Arc::new(Semaphore::new(most)));
        Self { inner, execs, readers }
    }

    /// Runs `work` until it is done, the caller went away, or the node stops.
    fn answer<T: Send + 'static, F>(&self, work: impl FnOnce(Sender<T>) -> F) -> Answers<T>
    where
        F: Future<Output = Result<(), Status>> + Send + 'static,
    {
        let (sender, answers) = mpsc::channel(WAITING);
        let stopping = self.inner.stopping.clone();
        let work = work(sender.clone());
        self.inner.tracker.spawn(async move {
            tokio::select! {
                () = sender.closed() => {}
                () = stopping.cancelled() => {}
                done = work => if let Err(refusal) = done {
                    let _ = sender.send(Err(refusal)).await;
                }
            }
        });
        ReceiverStream::new(answers)
    }

    /// The tasks a request names, all of this node.
    async fn tasks(&self, ids: &[Vec<u8>]) -> Result<Vec<TaskId>, Status> {
        if ids.len() > MOST {
            return Err(Status::invalid_argument(format!("more than {MOST} tasks at once")));
        }
        let mut tasks = Vec::new();
        for id in ids {
            tasks.push(self.task(id).await?);
        }
        Ok(tasks)
    }

    /// A task that this node runs or ran. What the cluster has forgotten may still be here.
    async fn task(&self, id: &[u8]) -> Result<TaskId, Status> {
        let id: TaskId =
            field::id(id, "task").map_err(|error| Status::invalid_argument(error.to_string()))?;
        let member = self.inner.member.lock().await;
        let Some(member) = member.as_ref() else { return Ok(id) };
        // A worker knows of its own tasks only: the runtime says whether they are here.
        let Some(managing) = &member.managing else { return Ok(id) };
        let snapshot = managing.raft.snapshot();
        let elsewhere = snapshot.task(&id).filter(|task| task.node != Some(member.membership.node));
        let Some(task) = elsewhere else { return Ok(id) };
        let Some(node) = task.node else {
            return Err(Status::failed_precondition(format!("task {id} has no node yet")));
        };
        let name = snapshot.node(&node).map(|node| node.description.hostname.clone());
        let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| node.to_string());
        Err(Status::failed_precondition(format!("task {id} is on node {name}: ask there")))
    }
}

#[tonic::async_trait]
impl tasks_server::Tasks for Tasks {
    type LogsStream = Answers<v1::LogsResponse>;

    async fn logs(
        &self,
        request: Request<v1::LogsRequest>,
    ) -> Result<Response<Self::LogsStream>, Status> {
        let permit = permit(&self.readers, "readers")?;
        let request = request.into_inner();
        let tasks = self.tasks(&request.tasks).await?;
        let query = logs::query(&request)?;
        let runtime = self.inner.runtime.clone();
        let answers = self.answer(|sender| async move {
            let _permit = permit;
            logs::all(runtime, tasks, query, sender).await
        });
        Ok(Response::new(answers))
    }

    type ExecStream = Answers<v1::ExecResponse>;

    async fn exec(
        &self,
        request: Request<Streaming<v1::ExecRequest>>,
    ) -> Result<Response<Self::ExecStream>, Status> {
        let permit = permit(&self.execs, "commands")?;
        let mut requests = request.into_inner();
        let start = exec::start(&mut requests).await?;
        let task = self.task(&start.task).await?;
        let config = exec::config(start);
        tracing::info!(
            target: "swarm::audit", caller = "local socket", call = "Exec", task = %task, "exec"
        );
        let inner = self.inner.clone();
        let answers = self.answer(|sender| async move {
            let left = exec::run(&inner.runtime, task, &config, requests, sender).await?;
            if let Some(left) = left {
                let stopping = inner.stopping.clone();
                inner.tracker.spawn(async move {
                    let _permit = permit;
                    stopping.run_until_cancelled(exec::drain(left)).await;
                });
            }
            Ok(())
        });
        Ok(Response::new(answers))
    }

    type StatsStream = Answers<v1::StatsResponse>;

    async fn stats(
        &self,
        request: Request<v1::StatsRequest>,
    ) -> Result<Response<Self::StatsStream>, Status> {
        let permit = permit(&self.readers, "readers")?;
        let request = request.into_inner();
        let tasks = self.tasks(&request.tasks).await?;
        let runtime = self.inner.runtime.clone();
        let answers = self.answer(|sender| async move {
            let _permit = permit;
            stats::run(runtime, tasks, request.follow, sender).await
        });
        Ok(Response::new(answers))
    }
}

/// Leave for one more call, or a refusal.
fn permit(of: &Arc<Semaphore>, what: &str) -> Result<OwnedSemaphorePermit, Status> {
    let permit = of.clone().try_acquire_owned();
    permit.map_err(|_| Status::resource_exhausted(format!("too many {what} run here already")))
}

/// The task a container belongs to.
fn task_of(id: &str) -> Option<TaskId> {
    TaskId::from_str(id).ok()
}

fn refused(error: &Error) -> Status {
    let text = error.to_string();
    match error {
        Error::NotFound { .. } | Error::NoLogs { .. } => Status::not_found(text),
        Error::NoProcess { .. } => Status::failed_precondition(text),
        Error::BadConfig { .. } => Status::invalid_argument(text),
        Error::Unavailable { .. } => Status::unavailable(text),
        Error::TimedOut { .. } => Status::deadline_exceeded(text),
        _ => Status::internal(text),
    }
}

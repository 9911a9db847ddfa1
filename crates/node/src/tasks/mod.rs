//! `Tasks`: what users do with the containers of tasks that run here, over the runtime.
//!
//! A container's id is its task's. One call per file; each answer is a stream with an owner:
//! it ends when the caller goes away or the node stops.

mod exec;
mod logs;
mod remote;
mod stats;

use std::collections::BTreeMap;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use swarm_proto::v1::tasks_server;
use swarm_proto::{field, v1};
use swarm_runtime::Error;
use swarm_types::{NodeId, TaskId};
use tokio::io::DuplexStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::Inner;
use remote::Remote;

/// Commands that users may run at once on a node.
const EXECS: usize = 64;
/// Calls at once that read logs or stats.
const READERS: usize = 256;
/// Most tasks of one request.
const MOST: usize = 1000;
/// How often a manager that calls is asked whether it is there, and how long it may take.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Messages that wait for a caller that does not read.
const WAITING: usize = 4;

/// Who calls, and so which tasks are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Callers {
    /// Users of the node's socket: any task, when the node is a manager.
    Users,
    /// The session's manager: tasks of this node.
    Managers,
}

/// Tasks by where they are.
#[derive(Debug, Default)]
struct Places {
    here: Vec<TaskId>,
    elsewhere: BTreeMap<NodeId, Vec<TaskId>>,
}

/// The containers of this node's tasks.
#[derive(Debug)]
pub(crate) struct Tasks {
    inner: Arc<Inner>,
    callers: Callers,
    execs: Arc<Semaphore>,
    readers: Arc<Semaphore>,
}

type Answers<T> = ReceiverStream<Result<T, Status>>;
type Sender<T> = mpsc::Sender<Result<T, Status>>;

impl Tasks {
    pub(crate) fn new(inner: Arc<Inner>, callers: Callers) -> Self {
        let [execs, readers] = [EXECS, READERS].map(|most| Arc::new(Semaphore::new(most)));
        Self { inner, callers, execs, readers }
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

    /// Where the tasks are that a request names.
    async fn places(&self, ids: &[Vec<u8>]) -> Result<Places, Status> {
        if ids.len() > MOST {
            return Err(Status::invalid_argument(format!("more than {MOST} tasks at once")));
        }
        let mut places = Places::default();
        for id in ids {
            let id: TaskId = field::id(id, "task")
                .map_err(|error| Status::invalid_argument(error.to_string()))?;
            match self.elsewhere(id).await? {
                Some(node) => places.elsewhere.entry(node).or_default().push(id),
                None => places.here.push(id),
            }
        }
        Ok(places)
    }

    /// The other node that has the task. What the cluster has forgotten may still be here.
    async fn elsewhere(&self, id: TaskId) -> Result<Option<NodeId>, Status> {
        if self.callers == Callers::Managers {
            return Ok(None);
        }
        let member = self.inner.member.lock().await;
        let Some(member) = member.as_ref() else { return Ok(None) };
        // A worker knows of its own tasks only: the runtime says whether they are here.
        let Some(managing) = &member.managing else { return Ok(None) };
        let snapshot = managing.raft.snapshot();
        let Some(task) = snapshot.task(&id) else { return Ok(None) };
        let Some(node) = task.node else {
            return Err(Status::failed_precondition(format!("task {id} has no node yet")));
        };
        Ok((node != member.membership.node).then_some(node))
    }

    /// The way to another node.
    async fn remote(&self, node: NodeId) -> Result<Remote, Status> {
        let member = self.inner.member.lock().await;
        let managing = member.as_ref().and_then(|member| member.managing.as_ref());
        let managing = managing
            .ok_or_else(|| Status::failed_precondition("this node is no manager any more"))?;
        let snapshot = managing.raft.snapshot();
        let name = snapshot.node(&node).map(|node| node.description.hostname.clone());
        let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| node.to_string());
        match managing.manager.reach(node) {
            Ok(channel) => Ok(Remote { node, name, channel }),
            Err(status) => {
                Err(Status::new(status.code(), format!("node {name}: {}", status.message())))
            }
        }
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
        let query = logs::query(&request)?;
        let places = self.places(&request.tasks).await?;
        let mut remotes = Vec::new();
        for (node, tasks) in places.elsewhere {
            let tasks = tasks.into_iter().map(field::put_id).collect();
            remotes.push((self.remote(node).await, v1::LogsRequest { tasks, ..request.clone() }));
        }
        let runtime = self.inner.runtime.clone();
        let answers = self.answer(|sender| async move {
            let _permit = permit;
            let remotes = remotes.into_iter().map(|(remote, request)| {
                let sender = sender.clone();
                async move {
                    match remote {
                        Ok(remote) => remote.logs(request, sender).await,
                        Err(status) => remote::unread(request.tasks, &status, &sender).await,
                    }
                }
            });
            let remotes = futures::future::try_join_all(remotes);
            let here = logs::all(runtime, places.here, query, sender.clone());
            tokio::try_join!(here, remotes).map(|_| ())
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
        let task: TaskId = field::id(&start.task, "task")
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let elsewhere = self.elsewhere(task).await?;
        // Told once, where the caller is known.
        if self.callers == Callers::Users {
            tracing::info!(
                target: "swarm::audit", caller = "local socket", call = "Exec", task = %task, "exec"
            );
        }
        if let Some(node) = elsewhere {
            let remote = self.remote(node).await?;
            return Ok(Response::new(self.answer(|sender| async move {
                let _permit = permit;
                remote.exec(start, requests, sender).await
            })));
        }
        let config = exec::config(start);
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
        let follow = request.follow;
        let places = self.places(&request.tasks).await?;
        let mut nodes = Vec::new();
        // No task at all means all of this node.
        if places.elsewhere.is_empty() || !places.here.is_empty() {
            let runtime = self.inner.runtime.clone();
            nodes.push(self.answer(|sender| stats::run(runtime, places.here, follow, sender)));
        }
        for (node, tasks) in places.elsewhere {
            let remote = self.remote(node).await?;
            nodes.push(self.answer(|sender| remote.stats(tasks, follow, sender)));
        }
        let answers = self.answer(|sender| async move {
            let _permit = permit;
            remote::merge(nodes, sender).await
        });
        Ok(Response::new(answers))
    }
}

/// Serves the connections by which managers call, until the agent that takes them ends.
pub(crate) fn serve(inner: &Arc<Inner>, connections: mpsc::Receiver<DuplexStream>) {
    let tasks = Tasks::new(inner.clone(), Callers::Managers);
    let connections = ReceiverStream::new(connections).map(Ok::<_, io::Error>);
    let served = Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
        .add_service(tasks_server::TasksServer::new(tasks))
        .serve_with_incoming(connections);
    let stopping = inner.stopping.clone();
    inner.tracker.spawn(async move {
        if let Some(Err(error)) = stopping.run_until_cancelled(served).await {
            tracing::error!(%error, "managers cannot call this node");
        }
    });
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

//! `Tasks`: what users do with the containers of tasks that run here, over the runtime.
//!
//! A container's id is its task's. One call per file; each answer is a stream with an owner:
//! it ends when the caller goes away or the node stops.

mod ahead;
mod exec;
mod far_logs;
mod logs;
mod remote;
mod samples;
mod stats;

use std::collections::BTreeMap;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use swarm_manager::{CALL_WINDOW, MOST_CALLS};
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
use crate::membership::Part;
use far_logs::{FarLogs, Left};
use remote::Remote;
use samples::Samples;

/// Commands that users may run at once on a node.
const EXECS: usize = 64;
/// Calls at once that read logs or stats.
const READERS: usize = 256;
// What a connection takes follows from it.
const _: () = assert!(EXECS + READERS <= MOST_CALLS as usize);
/// Most tasks of one request.
const MOST: usize = 1000;
/// How often a manager that calls is asked whether it is there, and how long it may take.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long a caller may take to hear that the node stops.
const LAST_WORD: Duration = Duration::from_secs(1);
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
                () = stopping.cancelled() => {
                    let stops = Err(Status::unavailable("the daemon of this node stops"));
                    let _ = sender.send_timeout(stops, LAST_WORD).await;
                }
                done = work => if let Err(refusal) = done {
                    // Who does not read must not hold the node when it stops.
                    let _ = sender.send_timeout(Err(refusal), LAST_WORD).await;
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
            let id = task_id(id)?;
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
        let Some(managing) = &member.managing else {
            return self.only_here(id, &member.membership.part).await;
        };
        let snapshot = managing.raft.snapshot();
        let Some(task) = snapshot.task(&id) else { return Ok(None) };
        let Some(node) = task.node else {
            return Err(Status::failed_precondition(format!("task {id} has no node yet")));
        };
        Ok((node != member.membership.node).then_some(node))
    }

    /// Without a manager, a node knows of its own tasks only.
    async fn only_here(&self, id: TaskId, part: &Part) -> Result<Option<NodeId>, Status> {
        let here = self.inner.runtime.containers().await.map_err(|error| refused(&error))?;
        if here.iter().any(|container| container.id == id.as_str()) {
            return Ok(None);
        }
        let why = match part {
            Part::Worker { .. } => "this node is a worker and knows of no other's: ask a manager",
            Part::Manager { .. } => "the manager of this node does not run: ask another one",
        };
        Err(Status::failed_precondition(format!("task {id} is not here, and {why}")))
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
        let (query, after) = (logs::query(&request)?, logs::places(&request)?);
        let places = self.places(&request.tasks).await?;
        let inner = self.inner.clone();
        let answers = self.answer(|sender| async move {
            let _permit = permit;
            let far = places.elsewhere.into_iter().map(|(node, tasks)| {
                let tasks = tasks.into_iter().map(field::put_id).collect();
                let left = Left(v1::LogsRequest { tasks, ..request.clone() });
                FarLogs { inner: inner.clone(), node, left }.read(sender.clone())
            });
            let far = futures::future::try_join_all(far);
            let here = logs::all(inner.runtime.clone(), places.here, query, after, sender.clone());
            tokio::try_join!(here, far).map(|_| ())
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
        let task = task_id(&start.task)?;
        let elsewhere = self.elsewhere(task).await?;
        // Told once, where the caller is known.
        if self.callers == Callers::Users {
            tracing::info!(
                target: "swarm::audit", caller = "local socket", call = "Exec", task = %task, "exec"
            );
        }
        if let Some(node) = elsewhere {
            let remote = Remote::find(&self.inner, node).await?;
            return Ok(Response::new(self.answer(|sender| async move {
                let _permit = permit;
                remote.exec(start, requests, sender).await
            })));
        }
        let config = exec::config(start);
        let (inner, callers) = (self.inner.clone(), self.callers);
        let answers = self.answer(|sender| async move {
            let left = exec::run(&inner.runtime, task, &config, requests, sender, callers);
            let left = left.await?;
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
        let inner = self.inner.clone();
        let answers = self.answer(|sender| async move {
            let _permit = permit;
            let mut samples = Samples::default();
            // No task at all means all of this node.
            if places.elsewhere.is_empty() || !places.here.is_empty() {
                let runtime = inner.runtime.clone();
                let sample = |latest| stats::run(runtime, places.here, follow, latest);
                samples.add("this node".to_owned(), sample);
            }
            for (node, tasks) in places.elsewhere {
                let name = format!("node {}", name_of(&inner, node).await);
                let inner = inner.clone();
                samples.add(name, |latest| samples::far(inner, node, tasks, follow, latest));
            }
            samples.merge(follow, sender).await
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
        // A command that does not take its input must not hold up other calls.
        .initial_stream_window_size(CALL_WINDOW)
        .initial_connection_window_size(CALL_WINDOW * MOST_CALLS)
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

fn task_id(bytes: &[u8]) -> Result<TaskId, Status> {
    field::id(bytes, "task").map_err(|error| Status::invalid_argument(error.to_string()))
}

/// What people call a node.
async fn name_of(inner: &Inner, node: NodeId) -> String {
    let member = inner.member.lock().await;
    let managing = member.as_ref().and_then(|member| member.managing.as_ref());
    managing.map_or_else(|| node.to_string(), |it| remote::name(&it.raft, node))
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

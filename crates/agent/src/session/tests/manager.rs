//! A manager's dispatcher without a cluster behind it: it records what it is told, and says what
//! the test wants.

use std::pin::Pin;
use std::sync::Mutex;

use futures::Stream;
use swarm_proto::v1;
use swarm_proto::v1::assignments_message::Kind;
use swarm_proto::v1::dispatcher_server::{Dispatcher, DispatcherServer};
use swarm_types::{IdSource, SessionId, Task, TaskId, TaskState};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status};

use super::*;

type Answer<T> = Result<Response<T>, Status>;
type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What a manager was told, and how it answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// Requests for sessions, served or not.
    pub(super) sessions: Vec<v1::SessionRequest>,
    /// How often assignments were asked for.
    pub(super) streams: usize,
    pub(super) heartbeats: usize,
    /// Reports taken, in order.
    pub(super) reports: Vec<(TaskId, TaskState)>,
    /// The tasks of the node, for each new stream.
    pub(super) tasks: Vec<Task>,
    pub(super) index: u64,
    /// True when the manager is not fit to serve.
    pub(super) unfit: bool,
    /// True when nothing is answered any more, as by a host that is cut off.
    pub(super) silent: bool,
    /// True when the node is part of the cluster no more.
    pub(super) removed: bool,
    /// How the next reports are refused.
    pub(super) refusals: Vec<tonic::Code>,
}

/// A running manager; ends when dropped.
pub(super) struct Manager {
    pub(super) addr: String,
    pub(super) told: watch::Sender<Told>,
    /// Open streams of assignments; closing them loses the session.
    pub(super) streams: std::sync::Arc<Mutex<Vec<Assignments>>>,
    server: JoinHandle<()>,
}

type Assignments = mpsc::Sender<Result<v1::AssignmentsMessage, Status>>;

impl Drop for Manager {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Manager {
    pub(super) async fn start(tasks: &[&Task]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let tasks = tasks.iter().map(|task| (*task).clone()).collect();
        let told = watch::Sender::new(Told { tasks, index: 10, ..Told::default() });
        let streams = std::sync::Arc::default();
        let desk = Desk { told: told.clone(), streams: std::sync::Arc::clone(&streams) };
        let server = tonic::transport::Server::builder()
            .add_service(DispatcherServer::new(desk))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(async move { server.await.unwrap() });
        Self { addr, told, streams, server }
    }

    /// Sends a message on the newest stream of assignments.
    pub(super) async fn send(&self, message: v1::AssignmentsMessage) {
        let stream = self.streams.lock().unwrap().last().cloned().unwrap();
        stream.send(Ok(message)).await.unwrap();
    }

    /// Ends every stream, as a manager that goes away does.
    pub(super) fn hang_up(&self) {
        self.streams.lock().unwrap().clear();
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Told)) {
        self.told.send_modify(change);
    }

    /// Waits until the manager was told that; fails with what it was told.
    pub(super) async fn until(&self, like_that: impl FnMut(&Told) -> bool) {
        let mut told = self.told.subscribe();
        let waited = timeout(Duration::from_secs(20), told.wait_for(like_that)).await;
        assert!(waited.is_ok(), "{:?}", self.told.borrow());
    }
}

struct Desk {
    told: watch::Sender<Told>,
    streams: std::sync::Arc<Mutex<Vec<Assignments>>>,
}

impl Desk {
    /// Returns unless it is silent.
    async fn answers(&self) {
        if self.told.borrow().silent {
            std::future::pending::<()>().await;
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Told) -> T) -> T {
        let mut result = None;
        self.told.send_modify(|told| result = Some(change(told)));
        result.unwrap()
    }
}

#[tonic::async_trait]
impl Dispatcher for Desk {
    type SessionStream = Messages<v1::SessionMessage>;
    type AssignmentsStream = Messages<v1::AssignmentsMessage>;

    async fn session(&self, request: Request<v1::SessionRequest>) -> Answer<Self::SessionStream> {
        let (unfit, removed) = self.change(|told| {
            told.sessions.push(request.into_inner());
            (told.unfit, told.removed)
        });
        self.answers().await;
        if removed {
            let mut refusal = Status::permission_denied("the node was removed");
            refusal.metadata_mut().insert("swarm-removed", "1".parse().unwrap());
            return Err(refusal);
        }
        if unfit {
            return Err(Status::unavailable("no quorum"));
        }
        let id: SessionId = IdSource::system().draw();
        let first = v1::SessionMessage {
            session_id: id.bytes().to_vec(),
            heartbeat_period_ms: 50,
            epoch: 1,
            ..v1::SessionMessage::default()
        };
        let stream = tokio_stream::once(Ok(first));
        let stream = tokio_stream::StreamExt::chain(stream, tokio_stream::pending());
        Ok(Response::new(Box::pin(stream)))
    }

    async fn heartbeat(&self, _: Request<v1::HeartbeatRequest>) -> Answer<v1::HeartbeatResponse> {
        self.answers().await;
        let unfit = self.change(|told| {
            told.heartbeats += 1;
            told.unfit
        });
        Ok(Response::new(v1::HeartbeatResponse { period_ms: 50, r#move: unfit }))
    }

    async fn update_task_status(
        &self,
        request: Request<v1::UpdateTaskStatusRequest>,
    ) -> Answer<v1::UpdateTaskStatusResponse> {
        let updates = request.into_inner().updates.into_iter().map(|update| {
            let status = TaskStatus::try_from(update.status.unwrap()).unwrap();
            (field::id(&update.task, "task").unwrap(), status.state)
        });
        let updates: Vec<_> = updates.collect();
        self.change(|told| match told.refusals.pop() {
            Some(code) => Err(Status::new(code, "refused")),
            None => {
                told.reports.extend(updates);
                Ok(Response::new(v1::UpdateTaskStatusResponse {}))
            }
        })
    }

    async fn assignments(
        &self,
        _: Request<v1::AssignmentsRequest>,
    ) -> Answer<Self::AssignmentsStream> {
        let (sender, receiver) = mpsc::channel(8);
        let (tasks, index) = self.change(|told| {
            told.streams += 1;
            (told.tasks.clone(), told.index)
        });
        sender.send(Ok(message(Kind::Complete, index, ("", "1"), &tasks))).await.unwrap();
        self.streams.lock().unwrap().push(sender);
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// An assignment from version to version.
pub(super) fn message(
    kind: Kind,
    index: u64,
    versions: (&str, &str),
    tasks: &[Task],
) -> v1::AssignmentsMessage {
    let update = |task: &Task| v1::AssignmentUpdate {
        update: Some(v1::assignment_update::Update::Task(task.into())),
    };
    v1::AssignmentsMessage {
        kind: kind.into(),
        epoch: 1,
        applied_index: index,
        applies_to: versions.0.to_owned(),
        results_in: versions.1.to_owned(),
        updates: tasks.iter().map(update).collect(),
        ..v1::AssignmentsMessage::default()
    }
}

//! The four sides of an open session.
//!
//! None of them ever waits for a container, so a slow one never makes the node look dead. Every
//! unary call has a deadline; that a stream lives is known from the heartbeats beside it.

use std::time::Duration;

use swarm_proto::v1;
use swarm_proto::v1::dispatcher_client::DispatcherClient;
use swarm_types::Node;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use tracing::{debug, warn};

use super::open::{Ended, is_passing, period};
use super::orders::{Disobeyed, Obeyed, Orders};
use crate::backoff::Backoff;
use crate::executor::Executor;
use crate::reporter::Reporter;
use crate::worker::Worker;

/// Time a manager has to begin the stream of assignments.
const STREAM_DEADLINE: Duration = Duration::from_secs(5);
/// Pause before a stream with a gap is opened again.
const REOPEN: Duration = Duration::from_millis(100);
/// Time a manager has to commit a report.
const REPORT_DEADLINE: Duration = Duration::from_secs(10);
/// Least time a manager has to answer a heartbeat.
const HEARTBEAT_DEADLINE: Duration = Duration::from_secs(1);

/// What names the session in every call.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) client: DispatcherClient<Channel>,
    pub(crate) id: Vec<u8>,
    pub(crate) epoch: u64,
}

impl Link {
    /// Sends heartbeats as long as they are answered.
    pub(crate) async fn heartbeats(mut self, mut every: Duration) -> Ended {
        loop {
            let due = Instant::now() + every;
            sleep_until(due).await;
            let request = v1::HeartbeatRequest { session_id: self.id.clone(), epoch: self.epoch };
            let call = self.client.heartbeat(request);
            match timeout(every.max(HEARTBEAT_DEADLINE), call).await {
                Ok(Ok(answer)) if answer.get_ref().r#move => return Ended::Moved,
                Ok(Ok(answer)) => every = period(answer.get_ref().period_ms, every),
                Ok(Err(status)) => return Ended::refused("heartbeat")(status),
                Err(_) => return Ended::Silent { what: "heartbeat" },
            }
        }
    }

    /// Tells what is untold, and goes on until the session is refused.
    pub(crate) async fn report(mut self, reporter: &Reporter) -> Ended {
        let mut backoff = Backoff::default();
        loop {
            let batch = reporter.untold().await;
            let updates = batch.iter().map(|(task, status)| v1::TaskUpdate {
                task: task.bytes().to_vec(),
                status: Some(v1::TaskStatus::from(status)),
            });
            let request = v1::UpdateTaskStatusRequest {
                session_id: self.id.clone(),
                epoch: self.epoch,
                updates: updates.collect(),
            };
            let call = self.client.update_task_status(request);
            let late = || Status::deadline_exceeded("no answer in time");
            match timeout(REPORT_DEADLINE, call).await.unwrap_or_else(|_| Err(late())) {
                Ok(_) => {
                    reporter.acknowledge(&batch);
                    backoff.reset();
                }
                Err(status) if is_passing(&status) => {
                    debug!(reports = batch.len(), %status, "reports are sent again");
                    sleep(backoff.next()).await;
                }
                Err(status) => return Ended::refused("report")(status),
            }
        }
    }

    /// Obeys assignments; opens the stream again when one is missing.
    pub(crate) async fn assignments<E: Executor>(
        mut self,
        worker: &mut Worker<E>,
        obeyed: &mut Obeyed,
    ) -> Ended {
        loop {
            match self.stream(worker, obeyed).await {
                Ended::Disobeyed(gap @ Disobeyed::Gap { .. }) => warn!(%gap, "asks for all tasks"),
                ended => return ended,
            }
            sleep(REOPEN).await;
        }
    }

    async fn stream<E: Executor>(&mut self, worker: &mut Worker<E>, obeyed: &mut Obeyed) -> Ended {
        let what = "assignments";
        let request = v1::AssignmentsRequest { session_id: self.id.clone(), epoch: self.epoch };
        let mut stream = match timeout(STREAM_DEADLINE, self.client.assignments(request)).await {
            Ok(Ok(stream)) => stream.into_inner(),
            Ok(Err(status)) => return Ended::refused(what)(status),
            Err(_) => return Ended::Silent { what },
        };
        let mut orders = Orders::default();
        loop {
            tokio::select! {
                message = stream.message() => match message {
                    Ok(Some(message)) => {
                        let mut raised = *obeyed;
                        let assignment = match orders.read(message, &mut raised) {
                            Ok(assignment) => assignment,
                            Err(disobeyed) => return disobeyed.into(),
                        };
                        if worker.obey(assignment, raised).await.is_err() {
                            return Ended::Unkept;
                        }
                        *obeyed = raised;
                    }
                    Ok(None) => return Ended::closed(what),
                    Err(status) => return Ended::refused(what)(status),
                },
                found = worker.strays() => worker.discard(found),
            }
        }
    }
}

/// Hands on what the manager says of node and managers, until it closes the session.
pub(crate) async fn follow(
    mut messages: Streaming<v1::SessionMessage>,
    mut tell: impl FnMut(v1::SessionMessage),
) -> Ended {
    loop {
        match messages.message().await {
            Ok(Some(message)) => tell(message),
            Ok(None) => return Ended::closed("session"),
            Err(status) => return Ended::refused("session")(status),
        }
    }
}

/// The node in a session's message; one this version cannot read counts as absent.
pub(crate) fn node(message: &mut v1::SessionMessage) -> Option<Node> {
    let node = message.node.take().map(Node::try_from)?;
    node.inspect_err(|error| warn!(%error, "unreadable node object")).ok()
}

//! `UpdateTaskStatus`: an agent reports, and is answered once the reports are committed.

use std::time::{Duration, Instant};

use futures::future::join_all;
use swarm_proto::{field, v1};
use swarm_raft::{Lane, ProposeError};
use swarm_state::Snapshot;
use swarm_types::{Change, Group, IdSource, NodeId, ObserveTask, Refusal, SessionId, TaskStatus};
use tonic::Status;

use super::{Dispatcher, check_epoch};
use crate::errors;
use crate::figures::Report;

/// Reports in one call. An agent with more sends them in several.
const MAX_REPORTS: usize = 10_000;
/// How long a call may take before the agent has to repeat it.
const REPORT_DEADLINE: Duration = Duration::from_secs(10);

impl Dispatcher {
    pub(super) async fn report(
        &self,
        node: NodeId,
        snapshot: &Snapshot,
        request: v1::UpdateTaskStatusRequest,
    ) -> Result<v1::UpdateTaskStatusResponse, Status> {
        check_epoch(snapshot, request.epoch)?;
        let live = self.live(node, &request.session_id)?;
        self.core.hub.hear(node, live.id);
        if request.updates.len() > MAX_REPORTS {
            let text = format!("more than {MAX_REPORTS} reports in one call");
            return Err(Status::invalid_argument(text));
        }
        let reports: Result<Vec<ObserveTask>, Status> = request
            .updates
            .into_iter()
            .map(|update| decode(update, node, live.id))
            .filter(|report| !matches!(report, Ok(report) if is_gone(snapshot, report)))
            .collect();
        let reports = reports?;
        own_tasks_only(snapshot, &reports)?;
        let outcomes = join_all(reports.into_iter().map(|report| self.observe(report))).await;
        outcomes.into_iter().collect::<Result<(), Status>>()?;
        Ok(v1::UpdateTaskStatusResponse {})
    }

    async fn observe(&self, report: ObserveTask) -> Result<(), Status> {
        let task = report.task;
        // Also counted out when the node hangs up.
        let _queued = self.core.figures.queue();
        let group = Group {
            request: IdSource::system().draw(),
            expect: Vec::new(),
            changes: vec![Change::ObserveTask(Box::new(report))],
        };
        match self.core.raft.propose(Lane::Status, group, Instant::now() + REPORT_DEADLINE).await {
            Ok(_) => {
                self.core.figures.reported(Report::Committed);
                Ok(())
            }
            Err(ProposeError::Refused(refusal @ Refusal::Superseded(_))) => {
                self.core.figures.reported(Report::Refused);
                Err(Status::aborted(refusal.to_string()))
            }
            // It will be refused again however often it is sent: the agent is done with it.
            Err(ProposeError::Refused(refusal)) => {
                self.core.figures.reported(Report::Refused);
                tracing::debug!(%task, %refusal, "report refused");
                Ok(())
            }
            Err(error) => {
                self.core.figures.reported(Report::Failed);
                Err(errors::not_proposed(&error))
            }
        }
    }
}

fn decode(update: v1::TaskUpdate, node: NodeId, session: SessionId) -> Result<ObserveTask, Status> {
    let invalid = |error: swarm_proto::DecodeError| Status::invalid_argument(error.to_string());
    let task = field::id(&update.task, "task").map_err(invalid)?;
    let status: TaskStatus = field::part(update.status, "status").map_err(invalid)?;
    Ok(ObserveTask { task, node, session, status })
}

/// True for a task that was dropped meanwhile: there is nothing left to say about it.
fn is_gone(snapshot: &Snapshot, report: &ObserveTask) -> bool {
    snapshot.task(&report.task).is_none()
}

fn own_tasks_only(snapshot: &Snapshot, reports: &[ObserveTask]) -> Result<(), Status> {
    let foreign = reports.iter().find(|report| {
        snapshot.task(&report.task).is_some_and(|task| task.node != Some(report.node))
    });
    match foreign {
        None => Ok(()),
        Some(report) => Err(Status::permission_denied(format!(
            "task {} is not assigned to node {}",
            report.task, report.node
        ))),
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use swarm_types::TaskId;

    use super::*;
    use crate::testing::World;

    #[tokio::test]
    async fn reports_are_counted_while_they_wait() {
        let mut world = World::new().await;
        let dispatcher = Dispatcher::new(world.core.clone());
        let mut report = || ObserveTask {
            task: TaskId::MIN,
            node: world.node,
            session: world.ids.draw(),
            status: TaskStatus::default(),
        };
        let queued = || {
            let page = prometheus::TextEncoder::new();
            let page = page.encode_to_string(&dispatcher.core.figures.gather(0)).unwrap();
            let value =
                page.lines().find_map(|it| it.strip_prefix("swarm_dispatcher_reports_queued "));
            value.unwrap().parse::<u64>().unwrap()
        };
        assert_eq!(queued(), 0);

        let mut reports = [report(), report()].map(|it| Box::pin(dispatcher.observe(it)));
        assert!(reports.iter_mut().all(|report| report.now_or_never().is_none()));
        assert_eq!(queued(), 2);

        let [answered, given_up] = reports;
        drop(given_up);
        assert_eq!(queued(), 1);
        // There is no such task: that is an answer too.
        answered.await.unwrap();
        assert_eq!(queued(), 0);
    }
}

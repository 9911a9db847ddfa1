//! Waiting until a service runs as its spec says.
//!
//! [`Convergence`] judges one look at a time and decides alone; it reads no clock. A service has
//! converged when as many of its slots run the present template as are wanted and nothing else
//! of it still runs; it must stay so for the update's monitor period. There is no deadline: a
//! service that cannot be placed waits until it can, and its progress says why. Drop the future
//! to stop.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use swarm_types::object::node::NodeState;
use swarm_types::object::service::UpdateState;
use swarm_types::spec::service::ServiceMode;
use swarm_types::spec::task::{Placement, TaskRuntime, TaskSpec};
use swarm_types::{Node, NodeId, Service, ServiceId, Task, TaskState, defaults};
use tokio::time::Instant;

use crate::services::TaskFilter;
use crate::{Client, ClientError, Consistency, ServiceRow};

/// Time between two looks.
const POLL: Duration = Duration::from_millis(200);

/// How far a service has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Slots that run and are wanted.
    pub running: u64,
    /// Slots there should be.
    pub wanted: u64,
    /// The service returns to its previous spec; its message.
    pub rolling_back: Option<String>,
    /// Each slot's task, by slot number or, for global services, by node.
    pub slots: Vec<SlotProgress>,
    /// How the waiting for stability goes; `None` before all slots run.
    pub verify: Option<Verify>,
}

/// One slot's task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotProgress {
    /// Which slot.
    pub slot: SlotKey,
    /// How far its task came.
    pub state: TaskState,
    /// What is wrong with it, or was with the one before it while it does not run; empty when
    /// nothing is.
    pub error: String,
}

/// A place of a service's task.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SlotKey {
    /// Of a replicated service, counted from 1.
    Number(u64),
    /// Of a global service.
    Node(NodeId),
}

/// How the waiting for stability goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verify {
    /// That many seconds to go.
    Waiting(u64),
    /// A task fell out; the wait starts again when all run.
    TaskFailed,
}

/// How the wait ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Settled {
    /// Everything runs and stayed so.
    Converged,
    /// The previous spec runs again; why, for people.
    RolledBack(String),
    /// The managers called the update done while not all tasks run.
    UpdateCompleted,
    /// The update stopped; why, for people.
    UpdatePaused(String),
    /// The roll-back stopped; why, for people.
    RollbackPaused(String),
}

/// What was seen of a service at once.
#[derive(Clone, Debug)]
struct Look {
    row: ServiceRow,
    tasks: Vec<Task>,
    down: BTreeSet<NodeId>,
}

/// Judges looks at one service.
#[derive(Debug, Default)]
struct Convergence {
    /// When all slots began to run, as time since the wait began.
    since: Option<Duration>,
    failed: bool,
    updating: bool,
}

impl Client {
    /// Returns once the service has settled; tells every look's result to `progress`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when the service is gone, beside those of [`Self::services`].
    pub async fn wait_settled(
        &self,
        id: ServiceId,
        mut progress: impl FnMut(&Progress),
    ) -> Result<Settled, ClientError> {
        let (mut convergence, started) = (Convergence::default(), Instant::now());
        loop {
            let look = self.look(id).await?;
            let (seen, settled) = convergence.judge(&look, started.elapsed());
            progress(&seen);
            if let Some(settled) = settled {
                return Ok(settled);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn look(&self, id: ServiceId) -> Result<Look, ClientError> {
        let filter = TaskFilter { services: vec![id], ..TaskFilter::default() };
        let row = self.service_row(id).await?;
        let tasks = self.tasks(&filter, Consistency::Linearizable).await?.value;
        let nodes = self.nodes(Consistency::Linearizable).await?.value;
        let is_down = |node: &&Node| node.status.state == NodeState::Down;
        let down = nodes.iter().filter(is_down).map(|node| node.id).collect();
        Ok(Look { row, tasks, down })
    }
}

impl Convergence {
    /// What to show, and how the wait ended if it did. `now` is time since the wait began.
    fn judge(&mut self, look: &Look, now: Duration) -> (Progress, Option<Settled>) {
        let service = &look.row.service;
        let slots = slots(look);
        let runs = |slot: &&&Task| slot.wanted() && slot.status.state == TaskState::Running;
        let running = slots.values().filter(runs).count() as u64;
        let all = running == look.row.desired && !look.tasks.iter().any(leaving);
        let verify = self.verify(all, service, now);
        let update = service.update_status.as_ref();
        let message = |state| update.filter(|it| it.state == state).map(|it| it.message.clone());
        let progress = Progress {
            running,
            wanted: look.row.desired,
            rolling_back: message(UpdateState::RollbackStarted),
            slots: slots.iter().map(|(&slot, task)| slot_progress(slot, task, look)).collect(),
            verify,
        };
        let stable = all && verify.is_none();
        (progress, self.settled(service, all, stable))
    }

    /// `None` while not all run, and once they have run long enough.
    fn verify(&mut self, all: bool, service: &Service, now: Duration) -> Option<Verify> {
        if !all {
            self.failed |= self.since.take().is_some();
            return self.failed.then_some(Verify::TaskFailed);
        }
        self.failed = false;
        let monitor = service.spec.update.as_ref().map(|update| update.monitor);
        let monitor = monitor.filter(|it| !it.is_zero()).unwrap_or(defaults::UPDATE_MONITOR);
        let left = monitor.saturating_sub(now.saturating_sub(*self.since.get_or_insert(now)));
        (!left.is_zero()).then(|| Verify::Waiting(left.as_secs() + 1))
    }

    fn settled(&mut self, service: &Service, all: bool, stable: bool) -> Option<Settled> {
        let converged = stable.then_some(Settled::Converged);
        let Some(update) = &service.update_status else { return converged };
        let message = update.message.clone();
        match update.state {
            UpdateState::Updating | UpdateState::RollbackStarted => {
                self.updating = true;
                None
            }
            UpdateState::Paused => Some(Settled::UpdatePaused(message)),
            UpdateState::RollbackPaused => Some(Settled::RollbackPaused(message)),
            // An update of before says nothing about what is waited for.
            UpdateState::Completed if self.updating && !all => Some(Settled::UpdateCompleted),
            UpdateState::Completed => converged,
            UpdateState::RollbackCompleted if self.updating => {
                stable.then_some(Settled::RolledBack(message))
            }
            UpdateState::RollbackCompleted => converged,
        }
    }
}

/// The task that speaks for each slot: of those with the present template, the one that is
/// wanted least, as Docker chooses, and of equals the furthest.
fn slots(look: &Look) -> BTreeMap<SlotKey, &Task> {
    let service = &look.row.service;
    let mut slots = BTreeMap::<SlotKey, &Task>::new();
    for task in &look.tasks {
        let is_down = task.node.is_some_and(|node| look.down.contains(&node));
        let key = match (service.spec.mode, task.node) {
            (ServiceMode::Replicated { replicas }, _) if task.slot > replicas => continue,
            (ServiceMode::Global | ServiceMode::GlobalJob, Some(node)) => SlotKey::Node(node),
            (ServiceMode::Global | ServiceMode::GlobalJob, None) => continue,
            _ => SlotKey::Number(task.slot),
        };
        let known = task.status.state <= TaskState::Rejected;
        if is_down || !known || !up_to_date(task.spec(), &service.spec.task) {
            continue;
        }
        let rank = |it: &Task| (it.desired, std::cmp::Reverse(it.status.state));
        match slots.get(&key) {
            Some(other) if rank(other) <= rank(task) => {}
            _ => {
                slots.insert(key, task);
            }
        }
    }
    slots
}

/// Whether a task of the first template serves the second: where it may run and how its image
/// is fetched are judged by the managers.
fn up_to_date(task: &TaskSpec, service: &TaskSpec) -> bool {
    let bare = |spec: &TaskSpec| {
        let mut spec = TaskSpec { placement: Placement::default(), ..spec.clone() };
        if let TaskRuntime::Container(container) = &mut spec.runtime {
            container.pull = Default::default();
        }
        spec
    };
    bare(task) == bare(service)
}

fn slot_progress(slot: SlotKey, task: &Task, look: &Look) -> SlotProgress {
    let state = task.status.state;
    let mut error = &task.status.err;
    if error.is_empty() && state < TaskState::Running {
        // Else one that fails again and again would show why for a moment only.
        let before = look.tasks.iter().filter(|it| {
            let there = task.slot != 0 || it.node == task.node;
            let present = up_to_date(it.spec(), &look.row.service.spec.task);
            it.slot == task.slot && there && present && it.meta.created_at < task.meta.created_at
        });
        let last = before.max_by_key(|it| it.meta.created_at);
        error = last.map_or(error, |it| &it.status.err);
    }
    SlotProgress { slot, state, error: error.clone() }
}

/// True for a task that is on its way out and not gone yet.
fn leaving(task: &Task) -> bool {
    !task.wanted() && !task.status.state.is_terminal()
}

#[cfg(test)]
pub(crate) mod tests;

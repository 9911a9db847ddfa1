//! The tasks of this node: one runner each, ordered by assignments.
//!
//! Assignments only change what runners are told; nothing here waits for a container, so a
//! session can take the next message at once. Runners live on when a session ends: a worker
//! without a manager keeps what it has.
//!
//! Containers nobody ordered are found by [`Worker::strays`] after each complete assignment. A
//! task is in the table before its container can exist, so whatever is found and not in the
//! table is a stray.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use swarm_types::{Task, TaskId, TaskState, TaskStatus, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::executor::{Executor, Found};
use crate::reporter::Reporter;
use crate::task::runner::{Order, Runner};

/// Pause before containers are listed again after that failed.
const LIST_RETRY: Duration = Duration::from_secs(1);
/// How long runners may take to return when the agent stops.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// What a manager wants of this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Assignment {
    pub(crate) extent: Extent,
    /// Tasks to pursue.
    pub(crate) tasks: Vec<Task>,
    /// Tasks this version cannot read.
    pub(crate) unreadable: Vec<Unreadable>,
    /// Tasks that are not this node's any more.
    pub(crate) removed: Vec<TaskId>,
}

/// What an assignment says of the tasks it does not name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Extent {
    /// They are not this node's.
    Everything,
    /// They stay as they are.
    Changes,
}

/// A task this version cannot read, as one of a newer manager.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unreadable {
    pub(crate) task: TaskId,
    /// For people.
    pub(crate) why: String,
}

/// The tasks of this node.
pub(crate) struct Worker<E> {
    executor: Arc<E>,
    reporter: Reporter,
    runners: BTreeMap<TaskId, Running>,
    /// True from a complete assignment until the strays were looked for.
    strays_due: bool,
}

struct Running {
    orders: watch::Sender<Order>,
    /// Aborts the runner when dropped.
    runner: AbortOnDropHandle<()>,
}

impl<E: Executor> Worker<E> {
    pub(crate) fn new(executor: Arc<E>, reporter: Reporter) -> Self {
        Self { executor, reporter, runners: BTreeMap::new(), strays_due: false }
    }

    /// Takes an assignment.
    pub(crate) fn obey(&mut self, assignment: Assignment) {
        self.runners.retain(|_, running| !running.runner.is_finished());
        if assignment.extent == Extent::Everything {
            let unreadable = assignment.unreadable.iter().map(|refused| refused.task);
            let named = assignment.tasks.iter().map(|task| task.id);
            let kept: BTreeSet<TaskId> = named.chain(unreadable).collect();
            let dropped = self.runners.keys().filter(|task| !kept.contains(task)).copied();
            dropped.collect::<Vec<_>>().into_iter().for_each(|task| self.remove(task));
            self.reporter.forget_all_but(&kept);
            self.strays_due = true;
        }
        assignment.tasks.into_iter().for_each(|task| self.pursue(task));
        assignment.unreadable.into_iter().for_each(|refused| self.refuse(refused));
        assignment.removed.into_iter().for_each(|task| self.remove(task));
    }

    /// Lists the containers of ours, once that is due; pending while it is not. Tries until it
    /// works. The future may be dropped at any time.
    pub(crate) fn strays(&self) -> impl Future<Output = Vec<Found>> + Send + use<E> {
        let (executor, due) = (Arc::clone(&self.executor), self.strays_due);
        async move {
            if !due {
                return std::future::pending().await;
            }
            loop {
                match executor.found().await {
                    Ok(found) => return found,
                    Err(error) => warn!(error = error.in_full(), "cannot list containers"),
                }
                sleep(LIST_RETRY).await;
            }
        }
    }

    /// Ends and removes what [`strays`](Self::strays) found that is no task of this node.
    pub(crate) fn discard(&mut self, found: Vec<Found>) {
        self.strays_due = false;
        for Found { task, grace } in found {
            if !self.runners.contains_key(&task) {
                info!(%task, "removes a container nobody ordered");
                self.spawn(task, TaskStatus::default(), Order::Remove { grace });
            }
        }
    }

    /// Ends every runner and leaves the containers as they are.
    pub(crate) async fn stop(self) {
        let deadline = Instant::now() + STOP_DEADLINE;
        // Dropping the orders tells every runner at once.
        let runners: Vec<_> = self.runners.into_values().map(|running| running.runner).collect();
        for runner in runners {
            if timeout_at(deadline, runner).await.is_err() {
                warn!("a task's runner did not end in time and was aborted");
            }
        }
    }

    /// Waits until every task that was removed is gone, and nothing else runs here.
    #[cfg(test)]
    pub(crate) async fn finished(self) {
        for running in self.runners.into_values() {
            let ended = timeout_at(Instant::now() + Duration::from_secs(20), running.runner).await;
            assert!(ended.is_ok(), "a runner goes on");
        }
    }

    fn pursue(&mut self, task: Task) {
        let (id, status) = (task.id, task.status.clone());
        let order = Order::Pursue(Arc::new(task));
        match self.runners.get(&id) {
            Some(running) => drop(running.orders.send_replace(order)),
            None => self.spawn(id, status, order),
        }
    }

    /// A task that runs goes on as it was ordered before; another one is rejected.
    fn refuse(&self, refused: Unreadable) {
        warn!(task = %refused.task, why = refused.why, "unreadable task");
        if !self.runners.contains_key(&refused.task) {
            let status = TaskStatus {
                state: TaskState::Rejected,
                at: Timestamp::now(),
                message: TaskState::Rejected.to_string(),
                err: refused.why,
                ..TaskStatus::default()
            };
            self.reporter.observe(refused.task, status);
        }
    }

    fn remove(&mut self, task: TaskId) {
        self.reporter.forget(task);
        if let Some(running) = self.runners.get(&task) {
            running.orders.send_if_modified(|order| {
                let grace = order.grace();
                let pursued = matches!(order, Order::Pursue(_));
                *order = Order::Remove { grace };
                pursued
            });
        }
    }

    fn spawn(&mut self, task: TaskId, status: TaskStatus, order: Order) {
        let (orders, receiver) = watch::channel(order);
        let runner = Runner {
            executor: Arc::clone(&self.executor),
            reporter: self.reporter.clone(),
            task,
            status,
            kill_at: None,
            quiet: false,
        };
        let runner = AbortOnDropHandle::new(tokio::spawn(runner.run(receiver)));
        self.runners.insert(task, Running { orders, runner });
    }
}

#[cfg(test)]
mod tests;

//! The tasks of this node: one runner each, ordered by assignments.
//!
//! Assignments are put into the store, then change what runners are told; nothing here waits
//! for a container, so a session can take the next message at once. Runners live on when a
//! session ends: a worker without a manager keeps what it has. A fresh agent has it again from
//! the store, before any manager answers.
//!
//! Containers nobody ordered are found by [`Worker::strays`] after each complete assignment. A
//! task is in the table before its container can exist, so whatever is found and not in the
//! table is a stray.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use swarm_types::{Task, TaskId, TaskState, TaskStatus, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::executor::{Executor, Found};
use crate::reporter::Reporter;
use crate::session::Obeyed;
use crate::store::{Change, Kept, Ordered, Store, StoreError};
use crate::task::adoption::Adoption;
use crate::task::order::{Order, grace};
use crate::task::runner::{Life, Runner};

/// How long runners may take to return when the agent stops.
const STOP_DEADLINE: Duration = Duration::from_secs(5);
/// How long tasks may take to end when the node leaves the cluster.
const CLEAR_DEADLINE: Duration = Duration::from_secs(60);
/// How long a task is kept that a cluster founded anew does not know.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// What a manager wants of this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assignment {
    /// What it says of tasks it does not name.
    pub extent: Extent,
    /// Tasks to pursue.
    pub tasks: Vec<Task>,
    /// Tasks this version cannot read.
    pub unreadable: Vec<Unreadable>,
    /// Tasks that are not this node's any more.
    pub removed: Vec<TaskId>,
}

/// What an assignment says of the tasks it does not name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// They are not this node's.
    Everything,
    /// The cluster was founded anew, from an older state or none: it may not know them.
    Anew,
    /// They stay as they are.
    Changes,
}

/// A task this version cannot read, as one of a newer manager.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable {
    /// The task.
    pub task: TaskId,
    /// For people.
    pub why: String,
}

/// How a task leaves this node.
#[derive(Clone, Copy)]
enum Farewell {
    Retired,
    Removed,
}

impl Farewell {
    fn to(self, task: &Task) -> Ordered {
        let grace = grace(task);
        match self {
            Self::Retired => Ordered::Retire { grace, until: Timestamp::now().after(KEPT) },
            Self::Removed => Ordered::Remove { grace },
        }
    }
}

/// The tasks of this node.
pub(crate) struct Worker<E> {
    executor: Arc<E>,
    reporter: Reporter,
    store: Store,
    adoption: Adoption,
    runners: BTreeMap<TaskId, Running>,
    /// True from a complete assignment until the strays were looked for.
    strays_due: bool,
}

struct Running {
    orders: watch::Sender<Order>,
    /// True once the runner takes no more orders.
    closed: Closed,
    /// Aborts the runner when dropped.
    runner: AbortOnDropHandle<()>,
}

/// Held while an order is given and while the last one is checked, so that none gets lost
/// between the two.
type Closed = Arc<Mutex<bool>>;

impl Running {
    /// False when the runner takes no more orders.
    fn tell(&self, change: impl FnOnce(&mut Order) -> bool) -> bool {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if !*closed {
            self.orders.send_if_modified(change);
        }
        !*closed
    }
}

impl<E: Executor> Worker<E> {
    /// A worker that goes on with what the store kept.
    pub(crate) fn adopt(executor: Arc<E>, reporter: Reporter, store: Store, kept: Kept) -> Self {
        let runners = BTreeMap::new();
        let adoption = Adoption::of(kept.alive());
        let mut worker = Self { executor, reporter, store, adoption, runners, strays_due: false };
        let Kept { orders, mut statuses, .. } = kept;
        for (task, ordered) in orders {
            let seen = statuses.remove(&task);
            let status = match &ordered {
                Ordered::Pursue(ordered) => seen.unwrap_or_else(|| ordered.status.clone()),
                Ordered::Retire { .. } | Ordered::Remove { .. } => seen.unwrap_or_default(),
            };
            worker.spawn(task, status, Order::from(ordered));
        }
        worker
    }

    /// Takes an assignment: when this returns, it is kept and the runners are told.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stopped`]: nothing of it is obeyed.
    pub(crate) async fn obey(
        &mut self,
        assignment: Assignment,
        obeyed: Obeyed,
    ) -> Result<(), StoreError> {
        self.runners.retain(|_, running| !running.runner.is_finished());
        let Assignment { extent, tasks, unreadable, removed } = assignment;
        let mut dismissed = self.dismissed(removed.iter().copied(), Farewell::Removed);
        let farewell = match extent {
            Extent::Everything => Some(Farewell::Removed),
            Extent::Anew => Some(Farewell::Retired),
            Extent::Changes => None,
        };
        if let Some(farewell) = farewell {
            let named = unreadable.iter().map(|refused| refused.task);
            let kept: BTreeSet<TaskId> = tasks.iter().map(|task| task.id).chain(named).collect();
            let dropped = self.runners.keys().filter(|task| !kept.contains(task)).copied();
            dismissed.extend(self.dismissed(dropped, farewell));
            self.reporter.forget_all_but(&kept);
            self.strays_due = true;
        }
        self.store.keep(self.changes(&tasks, &dismissed, obeyed)).await?;
        tasks.into_iter().for_each(|task| self.pursue(task));
        unreadable.into_iter().for_each(|refused| self.refuse(refused));
        removed.into_iter().for_each(|task| self.reporter.forget(task));
        dismissed.into_iter().for_each(|(task, order)| self.dismiss(task, &Order::from(order)));
        Ok(())
    }

    /// The last orders of those tasks; one that is on its way out already gets no other.
    fn dismissed(
        &self,
        tasks: impl Iterator<Item = TaskId>,
        farewell: Farewell,
    ) -> BTreeMap<TaskId, Ordered> {
        let order = |task: TaskId| match &*self.runners.get(&task)?.orders.borrow() {
            Order::Pursue(known) => Some((task, farewell.to(known))),
            Order::Retire { .. } | Order::Remove { .. } => None,
        };
        tasks.filter_map(order).collect()
    }

    /// What the store does not hold yet; at most one order per task.
    fn changes(
        &self,
        tasks: &[Task],
        dismissed: &BTreeMap<TaskId, Ordered>,
        obeyed: Obeyed,
    ) -> Vec<Change> {
        let mut orders = BTreeMap::new();
        let mut changes = vec![Change::Obeyed(obeyed)];
        for task in tasks {
            let told = self.runners.get(&task.id).map(|running| running.orders.borrow());
            match told.as_deref() {
                Some(Order::Pursue(known)) if **known == *task => continue,
                Some(Order::Pursue(_)) => {}
                // Its earlier life is over: what was seen of it is not true of this one.
                Some(Order::Retire { .. } | Order::Remove { .. }) | None => {
                    changes.push(Change::Status(task.id, task.status.clone()));
                }
            }
            orders.insert(task.id, Ordered::Pursue(Box::new(task.clone())));
        }
        orders.extend(dismissed.iter().map(|(task, order)| (*task, order.clone())));
        changes.extend(orders.into_iter().map(|(task, order)| Change::Order(task, order)));
        changes
    }

    /// Lists the containers of ours, once that is due; pending while it is not. Tries until it
    /// works. The future may be dropped at any time.
    pub(crate) fn strays(&self) -> impl Future<Output = Vec<Found>> + Send + use<E> {
        let (executor, due) = (Arc::clone(&self.executor), self.strays_due);
        async move {
            if !due {
                return std::future::pending().await;
            }
            let (mut backoff, mut told) = (Backoff::default(), String::new());
            loop {
                match executor.found().await {
                    Ok(found) => return found,
                    Err(error) if error.in_full() == told => {}
                    Err(error) => {
                        told = error.in_full();
                        warn!(error = told, "cannot list containers; tried until it works");
                    }
                }
                sleep(backoff.next()).await;
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

    /// Ends all tasks and removes what they have on this node. What does not end in time is told.
    pub(crate) async fn clear(&mut self, obeyed: Obeyed) {
        let (tasks, unreadable, removed) = (Vec::new(), Vec::new(), Vec::new());
        let nothing = Assignment { extent: Extent::Everything, tasks, unreadable, removed };
        if self.obey(nothing, obeyed).await.is_err() {
            warn!("the tasks of this node go on: its store has failed");
            return;
        }
        let deadline = Instant::now() + CLEAR_DEADLINE;
        for (task, running) in std::mem::take(&mut self.runners) {
            if timeout_at(deadline, running.runner).await.is_err() {
                warn!(%task, "a task did not end in time: its container is left behind");
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
        let told = self.runners.get(&id).is_some_and(|running| {
            running.tell(|now| {
                *now = order.clone();
                true
            })
        });
        if !told {
            self.spawn(id, status, order);
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

    fn dismiss(&self, task: TaskId, last: &Order) {
        if let Some(running) = self.runners.get(&task) {
            running.tell(|order| {
                *order = last.clone();
                true
            });
        }
        self.reporter.forget(task);
    }

    fn spawn(&mut self, task: TaskId, status: TaskStatus, order: Order) {
        let (orders, mut receiver) = watch::channel(order);
        let closed = Closed::default();
        let (executor, reporter) = (Arc::clone(&self.executor), self.reporter.clone());
        let (store, closing) = (self.store.clone(), Arc::clone(&closed));
        let adoption = self.adoption.clone();
        let life = move |status| Runner {
            executor: Arc::clone(&executor),
            reporter: reporter.clone(),
            store: store.clone(),
            adoption: adoption.clone(),
            task,
            status,
            life: Life::default(),
        };
        let mut runner = life(status);
        let running = async move {
            while runner.run(&mut receiver).await {
                match reassigned(&closing, &receiver) {
                    Some(status) => runner = life(status),
                    None => return,
                }
            }
        };
        let runner = AbortOnDropHandle::new(tokio::spawn(running));
        self.runners.insert(task, Running { orders, closed, runner });
    }
}

/// How far a task is that was ordered again while it was removed; `None` closes the runner.
fn reassigned(closing: &Closed, orders: &watch::Receiver<Order>) -> Option<TaskStatus> {
    let mut closed = closing.lock().unwrap_or_else(PoisonError::into_inner);
    match &*orders.borrow() {
        Order::Pursue(task) => Some(task.status.clone()),
        Order::Retire { .. } | Order::Remove { .. } => {
            *closed = true;
            None
        }
    }
}

#[cfg(test)]
mod tests;

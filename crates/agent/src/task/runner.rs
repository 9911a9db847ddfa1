//! Carries one task through its life, step after step, until it is removed.
//!
//! One runner per task, one step at a time. An order that leads to another step drops the step
//! under way; one that does not lets it go on, so that a repeated order never restarts a grace
//! period. A runner whose orders end returns at once and leaves the container as it is: the
//! agent that starts next adopts it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use swarm_types::object::task::ContainerStatus;
use swarm_types::{Task, TaskId, TaskState, TaskStatus, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::step::{self, Call, Said, Step};
use crate::executor::{ExecError, Executor, Pid};
use crate::reporter::Reporter;

/// Pause before a step that did not work is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What the managers want of a task.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// Bring it to its desired state.
    Pursue(Arc<Task>),
    /// It is not this node's any more: end it and remove all of it.
    Remove {
        /// Time between stop signal and SIGKILL.
        grace: Duration,
    },
}

impl Order {
    /// Time between stop signal and SIGKILL.
    pub(crate) fn grace(&self) -> Duration {
        match self {
            Self::Pursue(task) => grace(task),
            Self::Remove { grace } => *grace,
        }
    }
}

/// Time a task has between stop signal and SIGKILL.
pub(crate) fn grace(task: &Task) -> Duration {
    task.spec().container().map(|container| container.stop_grace_period).unwrap_or_default()
}

/// What a runner does now.
#[derive(PartialEq, Eq, Debug)]
enum Work {
    /// Make sure that a task which ended before this agent knew it has nothing running.
    Quell,
    Step(Step),
    Remove,
}

/// How a piece of work ended.
enum Done {
    Entered(Box<TaskStatus>),
    Quelled,
    Again,
    Removed,
}

/// Carries one task.
pub(crate) struct Runner<E> {
    pub(crate) executor: Arc<E>,
    pub(crate) reporter: Reporter,
    pub(crate) task: TaskId,
    /// What was observed so far.
    pub(crate) status: TaskStatus,
    /// When SIGKILL is due; set by the first stop.
    pub(crate) kill_at: Option<Instant>,
    /// True when a task that ended is known to have nothing running.
    pub(crate) quiet: bool,
}

impl<E: Executor> Runner<E> {
    /// Follows the orders until the task is removed, or the sender of the orders is dropped.
    pub(crate) async fn run(mut self, mut orders: watch::Receiver<Order>) {
        loop {
            let order = orders.borrow_and_update().clone();
            let work = self.work(&order);
            if matches!(work, Work::Step(Step::Call(Call::Stop)) | Work::Remove) {
                self.kill_at.get_or_insert_with(|| Instant::now() + order.grace());
            }
            match self.follow(&order, &work, &mut orders).await {
                Some(Done::Entered(status)) => self.enter(*status),
                Some(Done::Quelled) => self.quiet = true,
                Some(Done::Again) => {}
                Some(Done::Removed) => return self.reporter.forget(self.task),
                None if orders.has_changed().is_err() => return,
                None => {}
            }
        }
    }

    /// Does `work` while the orders lead to it; `None` when they do not any more.
    async fn follow(
        &self,
        order: &Order,
        work: &Work,
        orders: &mut watch::Receiver<Order>,
    ) -> Option<Done> {
        let mut doing = pin!(self.perform(order, work));
        loop {
            tokio::select! {
                done = &mut doing => return Some(done),
                changed = orders.changed() => {
                    if changed.is_err() || self.work(&orders.borrow_and_update()) != *work {
                        return None;
                    }
                }
            }
        }
    }

    fn work(&self, order: &Order) -> Work {
        match order {
            Order::Remove { .. } => Work::Remove,
            Order::Pursue(_) if self.status.state.is_terminal() && !self.quiet => Work::Quell,
            Order::Pursue(task) => Work::Step(step::next(self.status.state, wanted(task))),
        }
    }

    async fn perform(&self, order: &Order, work: &Work) -> Done {
        match (work, order) {
            (Work::Step(Step::Rest), _) => std::future::pending().await,
            (Work::Step(Step::Enter(state)), _) => self.entered(*state, |_| {}),
            (Work::Step(Step::Call(call)), Order::Pursue(task)) => self.call(*call, task).await,
            (Work::Quell, _) => match self.executor.stop(self.task, order.grace()).await {
                Ok(_) => Done::Quelled,
                Err(error) => self.again("quell", &error).await,
            },
            (Work::Remove | Work::Step(Step::Call(_)), _) => self.remove().await,
        }
    }

    async fn call(&self, call: Call, task: &Task) -> Done {
        match call {
            Call::Prepare => match self.executor.prepare(task).await {
                Ok(()) => self.heard(Said::Prepared, |status| {
                    status.container = Some(self.container(0, None));
                }),
                Err(error) => self.refused("prepare", &error).await,
            },
            Call::Start => match self.executor.start(task).await {
                Ok(pid) => self.heard(Said::Started, |status| {
                    status.container = Some(self.container(pid, None));
                }),
                Err(error) => self.refused("start", &error).await,
            },
            Call::Wait => match self.executor.wait(task).await {
                Ok(code) => self.heard(Said::Exited { code }, |status| {
                    self.exited(status, Some(code));
                    if code != 0 {
                        status.err = format!("task: non-zero exit ({code})");
                    }
                }),
                Err(error @ ExecError::Gone) => self.refused("wait for", &error).await,
                // Whatever else it is, the container may run: that the wait failed ends nothing.
                Err(error) => self.again("wait for", &error).await,
            },
            Call::Stop => match self.executor.stop(self.task, self.grace_left()).await {
                Ok(code) => self.heard(Said::Stopped, |status| self.exited(status, code)),
                Err(error) => self.again("stop", &error).await,
            },
        }
    }

    async fn remove(&self) -> Done {
        let gone = match self.executor.stop(self.task, self.grace_left()).await {
            Ok(_) => self.executor.remove(self.task).await,
            Err(error) => Err(error),
        };
        match gone {
            Ok(()) => Done::Removed,
            Err(error) => self.again("remove", &error).await,
        }
    }

    fn heard(&self, said: Said, note: impl FnOnce(&mut TaskStatus)) -> Done {
        match step::after(self.status.state, said) {
            Some(state) => self.entered(state, note),
            None => Done::Again,
        }
    }

    async fn refused(&self, verb: &'static str, error: &ExecError) -> Done {
        if error.is_temporary() {
            return self.again(verb, error).await;
        }
        warn!(task = %self.task, verb, error = error.in_full(), "task cannot go on");
        self.heard(Said::Impossible, |status| status.err = error.in_full())
    }

    async fn again(&self, verb: &'static str, error: &ExecError) -> Done {
        warn!(task = %self.task, verb, error = error.in_full(), "tried again shortly");
        sleep(RETRY).await;
        self.heard(Said::NotNow, |_| {})
    }

    fn entered(&self, state: TaskState, note: impl FnOnce(&mut TaskStatus)) -> Done {
        let mut status = TaskStatus {
            state,
            at: Timestamp::now(),
            message: step::message(state).unwrap_or(&self.status.message).to_owned(),
            err: String::new(),
            applied_at: Timestamp::default(),
            ..self.status.clone()
        };
        note(&mut status);
        Done::Entered(Box::new(status))
    }

    fn enter(&mut self, status: TaskStatus) {
        info!(task = %self.task, state = %status.state, err = status.err, "task");
        // A failure may be a start that went wrong half-way; making sure costs one call.
        self.quiet = status.state.is_terminal() && status.state != TaskState::Failed;
        self.reporter.observe(self.task, status.clone());
        self.status = status;
    }

    fn container(&self, pid: Pid, exit_code: Option<i32>) -> ContainerStatus {
        ContainerStatus { id: self.task.to_string(), pid, exit_code }
    }

    fn exited(&self, status: &mut TaskStatus, code: Option<i32>) {
        let pid = status.container.as_ref().map_or(0, |container| container.pid);
        if code.is_some() {
            status.container = Some(self.container(pid, code));
        }
    }

    fn grace_left(&self) -> Duration {
        self.kill_at.map(|at| at.saturating_duration_since(Instant::now())).unwrap_or_default()
    }
}

/// The state to pursue. A task the managers hold for ended, as after its node was given up, is
/// ended here too.
fn wanted(task: &Task) -> TaskState {
    if task.status.state.is_terminal() { TaskState::Shutdown } else { task.desired }
}

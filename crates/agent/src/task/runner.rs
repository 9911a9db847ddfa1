//! Carries one task through its life, step after step, until it is removed.
//!
//! One runner per task, one step at a time. An order that leads to another step drops the step
//! under way; one that does not lets it go on, so that a repeated order never restarts a grace
//! period. A runner whose orders end returns at once and leaves the container as it is: the
//! agent that starts next adopts it.
//!
//! What a step came to is in the store before it is told. A task that failed while it may run is
//! ended before it is told to have failed: its slot, ports and addresses are taken until then.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use swarm_types::object::task::ContainerStatus;
use swarm_types::{Task, TaskId, TaskState, TaskStatus, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::adoption::Adoption;
use super::order::{Doom, Order, Pursuit, Work, grace, wanted};
use super::step::{self, Call, Said, Step};
use super::watch::{Age, Seen, until_ended, until_healthy};
use crate::backoff::Backoff;
use crate::executor::{ExecError, Executor, Exit, Pid};
use crate::reporter::Reporter;
use crate::store::{Change, Store, StoreError};

/// Longest pause before a step that did not work is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// Docker's words for the cause.
const UNHEALTHY: &str = "dockerexec: unhealthy container";

/// How a piece of work ended.
enum Done {
    Entered(Box<TaskStatus>),
    Doomed(Doom),
    Quelled,
    Kept,
    Again(&'static str, ExecError),
    Removed,
}

/// Carries one task.
pub(crate) struct Runner<E> {
    pub(crate) executor: Arc<E>,
    pub(crate) reporter: Reporter,
    pub(crate) store: Store,
    pub(crate) adoption: Adoption,
    pub(crate) task: TaskId,
    /// What was observed so far.
    pub(crate) status: TaskStatus,
    pub(crate) life: Life,
}

/// What a runner knows besides what is kept; nothing that a restart must not forget.
#[derive(Default)]
pub(crate) struct Life {
    /// When SIGKILL is due; set by the first stop.
    kill_at: Option<Instant>,
    /// True when a task that ended is known to have nothing running.
    quiet: bool,
    /// True when a retired task was kept long enough.
    kept: bool,
    doom: Option<Doom>,
    retry: Retry,
}

/// Pauses between tries; one line in the log per reason.
#[derive(Default)]
struct Retry {
    backoff: Backoff,
    told: String,
}

impl<E: Executor> Runner<E> {
    /// Follows the orders until the task is removed; true then. False when the sender of the
    /// orders is dropped, or the store fails.
    pub(crate) async fn run(&mut self, orders: &mut watch::Receiver<Order>) -> bool {
        loop {
            let order = orders.borrow_and_update().clone();
            self.remind(&order);
            let work = self.work(&order);
            if work.ends() {
                self.life.kill_at.get_or_insert_with(|| Instant::now() + order.grace());
            }
            let kept = match self.follow(&work, orders).await {
                Some(Done::Entered(status)) => {
                    let passing = matches!(work, Work::Pursue(_, Pursuit::Step(Step::Enter(_))));
                    self.enter(*status, passing).await
                }
                Some(Done::Doomed(doom)) => {
                    self.life.doom = Some(doom);
                    Ok(())
                }
                Some(Done::Quelled) => {
                    self.life.quiet = true;
                    Ok(())
                }
                Some(Done::Kept) => {
                    self.life.kept = true;
                    Ok(())
                }
                Some(Done::Again(verb, error)) => {
                    self.again(verb, &error, orders).await;
                    continue;
                }
                Some(Done::Removed) => {
                    self.reporter.forget(self.task);
                    return self.store.note(vec![Change::Forget(self.task)]).await.is_ok();
                }
                None if orders.has_changed().is_err() => return false,
                None => Ok(()),
            };
            if kept.is_err() {
                return false;
            }
            self.life.retry = Retry::default();
        }
    }

    /// Managers that want a task back, as from an older state, have to hear how far it came.
    fn remind(&self, order: &Order) {
        if let Order::Pursue(task) = order
            && self.status.state > task.status.state
        {
            self.reporter.observe(self.task, self.status.clone());
        }
    }

    /// Does `work` while the orders lead to it; `None` when they do not any more.
    async fn follow(&self, work: &Work, orders: &mut watch::Receiver<Order>) -> Option<Done> {
        let mut doing = pin!(self.perform(work));
        loop {
            tokio::select! {
                done = &mut doing => return Some(done),
                changed = orders.changed() => {
                    if changed.is_err() || !work.goes_on_as(&self.work(&orders.borrow_and_update())) {
                        return None;
                    }
                }
            }
        }
    }

    fn work(&self, order: &Order) -> Work {
        match order {
            Order::Remove { .. } => Work::Remove,
            Order::Retire { .. } if self.life.kept => Work::Remove,
            Order::Retire { until, .. } => Work::Retire(*until),
            Order::Pursue(task) => Work::Pursue(Arc::clone(task), self.pursuit(task)),
        }
    }

    fn pursuit(&self, task: &Task) -> Pursuit {
        match &self.life.doom {
            _ if self.status.state.is_terminal() && self.life.quiet => Pursuit::Step(Step::Rest),
            _ if self.status.state.is_terminal() => Pursuit::Quell,
            Some(doom) => Pursuit::Fail(doom.clone()),
            None => Pursuit::Step(step::next(self.status.state, wanted(task))),
        }
    }

    async fn perform(&self, work: &Work) -> Done {
        match work {
            Work::Pursue(_, Pursuit::Step(Step::Rest)) => {
                self.adoption.done(self.task);
                std::future::pending().await
            }
            Work::Pursue(_, Pursuit::Step(Step::Enter(state))) => self.entered(*state, |_| {}),
            Work::Pursue(task, Pursuit::Step(Step::Call(call))) => self.call(*call, task).await,
            Work::Pursue(task, Pursuit::Quell) => {
                match self.executor.stop(self.task, grace(task)).await {
                    Ok(_) => Done::Quelled,
                    Err(error) => Done::Again("quell", error),
                }
            }
            Work::Pursue(_, Pursuit::Fail(doom)) => self.fail(doom).await,
            Work::Retire(until) => self.retire(*until).await,
            Work::Remove => self.remove().await,
        }
    }

    async fn call(&self, call: Call, task: &Task) -> Done {
        match call {
            Call::Prepare => match self.executor.prepare(task).await {
                Ok(ports) => self.heard(Said::Prepared, |status| {
                    status.container = Some(self.container(0, None));
                    status.ports = ports;
                }),
                Err(error) if error.is_temporary() => Done::Again("prepare", error),
                // Nothing runs yet.
                Err(error) => {
                    warn!(task = %self.task, error = error.in_full(), "task is rejected");
                    self.heard(Said::Impossible, |status| status.err = error.in_full())
                }
            },
            Call::Start => match self.start(task).await {
                Ok((pid, Seen::Healthy)) => self.heard(Said::Started, |status| {
                    status.container = Some(self.container(pid, None));
                }),
                Ok((_, Seen::Exited(exit))) => self.ended(exit),
                Ok((_, Seen::Unhealthy)) => Done::Doomed(Doom::Unhealthy),
                Err(error) => self.refused("start", error),
            },
            Call::Wait => match self.watch(task).await {
                Ok(Seen::Exited(exit)) => self.ended(exit),
                Ok(Seen::Healthy) => Done::Again("watch", ExecError::Gone),
                Ok(Seen::Unhealthy) => Done::Doomed(Doom::Unhealthy),
                Err(error @ ExecError::Gone) => self.refused("wait for", error),
                // Whatever else it is, the container may run: that the wait failed ends nothing.
                Err(error) => Done::Again("wait for", error),
            },
            Call::Stop => match self.executor.stop(self.task, self.grace_left()).await {
                Ok(exit) => self.heard(Said::Stopped, |status| self.exited(status, exit)),
                Err(error) => Done::Again("stop", error),
            },
        }
    }

    async fn watch(&self, task: &Task) -> Result<Seen, ExecError> {
        let check = self.executor.check(task).await?;
        self.adoption.done(self.task);
        until_ended(&*self.executor, task, check, self.age()).await
    }

    async fn start(&self, task: &Task) -> Result<(Pid, Seen), ExecError> {
        let pid = self.executor.start(task).await?;
        Ok((pid, until_healthy(&*self.executor, task, self.age()).await?))
    }

    fn ended(&self, exit: Exit) -> Done {
        self.heard(Said::Exited { code: exit.code }, |status| {
            self.exited(status, Some(exit));
            if exit.code != 0 {
                status.err = format!("task: non-zero exit ({})", exit.code);
            }
        })
    }

    /// Ends what failed, as often as it takes, and says why it did.
    async fn fail(&self, doom: &Doom) -> Done {
        let exit = match self.executor.stop(self.task, self.grace_left()).await {
            Ok(exit) => exit,
            Err(error) => return Done::Again("end", error),
        };
        let err = match (doom, exit.map_or(0, |exit| exit.code)) {
            (Doom::Refused(why), _) => why.clone(),
            (Doom::Unhealthy, 0) => UNHEALTHY.to_owned(),
            (Doom::Unhealthy, code) => format!("task: non-zero exit ({code}): {UNHEALTHY}"),
        };
        self.heard(Said::Impossible, |status| {
            self.exited(status, exit);
            status.err = err;
        })
    }

    /// Ends a task and keeps what it leaves until then.
    async fn retire(&self, until: Timestamp) -> Done {
        self.adoption.done(self.task);
        if let Err(error) = self.executor.stop(self.task, self.grace_left()).await {
            return Done::Again("retire", error);
        }
        sleep(until.since(Timestamp::now())).await;
        Done::Kept
    }

    async fn remove(&self) -> Done {
        self.adoption.done(self.task);
        let gone = match self.executor.stop(self.task, self.grace_left()).await {
            Ok(_) => self.executor.remove(self.task).await,
            Err(error) => Err(error),
        };
        match gone {
            Ok(()) => Done::Removed,
            Err(error) => Done::Again("remove", error),
        }
    }

    fn heard(&self, said: Said, note: impl FnOnce(&mut TaskStatus)) -> Done {
        match step::after(self.status.state, said) {
            Some(state) => self.entered(state, note),
            // It ended meanwhile by other means: nothing more to say.
            None => Done::Quelled,
        }
    }

    fn refused(&self, verb: &'static str, error: ExecError) -> Done {
        if error.is_temporary() {
            return Done::Again(verb, error);
        }
        warn!(task = %self.task, verb, error = error.in_full(), "task cannot go on");
        Done::Doomed(Doom::Refused(error.in_full()))
    }

    /// Waits before the next try, or for another order. One line per reason, not per try.
    async fn again(
        &mut self,
        verb: &'static str,
        error: &ExecError,
        orders: &mut watch::Receiver<Order>,
    ) {
        let why = format!("{verb}: {}", error.in_full());
        if why == self.life.retry.told {
            debug!(task = %self.task, why, "tried again");
        } else {
            warn!(task = %self.task, why, "tried again until it works");
            self.life.retry.told = why;
        }
        let pause = self.life.retry.backoff.next().min(RETRY);
        tokio::select! {
            () = sleep(pause) => {}
            // Whoever dropped the orders is noticed by the next try, which is dropped at once.
            _ = orders.changed() => {}
        }
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

    /// A state that is only passed through need not be durable: it is found again.
    async fn enter(&mut self, status: TaskStatus, passing: bool) -> Result<(), StoreError> {
        info!(task = %self.task, state = %status.state, err = status.err, "task");
        let change = vec![Change::Status(self.task, status.clone())];
        if passing {
            self.store.note(change).await?;
        } else {
            self.store.keep(change).await?;
        }
        // Nothing else leads to an end but an end, a stop that worked, or nothing made yet.
        self.life.quiet = status.state.is_terminal();
        self.reporter.observe(self.task, status.clone());
        self.status = status;
        Ok(())
    }

    /// Since the task was last seen to get further, which is when its process was started.
    fn age(&self) -> Age {
        Age::of(Timestamp::now().since(self.status.at))
    }

    fn container(&self, pid: Pid, exit_code: Option<i32>) -> ContainerStatus {
        ContainerStatus { id: self.task.to_string(), pid, exit_code }
    }

    /// The end of the process, with its time where it is known.
    fn exited(&self, status: &mut TaskStatus, exit: Option<Exit>) {
        let pid = status.container.as_ref().map_or(0, |container| container.pid);
        if let Some(exit) = exit {
            status.container = Some(self.container(pid, Some(exit.code)));
            status.at = exit.at.unwrap_or(status.at);
        }
    }

    fn grace_left(&self) -> Duration {
        let left = |at: Instant| at.saturating_duration_since(Instant::now());
        self.life.kill_at.map(left).unwrap_or_default()
    }
}

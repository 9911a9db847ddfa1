//! Watches a container that runs: for its end, and by its probes.

use std::time::Duration;

use swarm_types::{Task, TaskId};
use tokio::time::{Instant, sleep};
use tracing::{debug, info};

use super::health::{Check, Health, Probed, Verdict};
use crate::executor::{ExecError, Executor, Exit};

/// What watching came to.
#[derive(Debug)]
pub(crate) enum Seen {
    /// The process ended by itself.
    Exited(Exit),
    /// The first probe succeeded, or there is nothing to probe.
    Healthy,
    /// Too many probes failed.
    Unhealthy,
}

/// How old a container is; it goes on growing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Age {
    before: Duration,
    since: Instant,
}

impl Age {
    /// Of one that is so old now.
    pub(crate) fn of(before: Duration) -> Self {
        Self { before, since: Instant::now() }
    }

    fn now(self) -> Duration {
        self.before + self.since.elapsed()
    }
}

/// Waits for the first success of a container that was just started, or for its end.
pub(crate) async fn until_healthy<E: Executor>(
    executor: &E,
    task: &Task,
    age: Age,
) -> Result<Seen, ExecError> {
    let Some(check) = executor.check(task).await? else { return Ok(Seen::Healthy) };
    let probing = probe(executor, task.id, &check, Health::STARTING, age);
    first(executor, task, probing).await
}

/// Waits for the end of a container that runs, or for the failure that makes it unhealthy.
pub(crate) async fn until_ended<E: Executor>(
    executor: &E,
    task: &Task,
    check: Option<Check>,
    age: Age,
) -> Result<Seen, ExecError> {
    match check {
        None => executor.wait(task).await.map(Seen::Exited),
        Some(check) => {
            let probing = probe(executor, task.id, &check, Health::HEALTHY, age);
            first(executor, task, probing).await
        }
    }
}

/// An end that came first is what is told, also when a probe failed of it.
async fn first<E: Executor>(
    executor: &E,
    task: &Task,
    probing: impl Future<Output = Seen>,
) -> Result<Seen, ExecError> {
    tokio::select! {
        biased;
        ended = executor.wait(task) => ended.map(Seen::Exited),
        seen = probing => Ok(seen),
    }
}

/// Probes until there is something to tell.
async fn probe<E: Executor>(
    executor: &E,
    task: TaskId,
    check: &Check,
    mut health: Health,
    age: Age,
) -> Seen {
    let mut row = 0;
    loop {
        sleep(health.pause(check, age.now())).await;
        let began = age.now();
        let said = executor.probe(task, &check.command, check.timeout).await;
        tell(task, &mut row, &said);
        match health.take(check, began, &said) {
            Verdict::Same => {}
            Verdict::Healthy => return Seen::Healthy,
            Verdict::Unhealthy => return Seen::Unhealthy,
        }
    }
}

/// Logs what is not as it was: the first failure of a row, whose length so far is `row`, and the
/// success that ends one. Most probes say what the one before said.
fn tell(task: TaskId, row: &mut u32, said: &Probed) {
    match said {
        Probed::Passed if *row > 0 => {
            info!(%task, failures = *row, "health check passes again");
            *row = 0;
        }
        Probed::Passed => {}
        Probed::Failed { why } => {
            *row = row.saturating_add(1);
            if *row == 1 {
                info!(%task, why, "health check fails");
            } else {
                debug!(%task, why, row, "health check fails still");
            }
        }
        Probed::Unasked { why } => debug!(%task, why, "health check could not be made"),
    }
}

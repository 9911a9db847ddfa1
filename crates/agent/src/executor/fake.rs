//! An executor whose containers are entries of a table.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use swarm_types::spec::container::HealthConfig;
use swarm_types::spec::service::PortConfig;
use swarm_types::{Task, TaskId, Timestamp};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{ExecError, Executor, Exit, Found, Pid};
use crate::task::health::{Check, Probed};

/// Process id of every container here.
pub(crate) const PID: Pid = 42;

/// What there is, and how it behaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) containers: BTreeMap<TaskId, Container>,
    /// Every call, in order.
    pub(crate) calls: Vec<(&'static str, TaskId)>,
    /// True while containerd does not answer.
    pub(crate) away: bool,
    /// True while containerd refuses to wait.
    pub(crate) no_wait: bool,
    /// True while the node has no image.
    pub(crate) no_image: bool,
    /// True while containerd stops nothing.
    pub(crate) no_stop: bool,
    /// True while nothing can be started, for good.
    pub(crate) no_start: bool,
    /// What the probes say; no health check without one.
    pub(crate) probe: Option<Probed>,
    /// Tasks that end only by SIGKILL.
    pub(crate) stubborn: BTreeSet<TaskId>,
}

/// A container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Container {
    Made,
    Running,
    Ended(i32),
}

impl World {
    pub(crate) fn count(&self, verb: &str, task: TaskId) -> usize {
        self.calls.iter().filter(|call| **call == (verb, task)).count()
    }
}

/// Start period of every health check here.
const START: Duration = Duration::from_secs(60);
/// Time between probes here.
const EVERY: Duration = Duration::from_secs(1);
/// When every process here ends.
pub(crate) const ENDED: Timestamp = Timestamp(7_000_000_000);

const fn exit(code: i32) -> Exit {
    Exit { code, at: Some(ENDED) }
}

fn cmd(test: &[&str]) -> HealthConfig {
    let test = test.iter().map(ToString::to_string).collect();
    HealthConfig { test, ..HealthConfig::default() }
}

/// The executor.
pub(crate) struct Fake(pub(crate) watch::Sender<World>);

impl Fake {
    pub(crate) fn new(world: World) -> Self {
        Self(watch::Sender::new(world))
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut World)) {
        self.0.send_modify(change);
    }

    pub(crate) fn set(&self, task: &Task, container: Container) {
        self.change(|world| {
            world.containers.insert(task.id, container);
        });
    }

    pub(crate) fn get(&self, task: &Task) -> Option<Container> {
        self.0.borrow().containers.get(&task.id).copied()
    }

    pub(crate) fn count(&self, verb: &str, task: &Task) -> usize {
        self.0.borrow().count(verb, task.id)
    }

    /// Waits until the world is like that; fails with what it last was.
    pub(crate) async fn until(&self, like_that: impl FnMut(&World) -> bool) {
        let mut world = self.0.subscribe();
        let reached = timeout(Duration::from_secs(20), world.wait_for(like_that)).await.is_ok();
        assert!(reached, "{:?}", self.0.borrow());
    }

    fn call(&self, verb: &'static str, task: TaskId) -> Result<(), ExecError> {
        self.change(|world| world.calls.push((verb, task)));
        self.answers()
    }

    fn answers(&self) -> Result<(), ExecError> {
        if self.0.borrow().away { Err(ExecError::Away("away".into())) } else { Ok(()) }
    }

    fn container(&self, task: TaskId) -> Option<Container> {
        self.0.borrow().containers.get(&task).copied()
    }
}

impl Executor for Fake {
    async fn prepare(&self, task: &Task) -> Result<Vec<PortConfig>, ExecError> {
        self.call("prepare", task.id)?;
        if self.0.borrow().no_image {
            let source = "connection refused".into();
            return Err(ExecError::NoImage { image: "web:1".to_owned(), source });
        }
        self.change(|world| {
            world.containers.entry(task.id).or_insert(Container::Made);
        });
        Ok(Vec::new())
    }

    async fn start(&self, task: &Task) -> Result<Pid, ExecError> {
        self.call("start", task.id)?;
        if self.0.borrow().no_start {
            return Err(ExecError::Failed { verb: "start", source: "no such command".into() });
        }
        if self.container(task.id).ok_or(ExecError::Gone)? == Container::Made {
            self.set(task, Container::Running);
        }
        Ok(PID)
    }

    async fn check(&self, _: &Task) -> Result<Option<Check>, ExecError> {
        let config = HealthConfig {
            retries: 2,
            interval: EVERY,
            start_interval: EVERY,
            start_period: START,
            ..cmd(&["CMD", "well"])
        };
        Ok(self.0.borrow().probe.as_ref().and_then(|_| Check::of(Some(&config), None)))
    }

    async fn probe(&self, task: TaskId, _: &[String], _: Duration) -> Probed {
        let away = Probed::Unasked { why: "away".to_owned() };
        match self.call("probe", task) {
            Ok(()) => self.0.borrow().probe.clone().unwrap_or(away),
            Err(_) => away,
        }
    }

    async fn wait(&self, task: &Task) -> Result<Exit, ExecError> {
        self.call("wait", task.id)?;
        if self.0.borrow().no_wait {
            return Err(ExecError::Failed { verb: "wait for", source: "busy".into() });
        }
        let mut world = self.0.subscribe();
        loop {
            match self.container(task.id) {
                Some(Container::Ended(code)) => return Ok(exit(code)),
                Some(Container::Running) => {}
                Some(Container::Made) | None => return Err(ExecError::Gone),
            }
            let _ = world.changed().await;
            self.answers()?;
        }
    }

    async fn stop(&self, task: TaskId, grace: Duration) -> Result<Option<Exit>, ExecError> {
        self.call("stop", task)?;
        if self.0.borrow().no_stop {
            return Err(ExecError::Failed { verb: "stop", source: "busy".into() });
        }
        match self.container(task) {
            Some(Container::Running) => {}
            Some(Container::Ended(code)) => return Ok(Some(exit(code))),
            Some(Container::Made) | None => return Ok(None),
        }
        let mut code = 143;
        if self.0.borrow().stubborn.contains(&task) {
            sleep(grace).await;
            code = 137;
        }
        self.change(|world| {
            world.containers.insert(task, Container::Ended(code));
        });
        Ok(Some(exit(code)))
    }

    async fn remove(&self, task: TaskId) -> Result<(), ExecError> {
        self.call("remove", task)?;
        self.change(|world| {
            world.containers.remove(&task);
        });
        Ok(())
    }

    async fn found(&self) -> Result<Vec<Found>, ExecError> {
        self.answers()?;
        let grace = Duration::from_secs(10);
        Ok(self.0.borrow().containers.keys().map(|task| Found { task: *task, grace }).collect())
    }
}

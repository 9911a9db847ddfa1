//! The executor on this node's containerd.
//!
//! A container's id is its task's id, so there is nothing to remember: whatever is asked of a
//! task finds its container. Every container in our containerd namespace that has such an id is
//! ours.

use std::time::Duration;

use swarm_runtime::{Error, Exit, Runtime};
use swarm_types::{Task, TaskId};

use super::{ExecError, Executor, Found, Pid, config};

/// Runs tasks on containerd.
pub(crate) struct Containerd {
    runtime: Runtime,
}

impl Containerd {
    pub(crate) const fn new(runtime: Runtime) -> Self {
        Self { runtime }
    }
}

impl Executor for Containerd {
    async fn prepare(&self, task: &Task) -> Result<(), ExecError> {
        let config = config::container(task)?;
        self.runtime.create(&config).await.map_err(|error| match error {
            Error::ImageMissing { .. } => ExecError::NoImage { image: config.image },
            error => read("prepare", error),
        })
    }

    async fn start(&self, task: &Task) -> Result<Pid, ExecError> {
        match self.runtime.start(task.id.as_str()).await {
            Err(Error::AlreadyRan { .. }) => Ok(0),
            started => started.map_err(|error| read("start", error)),
        }
    }

    async fn wait(&self, task: &Task) -> Result<i32, ExecError> {
        let ended = self.runtime.wait(task.id.as_str()).await;
        ended.map(code).map_err(|error| read("wait for", error))
    }

    async fn stop(&self, task: TaskId, grace: Duration) -> Result<Option<i32>, ExecError> {
        match self.runtime.stop(task.as_str(), None, grace).await {
            Err(Error::NotFound { .. }) => Ok(None),
            ended => ended.map(|exit| exit.map(code)).map_err(|error| read("stop", error)),
        }
    }

    async fn remove(&self, task: TaskId) -> Result<(), ExecError> {
        self.runtime.remove(task.as_str()).await.map_err(|error| read("remove", error))
    }

    async fn found(&self) -> Result<Vec<Found>, ExecError> {
        let containers = self.runtime.containers().await;
        let containers = containers.map_err(|error| read("list", error))?;
        let ours = containers.into_iter().filter_map(|container| {
            let task = container.id.parse().ok()?;
            Some(Found { task, grace: config::grace(&container.labels) })
        });
        Ok(ours.collect())
    }
}

fn code(exit: Exit) -> i32 {
    i32::try_from(exit.code).unwrap_or(i32::MAX)
}

fn read(verb: &'static str, error: Error) -> ExecError {
    match error {
        Error::Unavailable { .. } | Error::TimedOut { .. } => ExecError::Away(Box::new(error)),
        Error::NotFound { .. } | Error::NoProcess { .. } => ExecError::Gone,
        error => ExecError::Failed { verb, source: Box::new(error) },
    }
}

#[cfg(test)]
mod tests;

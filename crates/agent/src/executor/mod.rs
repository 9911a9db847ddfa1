//! What the agent needs from whatever runs containers.

mod config;
pub(crate) mod containerd;
#[cfg(test)]
pub(crate) mod fake;
mod files;
mod mounts;
pub(crate) mod template;

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use swarm_types::spec::service::PortConfig;
use swarm_types::{Task, TaskId, Timestamp};

use crate::task::health::{Check, Probed};

/// Carries out the steps of tasks on this node.
///
/// Every method may be called again after a crash, or after its future was dropped, with the
/// same arguments: an implementation finds what an earlier call left and carries on. None of
/// them looks at the task's state; which step comes next is decided by `task::step`.
pub(crate) trait Executor: Send + Sync + 'static {
    /// Fetches the image when the node has none, and makes network and container, without
    /// starting it. The host-mode ports as they were bound.
    fn prepare(
        &self,
        task: &Task,
    ) -> impl Future<Output = Result<Vec<PortConfig>, ExecError>> + Send;
    /// Starts the prepared container; its process id. One that ever ran is not started again.
    fn start(&self, task: &Task) -> impl Future<Output = Result<Pid, ExecError>> + Send;
    /// Resolves when the process has ended; safe to drop and call again.
    fn wait(&self, task: &Task) -> impl Future<Output = Result<Exit, ExecError>> + Send;
    /// How the health of the task's container is found out; `None` when it is not.
    fn check(&self, task: &Task) -> impl Future<Output = Result<Option<Check>, ExecError>> + Send;
    /// Runs a command in the container; what takes longer than `limit` is killed and failed.
    fn probe(
        &self,
        task: TaskId,
        command: &[String],
        limit: Duration,
    ) -> impl Future<Output = Probed> + Send;
    /// Sends the stop signal, then SIGKILL after `grace`; how it ended, `None` when there was
    /// no process. Stopping what is stopped or was never made is `Ok`.
    fn stop(
        &self,
        task: TaskId,
        grace: Duration,
    ) -> impl Future<Output = Result<Option<Exit>, ExecError>> + Send;
    /// Removes everything `prepare` made. The container is stopped before.
    fn remove(&self, task: TaskId) -> impl Future<Output = Result<(), ExecError>> + Send;
    /// Every container of ours that is on this node, running or not.
    fn found(&self) -> impl Future<Output = Result<Vec<Found>, ExecError>> + Send;
}

/// How a container's first process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Exit {
    /// Exit code; 128 + signal when a signal ended it.
    pub(crate) code: i32,
    /// When, on this node's clock; `None` when nobody knows.
    pub(crate) at: Option<Timestamp>,
}

/// Process id of a container's first process; 0 when it is not known any more.
pub(crate) type Pid = u32;

/// A container of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    /// Its task.
    pub(crate) task: TaskId,
    /// Time its task gave it between stop signal and SIGKILL.
    pub(crate) grace: Duration,
}

/// Why a step could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecError {
    /// What runs containers does not answer, or is busy. The same call may work later.
    #[error("containerd does not answer")]
    Away(#[source] Cause),
    /// Something else is in the way for now. The same call may work later.
    #[error("{verb} the container")]
    Later {
        /// What was tried.
        verb: &'static str,
        /// What is in the way.
        #[source]
        source: Cause,
    },
    /// A part of the spec means nothing on this node.
    #[error("{field}: {why}")]
    Spec {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The image is not on this node, and not to be had. What may pass was tried several times.
    #[error("no such image: {image}")]
    NoImage {
        /// As the task names it.
        image: String,
        /// What its registry said, or why there was no answer.
        #[source]
        source: Cause,
    },
    /// The task asks for something this version cannot do.
    #[error("not supported yet: {field}")]
    Unsupported {
        /// The field of the spec.
        field: &'static str,
    },
    /// A container that ran is not there any more, so how it ended is not known.
    #[error("the container is gone")]
    Gone,
    /// The same call would fail again.
    #[error("{verb} the container")]
    Failed {
        /// What was tried.
        verb: &'static str,
        /// What came of it.
        #[source]
        source: Cause,
    },
}

/// An error of what runs containers.
pub(crate) type Cause = Box<dyn Error + Send + Sync>;

impl ExecError {
    /// True when the same call may work later.
    pub(crate) const fn is_temporary(&self) -> bool {
        matches!(self, Self::Away(_) | Self::Later { .. })
    }

    /// The error and its causes in one line, as people read it in the task's status.
    pub(crate) fn in_full(&self) -> String {
        let causes = std::iter::successors(Some(self as &dyn Error), |error| (*error).source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }
}

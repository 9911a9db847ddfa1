//! What the agent needs from whatever runs containers.

pub(crate) mod config;
pub(crate) mod containerd;
#[cfg(test)]
pub(crate) mod fake;

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use swarm_types::{Task, TaskId};

/// Carries out the steps of tasks on this node.
///
/// Every method may be called again after a crash, or after its future was dropped, with the
/// same arguments: an implementation finds what an earlier call left and carries on. None of
/// them looks at the task's state; which step comes next is decided by `task::step`.
pub(crate) trait Executor: Send + Sync + 'static {
    /// Makes the container from an image of this node, without starting it.
    fn prepare(&self, task: &Task) -> impl Future<Output = Result<(), ExecError>> + Send;
    /// Starts the prepared container; its process id. One that ever ran is not started again.
    fn start(&self, task: &Task) -> impl Future<Output = Result<Pid, ExecError>> + Send;
    /// Resolves to the exit code when the process has ended; safe to drop and call again.
    fn wait(&self, task: &Task) -> impl Future<Output = Result<i32, ExecError>> + Send;
    /// Sends the stop signal, then SIGKILL after `grace`; the exit code, `None` when there was
    /// no process. Stopping what is stopped or was never made is `Ok`.
    fn stop(
        &self,
        task: TaskId,
        grace: Duration,
    ) -> impl Future<Output = Result<Option<i32>, ExecError>> + Send;
    /// Removes everything `prepare` made. The container is stopped before.
    fn remove(&self, task: TaskId) -> impl Future<Output = Result<(), ExecError>> + Send;
    /// Every container of ours that is on this node, running or not.
    fn found(&self) -> impl Future<Output = Result<Vec<Found>, ExecError>> + Send;
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
    /// The image is not on this node.
    #[error("no such image: {image}")]
    NoImage {
        /// As the task names it.
        image: String,
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
        matches!(self, Self::Away(_))
    }

    /// The error and its causes in one line, as people read it in the task's status.
    pub(crate) fn in_full(&self) -> String {
        let causes = std::iter::successors(Some(self as &dyn Error), |error| (*error).source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }
}

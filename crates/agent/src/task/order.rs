//! What the managers want of a task, and the work that this leads to.

use std::sync::Arc;
use std::time::Duration;

use swarm_types::{Task, TaskState, Timestamp};

use super::step::{Call, Step};
use crate::store::Ordered;

/// What the managers want of a task.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// Bring it to its desired state.
    Pursue(Arc<Task>),
    /// The cluster was founded anew and does not know it: end it, and remove it when nobody has
    /// wanted it back until then.
    Retire {
        /// Time between stop signal and SIGKILL.
        grace: Duration,
        /// When it is removed.
        until: Timestamp,
    },
    /// It is not this node's any more: end it and remove all of it.
    Remove {
        /// Time between stop signal and SIGKILL.
        grace: Duration,
    },
}

impl From<Ordered> for Order {
    fn from(kept: Ordered) -> Self {
        match kept {
            Ordered::Pursue(task) => Self::Pursue(Arc::from(task)),
            Ordered::Retire { grace, until } => Self::Retire { grace, until },
            Ordered::Remove { grace } => Self::Remove { grace },
        }
    }
}

impl Order {
    /// Time between stop signal and SIGKILL.
    pub(crate) fn grace(&self) -> Duration {
        match self {
            Self::Pursue(task) => grace(task),
            Self::Retire { grace, .. } | Self::Remove { grace } => *grace,
        }
    }
}

/// Time a task has between stop signal and SIGKILL.
pub(crate) fn grace(task: &Task) -> Duration {
    task.spec().container().map(|container| container.stop_grace_period).unwrap_or_default()
}

/// The state to pursue. A task the managers hold for ended, as after its node was given up, is
/// ended here too.
pub(super) fn wanted(task: &Task) -> TaskState {
    if task.status.state.is_terminal() { TaskState::Shutdown } else { task.desired }
}

/// What a runner does now.
#[derive(Debug)]
pub(super) enum Work {
    /// Bring a task to its desired state.
    Pursue(Arc<Task>, Pursuit),
    /// End it, and keep what it leaves.
    Retire(Timestamp),
    /// End it and leave nothing.
    Remove,
}

/// What a task needs on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Pursuit {
    /// Make sure that a task which ended before this agent knew it has nothing running.
    Quell,
    Step(Step),
    /// End a task that failed, then say so.
    Fail(Doom),
}

/// Why a task fails that may still run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Doom {
    Unhealthy,
    Refused(String),
}

impl Work {
    /// Whether it ends what runs, within the grace period.
    pub(super) const fn ends(&self) -> bool {
        match self {
            Self::Pursue(_, Pursuit::Step(Step::Call(call))) => matches!(call, Call::Stop),
            Self::Pursue(_, Pursuit::Fail(_)) | Self::Retire(_) | Self::Remove => true,
            Self::Pursue(_, Pursuit::Quell | Pursuit::Step(Step::Rest | Step::Enter(_))) => false,
        }
    }

    /// Whether this work goes on under an order that leads to `other`.
    pub(super) fn goes_on_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pursue(_, now), Self::Pursue(_, then)) => now == then,
            (Self::Retire(now), Self::Retire(then)) => now == then,
            (Self::Remove, Self::Remove) => true,
            (Self::Pursue(..) | Self::Retire(_) | Self::Remove, _) => false,
        }
    }
}

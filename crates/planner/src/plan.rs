//! What a round of planning came to.

use std::fmt;

use swarm_types::{Group, ObjectId, Timestamp};

/// Most changes in one plan. They make a few entries of the log, so that what a user asks for
/// meanwhile comes soon after, and fewer groups than may wait for one. What does not fit is
/// planned in the next round, for which [`Plan::wake_at`] is now.
pub const MAX_CHANGES: usize = 8_000;

/// What to propose, and when to plan again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// To be proposed in this order. Each carries what it was decided on, so that one that has
    /// become stale is refused alone and decided again.
    pub groups: Vec<Group>,
    /// When to plan again even if nothing happens; `None` when nothing is due.
    pub wake_at: Option<Timestamp>,
    /// Why each group is there: the n-th speaks of the n-th group.
    pub why: Vec<Why>,
    /// Objects that were looked at: the cost of the plan.
    pub examined: usize,
}

/// Why a group is in a plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Why {
    /// What was decided on.
    pub about: ObjectId,
    /// The reason.
    pub reason: Reason,
}

/// A reason for a decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// The task is to be removed, and nothing of it runs.
    Removable,
    /// The slot keeps more ended tasks than the history limit allows.
    History,
    /// The task's node is down for good.
    Orphaned,
    /// The task is to end, and no node has it.
    NeverAssigned,
    /// The task has what it needs from the allocator.
    Allocated,
    /// The task's service was removed.
    ServiceRemoved,
    /// The service has more slots than replicas.
    ScaledDown,
    /// The slot holds only tasks that are to end, and is not needed.
    SlotUnused,
    /// The service has fewer slots than replicas.
    SlotEmpty,
    /// The task ended and is replaced.
    TaskEnded,
    /// The task's node is down, drained or gone, and the task is replaced.
    NodeInvalid,
    /// The task's node does not suit the service any more.
    NodeUnfit,
    /// An update exchanges the task.
    Updated,
    /// The task that takes its place runs.
    Superseded,
    /// The update goes on to another state.
    Update,
    /// The task needs a replacement, and its restart policy allows none.
    NotReplaced,
    /// The delay has passed and the task before it in the slot has ended, or is given up on.
    MayStart,
    /// A node was found for the task.
    Placed,
    /// No node fits the task.
    NoNode,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removable => "to be removed, and nothing of it runs",
            Self::History => "older than the task history limit keeps",
            Self::Orphaned => "node down for a day",
            Self::NeverAssigned => "to end, and no node has it",
            Self::Allocated => "has what it needs from the allocator",
            Self::ServiceRemoved => "service removed",
            Self::ScaledDown => "service scaled down",
            Self::SlotUnused => "slot not needed",
            Self::SlotEmpty => "slot empty",
            Self::TaskEnded => "task ended",
            Self::NodeInvalid => "node down, drained or gone",
            Self::NodeUnfit => "node does not suit the service any more",
            Self::Updated => "service updated",
            Self::Superseded => "another task has its place",
            Self::Update => "update goes on",
            Self::NotReplaced => "restart policy allows no replacement",
            Self::MayStart => "may start now",
            Self::Placed => "node found",
            Self::NoNode => "no suitable node",
        })
    }
}

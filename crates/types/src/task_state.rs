//! The states of a task, in the order a task goes through them.

use std::fmt;

/// A task's observed or desired state. Observed states only grow; the numbers are on the wire
/// and leave gaps as Docker's do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u16)]
pub enum TaskState {
    /// Created; resources not yet allocated.
    #[default]
    New = 0,
    /// Allocated; waits for the scheduler.
    Pending = 64,
    /// The scheduler chose a node.
    Assigned = 192,
    /// The node took the task.
    Accepted = 256,
    /// The node fetches the image and makes the container.
    Preparing = 320,
    /// The container exists and is not started.
    Ready = 384,
    /// The container starts, or waits for its first healthy result.
    Starting = 448,
    /// The container runs.
    Running = 512,
    /// Ended by itself with exit code 0.
    Complete = 576,
    /// Ended on order.
    Shutdown = 640,
    /// Ended by itself with an error.
    Failed = 704,
    /// Could not be set up.
    Rejected = 768,
    /// Only desired: end it, then drop the task object.
    Remove = 800,
    /// Its node is gone for good.
    Orphaned = 832,
}

impl TaskState {
    /// Every state, in order.
    pub const ALL: [Self; 14] = [
        Self::New,
        Self::Pending,
        Self::Assigned,
        Self::Accepted,
        Self::Preparing,
        Self::Ready,
        Self::Starting,
        Self::Running,
        Self::Complete,
        Self::Shutdown,
        Self::Failed,
        Self::Rejected,
        Self::Remove,
        Self::Orphaned,
    ];

    /// True once nothing of the task runs any more, or ever will.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self > Self::Running
    }

    /// The state's number on the wire and on disk.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The state of that number, `None` for a number this version does not know.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }

    /// The lower-case word the API shows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Pending => "pending",
            Self::Assigned => "assigned",
            Self::Accepted => "accepted",
            Self::Preparing => "preparing",
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Shutdown => "shutdown",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Remove => "remove",
            Self::Orphaned => "orphaned",
        }
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_in_the_order_of_the_states() {
        for pair in TaskState::ALL.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].number() < pair[1].number());
        }
        for state in TaskState::ALL {
            assert_eq!(TaskState::from_number(state.number()), Some(state));
        }
        assert_eq!(TaskState::from_number(1), None);
    }
}

//! Decides what happens to a task next, from its observed and its desired state alone.
//!
//! [`next`] names the step, the executor carries it out, [`after`] turns what the executor said
//! into the next observed state. Three rules keep this simple:
//!
//! - observed states only grow, so every path ends;
//! - a step may be repeated at any time: the executor finds what an earlier try left behind. The
//!   observed state may therefore lag behind the container, as it does after a crash;
//! - only a stop that worked ends a task that was told to end: while its container may run, its
//!   slot, ports and addresses are taken.
//!
//! Time, retries and reports are the business of [`super::runner`].

use swarm_types::TaskState;

/// What to do with a task now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Nothing, until the managers want something else.
    Rest,
    /// Enter that state; nothing has to be done for it.
    Enter(TaskState),
    /// Have the executor do this.
    Call(Call),
}

/// What the executor can be asked to do on the way of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    /// Make the container.
    Prepare,
    /// Start it.
    Start,
    /// Wait for its end.
    Wait,
    /// End it.
    Stop,
}

/// What the executor said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    /// The container is made.
    Prepared,
    /// The process runs, or ran already.
    Started,
    /// The process ended by itself.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// Nothing of the task runs any more.
    Stopped,
    /// Never; the same call would fail again.
    Impossible,
}

/// The step for a task in state `observed` that the managers want in state `desired`.
pub(crate) fn next(observed: TaskState, desired: TaskState) -> Step {
    use TaskState as S;
    match observed {
        _ if observed.is_terminal() => Step::Rest,
        _ if desired >= S::Shutdown => Step::Call(Call::Stop),
        _ if observed > desired => Step::Rest,
        S::New | S::Pending | S::Assigned if observed < desired => Step::Enter(S::Accepted),
        S::Accepted if observed < desired => Step::Enter(S::Preparing),
        S::Preparing => Step::Call(Call::Prepare),
        S::Ready if observed < desired => Step::Enter(S::Starting),
        S::Starting => Step::Call(Call::Start),
        S::Running => Step::Call(Call::Wait),
        _ => Step::Rest,
    }
}

/// The state a task in state `observed` enters after the executor `said` that.
///
/// `None` means that it stays where it is: ask [`next`] again, after a pause.
pub(crate) fn after(observed: TaskState, said: Said) -> Option<TaskState> {
    let entered = match said {
        Said::Prepared => TaskState::Ready,
        Said::Started => TaskState::Running,
        Said::Exited { code: 0 } => TaskState::Complete,
        Said::Exited { .. } => TaskState::Failed,
        Said::Stopped => TaskState::Shutdown,
        Said::Impossible if observed < TaskState::Starting => TaskState::Rejected,
        Said::Impossible => TaskState::Failed,
    };
    (entered > observed && !observed.is_terminal()).then_some(entered)
}

/// What people read about a task that entered `state`; Docker's words. `None` leaves the message
/// of the state before, which says how far a task came that failed.
pub(crate) const fn message(state: TaskState) -> Option<&'static str> {
    Some(match state {
        TaskState::New => "created",
        TaskState::Pending => "pending task scheduling",
        TaskState::Assigned => "scheduler assigned task to node",
        TaskState::Ready => "prepared",
        TaskState::Running => "started",
        TaskState::Complete => "finished",
        TaskState::Failed | TaskState::Rejected => return None,
        state => state.as_str(),
    })
}

#[cfg(test)]
mod tests;

//! The end of what a node runs: nothing that hangs keeps a node that stops.
//!
//! A step that is not done in time is told in the log, and left. The node's files take it for a
//! crash, which they are made for.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// How long what runs beside the member may take to end: all of it looks at the same signal.
const TASKS_DEADLINE: Duration = Duration::from_secs(5);

/// Does one step of the end; `None` when it was not done in time.
pub(crate) async fn within<T>(
    deadline: Duration,
    what: &str,
    step: impl Future<Output = T>,
) -> Option<T> {
    let done = timeout(deadline, step).await.ok();
    if done.is_none() {
        tracing::warn!(what, waited_s = deadline.as_secs(), "did not end in time: it is left");
    }
    done
}

/// Waits for all tasks.
pub(crate) async fn all(tracker: &TaskTracker) {
    tracker.close();
    if within(TASKS_DEADLINE, "the node's tasks", tracker.wait()).await.is_none() {
        tracing::warn!(left = tracker.len(), "tasks that did not end");
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tasks_are_waited_for_but_not_for_ever() {
        let (quick, stuck) = (TaskTracker::new(), TaskTracker::new());
        quick.spawn(tokio::time::sleep(Duration::from_secs(1)));
        stuck.spawn(std::future::pending::<()>());
        let began = Instant::now();

        all(&quick).await;
        assert_eq!((quick.len(), began.elapsed()), (0, Duration::from_secs(1)));

        let began = Instant::now();
        all(&stuck).await;
        assert_eq!((stuck.len(), began.elapsed()), (1, TASKS_DEADLINE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_hangs_is_left() {
        let deadline = Duration::from_secs(3);
        assert_eq!(within(deadline, "a step", async { 7 }).await, Some(7));
        assert_eq!(within(deadline, "a step", std::future::pending::<u8>()).await, None);
    }
}

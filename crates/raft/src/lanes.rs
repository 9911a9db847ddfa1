//! The two bounded queues in front of the proposer.
//!
//! What people and planners decide goes before what agents report: a flood of reports must not
//! keep anybody from changing a service.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use swarm_state::Accepted;
use swarm_types::Group;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::error::ProposeError;
use crate::leadership::Leadership;
use crate::options::Limits;

/// Bytes of groups in an entry, unless one group alone has more.
const ENTRY_BYTES: usize = 1 << 20;
/// Changes in an entry, unless one group alone has more.
const ENTRY_CHANGES: usize = 4_000;
/// Bytes a single group may have: the largest object and what surrounds it.
pub(crate) const GROUP_BYTES: usize = 2 << 20;
/// After that long a full lane has been worked off a good deal.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Which queue a proposal waits in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lane {
    /// What people and planners decide.
    Control,
    /// What agents report; waits while there is anything in the other.
    Status,
}

/// Where a group's result goes.
pub(crate) type Answer = oneshot::Sender<Result<Accepted, ProposeError>>;

/// A group that waits for its entry.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) group: Arc<Group>,
    pub(crate) size: usize,
    pub(crate) since: Instant,
    /// The leadership it belongs to, when it may be written under no other.
    pub(crate) led: Option<Leadership>,
    pub(crate) answer: Answer,
}

#[derive(Debug)]
pub(crate) struct Lanes {
    queues: Mutex<Queues>,
    filled: Notify,
    limits: Limits,
}

#[derive(Debug, Default)]
struct Queues {
    control: Queue,
    status: Queue,
    /// What was taken last may still be on its way.
    taken: bool,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

impl Lanes {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { queues: Mutex::default(), filled: Notify::new(), limits }
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a group in its queue, or refuses it when that is full.
    pub(crate) fn push(&self, lane: Lane, waiting: Waiting) -> Result<(), ProposeError> {
        let mut queues = self.queues();
        let queue = match lane {
            Lane::Control => &mut queues.control,
            Lane::Status => &mut queues.status,
        };
        let full = queue.waiting.len() >= self.limits.queue_groups
            || (queue.bytes + waiting.size > self.limits.queue_bytes && !queue.waiting.is_empty());
        if full {
            return Err(ProposeError::Busy { retry_after: RETRY_AFTER });
        }
        queue.bytes += waiting.size;
        queue.waiting.push_back(waiting);
        self.filled.notify_one();
        Ok(())
    }

    /// Whether nothing waits, and everybody was told what became of what was taken.
    pub(crate) fn is_idle(&self) -> bool {
        let queues = self.queues();
        !queues.taken && queues.control.waiting.is_empty() && queues.status.waiting.is_empty()
    }

    /// The groups of the next entry; waits until there is one. Those before it are done with.
    pub(crate) async fn next(&self) -> Vec<Waiting> {
        loop {
            let taken = self.take();
            if !taken.is_empty() {
                return taken;
            }
            self.filled.notified().await;
        }
    }

    /// Everything that fits in one entry, in order, without those nobody waits for any more.
    pub(crate) fn take(&self) -> Vec<Waiting> {
        let mut queues = self.queues();
        let mut room = Room { bytes: ENTRY_BYTES, changes: ENTRY_CHANGES };
        let mut taken = Vec::new();
        let Queues { control, status, taken: some } = &mut *queues;
        *some = false;
        for queue in [control, status] {
            while let Some(first) = queue.waiting.front() {
                let forsaken = first.answer.is_closed();
                if !forsaken && !room.take(first) && !taken.is_empty() {
                    return taken;
                }
                let Some(first) = queue.waiting.pop_front() else { break };
                queue.bytes -= first.size;
                if !forsaken {
                    *some = true;
                    taken.push(first);
                }
            }
        }
        taken
    }
}

struct Room {
    bytes: usize,
    changes: usize,
}

impl Room {
    /// Whether the group fits; once one does not, nothing more does.
    fn take(&mut self, waiting: &Waiting) -> bool {
        let changes = waiting.group.changes.len().max(1);
        let fits = waiting.size <= self.bytes && changes <= self.changes;
        let left = |room: usize, taken| if fits { room - taken } else { 0 };
        *self =
            Self { bytes: left(self.bytes, waiting.size), changes: left(self.changes, changes) };
        fits
    }
}

#[cfg(test)]
mod tests {
    use swarm_types::{Change, IdSource};

    use super::*;

    type Result = std::result::Result<Accepted, ProposeError>;

    fn group(size: usize, changes: usize) -> (Waiting, oneshot::Receiver<Result>) {
        let (answer, waiter) = oneshot::channel();
        let mut ids = IdSource::seeded(size as u64);
        let changes = (0..changes).map(|_| Change::RemoveTask(ids.draw())).collect();
        let group = Arc::new(Group { request: ids.draw(), expect: Vec::new(), changes });
        (Waiting { group, size, since: Instant::now(), led: None, answer }, waiter)
    }

    fn sizes(taken: &[Waiting]) -> Vec<usize> {
        taken.iter().map(|waiting| waiting.size).collect()
    }

    #[test]
    fn control_goes_first_and_order_is_kept() {
        let lanes = Lanes::new(Limits::default());
        let mut waiters = Vec::new();
        for (lane, size) in
            [(Lane::Status, 1), (Lane::Control, 2), (Lane::Status, 3), (Lane::Control, 4)]
        {
            let (waiting, waiter) = group(size, 1);
            lanes.push(lane, waiting).unwrap();
            waiters.push(waiter);
        }

        assert_eq!(sizes(&lanes.take()), [2, 4, 1, 3]);
        assert!(lanes.take().is_empty());
    }

    #[test]
    fn what_was_taken_is_done_with_when_more_is_asked_for() {
        let lanes = Lanes::new(Limits::default());
        assert!(lanes.is_idle());
        let (waiting, _waiter) = group(1, 1);
        lanes.push(Lane::Status, waiting).unwrap();
        assert!(!lanes.is_idle(), "it waits");

        assert_eq!(lanes.take().len(), 1);

        assert!(!lanes.is_idle(), "it is on its way");
        assert!(lanes.take().is_empty() && lanes.is_idle());
    }

    #[test]
    fn an_entry_is_bounded_by_bytes_and_by_changes() {
        let lanes = Lanes::new(Limits::default());
        let mut waiters = Vec::new();
        for (size, changes) in
            [(600_000, 1), (600_000, 1), (10, 3_999), (20, 2), (GROUP_BYTES, 1), (5, 1)]
        {
            let (waiting, waiter) = group(size, changes);
            lanes.push(Lane::Control, waiting).unwrap();
            waiters.push(waiter);
        }

        let entries: Vec<_> = (0..5).map(|_| sizes(&lanes.take())).collect();
        let expected: [&[usize]; 5] = [&[600_000], &[600_000, 10], &[20], &[GROUP_BYTES], &[5]];
        assert_eq!(entries, expected);
    }

    #[test]
    fn a_full_lane_is_busy_and_the_other_is_not() {
        let limits = Limits { queue_groups: 2, queue_bytes: 100, ..Limits::default() };
        let lanes = Lanes::new(limits);
        let mut waiters = Vec::new();
        let mut push = |lane, size| {
            let (waiting, waiter) = group(size, 1);
            waiters.push(waiter);
            lanes.push(lane, waiting)
        };

        push(Lane::Status, 60).unwrap();
        assert!(matches!(push(Lane::Status, 60), Err(ProposeError::Busy { .. })));
        push(Lane::Status, 40).unwrap();
        assert!(matches!(push(Lane::Status, 0), Err(ProposeError::Busy { .. })));
        push(Lane::Control, 60).unwrap();
    }

    #[test]
    fn a_group_nobody_waits_for_is_dropped() {
        let lanes = Lanes::new(Limits::default());
        let (first, gone) = group(1, 1);
        let (second, _waiter) = group(2, 1);
        lanes.push(Lane::Control, first).unwrap();
        lanes.push(Lane::Control, second).unwrap();

        drop(gone);

        assert_eq!(sizes(&lanes.take()), [2]);
    }
}

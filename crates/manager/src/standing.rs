//! What this manager knows of the cluster's leader: whether it may speak for the cluster.
//!
//! A leader knows by itself. A follower has the leader's word: an answer that came from a leader
//! with a quorum proves that there was one when it was asked, and counts once the replica here
//! holds all that the leader held. Pure: times of CLOCK_BOOTTIME come in.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use swarm_types::NodeId;

/// Answers that wait for the replica; older ones are of no use.
const MOST_OWED: usize = 4;

/// The last proof, and what the leader said with it.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Time of the last proof of a leader with a quorum.
    proven: Option<Duration>,
    /// Proofs that count once the replica has applied an index, oldest first.
    owed: VecDeque<(u64, Duration)>,
    /// The managers that the leader hears.
    reachable: BTreeSet<NodeId>,
}

impl Standing {
    /// This manager leads.
    pub(crate) fn leads(&mut self, now: Duration) {
        self.proven = Some(now);
        self.owed.clear();
    }

    /// The leader answered what it was asked at `asked`: it has applied `index` and hears these.
    pub(crate) fn told(&mut self, index: u64, asked: Duration, reachable: BTreeSet<NodeId>) {
        if self.owed.len() >= MOST_OWED {
            self.owed.pop_front();
        }
        self.owed.push_back((index, asked));
        self.reachable = reachable;
    }

    /// Time since the last proof, for a replica that has applied that much; `None` without any.
    pub(crate) fn age(&mut self, applied: u64, now: Duration) -> Option<Duration> {
        while let Some((_, asked)) = self.owed.front().filter(|(index, _)| *index <= applied) {
            self.proven = self.proven.max(Some(*asked));
            self.owed.pop_front();
        }
        self.proven.map(|proven| now.saturating_sub(proven))
    }

    /// The managers that the leader heard when it last answered.
    pub(crate) fn reachable(&self) -> &BTreeSet<NodeId> {
        &self.reachable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn without_a_word_of_a_leader_there_is_no_proof() {
        assert_eq!(Standing::default().age(7, SECOND), None);
    }

    #[test]
    fn an_answer_counts_from_when_it_was_asked_and_once_the_replica_is_as_new() {
        let mut standing = Standing::default();
        standing.told(10, SECOND, BTreeSet::new());

        assert_eq!(standing.age(9, 2 * SECOND), None);
        assert_eq!(standing.age(10, 2 * SECOND), Some(SECOND));
        assert_eq!(standing.age(10, 5 * SECOND), Some(4 * SECOND));
    }

    #[test]
    fn a_replica_that_lags_a_little_is_proven_by_older_answers() {
        let mut standing = Standing::default();
        for second in 1..=9 {
            standing.told(10 * u64::from(second), second * SECOND, BTreeSet::new());
        }

        assert_eq!(standing.age(75, 9 * SECOND), Some(2 * SECOND), "the seventh");
        assert_eq!(standing.age(90, 9 * SECOND), Some(Duration::ZERO));
        assert_eq!(standing.age(200, 10 * SECOND), Some(SECOND), "nothing is owed any more");
    }
}

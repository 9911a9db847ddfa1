//! How long the members' disks take, and when the leader's is too slow for it to lead.
//!
//! Like is compared with like: an append until it is durable. A follower's is seen from the
//! leader, with the way there and back, so it may look slower than it is, never faster. Doubt
//! speaks for the leader: the median of what it took is held against the most that the others
//! took, who are seen later, and a member that was not seen often enough does not count at all.

use std::collections::VecDeque;
use std::time::Duration;

/// Appends that are looked back on.
const KEPT: usize = 5;

/// What the last appends of a member took.
#[derive(Debug, Default)]
pub(crate) struct Pace(VecDeque<Duration>);

impl Pace {
    pub(crate) fn note(&mut self, took: Duration) {
        self.0.truncate(KEPT - 1);
        self.0.push_front(took);
    }

    /// The most that one took; `None` until enough were seen.
    pub(crate) fn most(&self) -> Option<Duration> {
        self.0.iter().copied().max().filter(|_| self.0.len() == KEPT)
    }

    /// `None` until enough were seen.
    pub(crate) fn median(&self) -> Option<Duration> {
        let mut sorted: Vec<Duration> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(KEPT / 2).copied().filter(|_| sorted.len() == KEPT)
    }
}

/// How slow the disk of a leader may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tolerance {
    /// An append that takes no longer is fast enough, whatever the others' take.
    pub(crate) append: Duration,
    /// It may take so many times as long as at a majority without it.
    pub(crate) times: u32,
    /// How long a member leads before it hands over, and goes on after it failed to: leadership
    /// does not go to and fro.
    pub(crate) settled: Duration,
    /// How often a leader looks.
    pub(crate) look: Duration,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self {
            append: Duration::from_millis(300),
            times: 4,
            settled: Duration::from_secs(60),
            look: Duration::from_secs(1),
        }
    }
}

impl Tolerance {
    /// Whether a leader should hand over, by what appends take here and at a majority of the
    /// voters without it.
    pub(crate) fn should_hand_over(
        &self,
        own: Duration,
        others: Duration,
        leading_for: Duration,
    ) -> bool {
        let bearable = self.append.max(others.saturating_mul(self.times));
        own > bearable && leading_for >= self.settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn only_a_leader_that_is_much_slower_for_long_hands_over() {
        let minute = ms(60_000);
        let cases = [
            ("a slow disk among fast ones", ms(301), ms(5), minute, true),
            ("the more so", ms(1400), ms(20), 100 * minute, true),
            ("more than four times the others", ms(401), ms(100), minute, true),
            ("slow, but not slow enough", ms(300), ms(5), minute, false),
            ("the others are not much better", ms(400), ms(100), minute, false),
            ("all are equally slow", ms(1000), ms(1000), minute, false),
            ("it follows faster than it is led", ms(10), ms(1000), minute, false),
            ("it has only just begun to lead", ms(1400), ms(5), minute - ms(1), false),
            ("no end of time", Duration::MAX, Duration::MAX, minute, false),
        ];

        for (case, own, others, leading_for, hands_over) in cases {
            let found = Tolerance::default().should_hand_over(own, others, leading_for);
            assert_eq!(found, hands_over, "{case}");
        }
    }

    #[test]
    fn the_pace_is_that_of_the_last_five() {
        let mut pace = Pace::default();
        let mut seen = Vec::new();

        for took in [9, 1, 8, 2, 7, 3, 3, 3] {
            pace.note(ms(took));
            seen.push(pace.median().zip(pace.most()));
        }

        // Of 9 1 8 2 7, then 1 8 2 7 3, 8 2 7 3 3 and 2 7 3 3 3.
        let then = [(7, 9), (3, 8), (3, 8), (3, 7)];
        let then = then.map(|(median, most)| Some((ms(median), ms(most))));
        assert_eq!(seen, [[None; 4], then].concat());
    }
}

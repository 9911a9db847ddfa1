//! How long to wait before the next try: longer each time, and not the same on all nodes.

use std::time::Duration;

use rand::RngExt;

/// Grows with each failure from 100 ms to 8 s.
#[derive(Default, Debug)]
pub(crate) struct Backoff {
    last: Duration,
}

impl Backoff {
    const STEP: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(8);

    /// The pause after one more failure: any time up to the bound, so that nodes that lost the
    /// same manager do not come back together.
    pub(crate) fn next(&mut self) -> Duration {
        self.last = (Self::STEP + 2 * self.last).min(Self::MAX);
        rand::rng().random_range(Duration::ZERO..=self.last)
    }

    /// Forgets the failures.
    pub(crate) fn reset(&mut self) {
        self.last = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_eight_seconds() {
        let mut backoff = Backoff::default();

        let bounds: Vec<u128> = (0..9)
            .map(|_| {
                let pause = backoff.next();
                assert!(pause <= backoff.last);
                backoff.last.as_millis()
            })
            .collect();

        assert_eq!(bounds, [100, 300, 700, 1500, 3100, 6300, 8000, 8000, 8000]);
        backoff.reset();
        assert!(backoff.next() <= Backoff::STEP);
    }
}

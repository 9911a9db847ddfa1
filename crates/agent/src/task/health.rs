//! Judges a container by its probes, with Docker's rules. Pure: no clock, no container.
//!
//! A container is starting until one probe succeeds. While it is starting and within its start
//! period, failures do not count and probes come more often. `retries` failures in a row make
//! it unhealthy, for good: the task then ends.

use std::time::Duration;

use swarm_types::spec::container::HealthConfig;

const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;

/// How a container's health is found out; nothing is left to defaults any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Check {
    /// What runs in the container; exit code 0 means healthy.
    pub(crate) command: Vec<String>,
    /// Time a probe may take.
    pub(crate) timeout: Duration,
    interval: Duration,
    retries: u32,
    start_period: Duration,
    start_interval: Duration,
}

impl Check {
    /// The check of a container: the task's wish, completed by what the image says. `None` when
    /// there is none, or it is switched off.
    pub(crate) fn of(wish: Option<&HealthConfig>, image: Option<&HealthConfig>) -> Option<Self> {
        let absent = HealthConfig::default();
        let (wish, image) = (wish.unwrap_or(&absent), image.unwrap_or(&absent));
        let test = if wish.test.is_empty() { &image.test } else { &wish.test };
        let command = match test.split_first() {
            Some((kind, rest)) if kind == "CMD" && !rest.is_empty() => rest.to_vec(),
            Some((kind, [script, ..])) if kind == "CMD-SHELL" => {
                vec!["/bin/sh".to_owned(), "-c".to_owned(), script.clone()]
            }
            _ => return None,
        };
        let time = |of: fn(&HealthConfig) -> Duration, default| {
            [of(wish), of(image)].into_iter().find(|time| !time.is_zero()).unwrap_or(default)
        };
        let retries = [wish.retries, image.retries].into_iter().find(|count| *count > 0);
        Some(Self {
            command,
            timeout: time(|config| config.timeout, TIMEOUT),
            interval: time(|config| config.interval, INTERVAL),
            retries: retries.unwrap_or(RETRIES),
            start_period: time(|config| config.start_period, Duration::ZERO),
            start_interval: time(|config| config.start_interval, START_INTERVAL),
        })
    }
}

/// What a probe said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Probed {
    /// The container is well.
    Passed,
    /// It is not, or did not answer in time.
    Failed {
        /// For people.
        why: String,
    },
    /// Nobody could ask, as while containerd is away: says nothing of the container.
    Unasked {
        /// For people.
        why: String,
    },
}

/// What a probe changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Nothing the task must know.
    Same,
    /// The first success.
    Healthy,
    /// Too many failures in a row.
    Unhealthy,
}

/// What the probes so far say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Health {
    starting: bool,
    failures: u32,
}

impl Health {
    /// A container no probe succeeded in yet.
    pub(crate) const STARTING: Self = Self { starting: true, failures: 0 };
    /// One that was healthy when it was last seen, as one that is adopted.
    pub(crate) const HEALTHY: Self = Self { starting: false, failures: 0 };

    /// Time from the end of a probe to the next, in a container of that age.
    pub(crate) fn pause(self, check: &Check, age: Duration) -> Duration {
        if self.is_young(check, age) { check.start_interval } else { check.interval }
    }

    /// Takes what a probe said that began in a container of that age.
    pub(crate) fn take(&mut self, check: &Check, age: Duration, said: &Probed) -> Verdict {
        match said {
            Probed::Passed => {
                let first = self.starting;
                *self = Self::HEALTHY;
                if first { Verdict::Healthy } else { Verdict::Same }
            }
            Probed::Failed { .. } if !self.is_young(check, age) => {
                self.failures += 1;
                if self.failures >= check.retries { Verdict::Unhealthy } else { Verdict::Same }
            }
            Probed::Failed { .. } | Probed::Unasked { .. } => Verdict::Same,
        }
    }

    fn is_young(self, check: &Check, age: Duration) -> bool {
        self.starting && age < check.start_period
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn config(test: &[&str]) -> HealthConfig {
        let test = test.iter().map(ToString::to_string).collect();
        HealthConfig { test, ..HealthConfig::default() }
    }

    fn check(retries: u32, start_period: u32) -> Check {
        let start_period = start_period * SECOND;
        let config = HealthConfig { retries, start_period, ..config(&["CMD", "true"]) };
        Check::of(Some(&config), None).unwrap()
    }

    fn failed() -> Probed {
        Probed::Failed { why: "1".to_owned() }
    }

    #[test]
    fn a_check_is_the_tasks_completed_by_the_images() {
        let image = HealthConfig { interval: SECOND, retries: 7, ..config(&["CMD-SHELL", "a b"]) };
        let wish = HealthConfig { retries: 2, ..HealthConfig::default() };

        let check = Check::of(Some(&wish), Some(&image)).unwrap();

        assert_eq!(check.command, ["/bin/sh", "-c", "a b"]);
        assert_eq!((check.interval, check.retries), (SECOND, 2));
        assert_eq!((check.timeout, check.start_interval), (30 * SECOND, 5 * SECOND));
        let own = Check::of(Some(&config(&["CMD", "x", "y"])), Some(&image)).unwrap();
        assert_eq!(own.command, ["x", "y"]);
    }

    #[test]
    fn no_test_and_none_mean_no_check() {
        let image = config(&["CMD", "true"]);

        assert_eq!(Check::of(None, None), None);
        assert_eq!(Check::of(Some(&config(&["NONE"])), Some(&image)), None);
        assert_eq!(Check::of(None, Some(&config(&["CMD"]))), None);
        assert_eq!(Check::of(None, Some(&config(&["CMD-SHELL"]))), None);
        assert_eq!(Check::of(None, Some(&config(&["GUESS", "x"]))), None);
    }

    #[test]
    fn failures_in_a_row_make_it_unhealthy() {
        let (check, mut health) = (check(3, 0), Health::HEALTHY);
        let mut take = |said: Probed| health.take(&check, SECOND, &said);

        assert_eq!(take(failed()), Verdict::Same);
        assert_eq!(take(failed()), Verdict::Same);
        assert_eq!(take(Probed::Passed), Verdict::Same);
        assert_eq!(take(failed()), Verdict::Same);
        assert_eq!(take(Probed::Unasked { why: String::new() }), Verdict::Same);
        assert_eq!(take(failed()), Verdict::Same);
        assert_eq!(take(failed()), Verdict::Unhealthy);
    }

    #[test]
    fn the_start_period_forgives_until_the_first_success() {
        let (check, mut health) = (check(1, 10), Health::STARTING);

        assert_eq!(health.pause(&check, SECOND), 5 * SECOND);
        assert_eq!(health.take(&check, 9 * SECOND, &failed()), Verdict::Same);
        assert_eq!(health.take(&check, 9 * SECOND, &Probed::Passed), Verdict::Healthy);
        assert_eq!(health.pause(&check, SECOND), 30 * SECOND, "started, however young");
        assert_eq!(health.take(&check, 9 * SECOND, &failed()), Verdict::Unhealthy);

        let mut late = Health::STARTING;
        assert_eq!(late.pause(&check, 10 * SECOND), 30 * SECOND);
        assert_eq!(late.take(&check, 10 * SECOND, &failed()), Verdict::Unhealthy);
    }

    proptest! {
        /// Unhealthy comes exactly when the last `retries` probes that count have all failed.
        #[test]
        fn only_a_full_row_of_failures_counts(
            retries in 1u32..5,
            passed in prop::collection::vec(any::<bool>(), 0..30),
        ) {
            let (check, mut health) = (check(retries, 0), Health::STARTING);
            let mut row = 0;
            for passes in passed {
                row = if passes { 0 } else { row + 1 };
                let said = if passes { Probed::Passed } else { failed() };
                let verdict = health.take(&check, SECOND, &said);
                prop_assert_eq!(verdict == Verdict::Unhealthy, row >= retries);
                if verdict == Verdict::Unhealthy {
                    break;
                }
            }
        }
    }
}

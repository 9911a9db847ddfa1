//! What monitoring wants to know of what a manager does for its nodes, and as the leader.

use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::leader::driver::Outcome;

/// Counts from the start of the manager on.
#[derive(Debug)]
pub(crate) struct Figures {
    registry: Registry,
    sessions: IntGauge,
    pub(crate) heartbeats: IntCounter,
    /// Messages with assignments.
    pub(crate) assignments: IntCounter,
    queued: IntGauge,
    reports: IntCounterVec,
    /// What one round of the planner took, in seconds.
    pub(crate) rounds: Histogram,
    decisions: IntCounterVec,
}

/// What became of a report of a task.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Report {
    Committed,
    Refused,
    /// The node has to tell it again.
    Failed,
}

impl Report {
    const fn name(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

const fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Applied => "applied",
        Outcome::Refused => "refused",
        Outcome::Unknown => "unknown",
    }
}

#[expect(clippy::expect_used, reason = "names are constants, which a test goes through")]
impl Figures {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help).expect("a valid name");
            registry.register(Box::new(counter.clone())).expect("a name of its own");
            counter
        };
        let outcomes = |name: &str, help: &str, outcomes: [&str; 3]| {
            let counter = IntCounterVec::new(Opts::new(name, help), &["outcome"]);
            let counter = counter.expect("a valid name");
            // A rate over what is not there yet misses its first event.
            outcomes.iter().for_each(|outcome| drop(counter.with_label_values(&[outcome])));
            registry.register(Box::new(counter.clone())).expect("a name of its own");
            counter
        };
        let heartbeats = counter("swarm_dispatcher_heartbeats_total", "Heartbeats of nodes.");
        let assignments =
            counter("swarm_dispatcher_assignments_total", "Messages that told nodes their work.");
        let reports = outcomes(
            "swarm_dispatcher_reports_total",
            "States of tasks that nodes reported.",
            [Report::Committed, Report::Refused, Report::Failed].map(Report::name),
        );
        let decisions = outcomes(
            "swarm_scheduler_decisions_total",
            "Groups of changes that were decided.",
            [Outcome::Applied, Outcome::Refused, Outcome::Unknown].map(name),
        );
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help).expect("a valid name");
            registry.register(Box::new(gauge.clone())).expect("a name of its own");
            gauge
        };
        let sessions = gauge("swarm_dispatcher_sessions", "Nodes that this manager serves.");
        let queued = gauge(
            "swarm_dispatcher_reports_queued",
            "States of tasks that nodes reported, and that are not agreed on yet.",
        );
        // 10 us to 5 s.
        let buckets = prometheus::exponential_buckets(0.000_01, 4.0, 10);
        let rounds = "What one round of the planner took.";
        let rounds = HistogramOpts::new("swarm_scheduler_round_seconds", rounds)
            .buckets(buckets.expect("buckets that grow"));
        let rounds = Histogram::with_opts(rounds).expect("a valid name");
        registry.register(Box::new(rounds.clone())).expect("a name of its own");
        Self { registry, sessions, heartbeats, assignments, queued, reports, rounds, decisions }
    }

    /// One report more waits, until what this returns is dropped.
    pub(crate) fn queue(&self) -> Queued<'_> {
        self.queued.inc();
        Queued(&self.queued)
    }

    pub(crate) fn reported(&self, report: Report) {
        self.reports.with_label_values(&[report.name()]).inc();
    }

    pub(crate) fn decided(&self, outcome: Outcome) {
        self.decisions.with_label_values(&[name(outcome)]).inc();
    }

    /// Everything, with so many sessions at this moment.
    pub(crate) fn gather(&self, sessions: usize) -> Vec<MetricFamily> {
        self.sessions.set(i64::try_from(sessions).unwrap_or(i64::MAX));
        self.registry.gather()
    }
}

/// A report that waits to be agreed on.
#[derive(Debug)]
pub(crate) struct Queued<'a>(&'a IntGauge);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;

    use super::*;

    #[test]
    fn every_outcome_is_shown_before_it_happens() {
        let figures = Figures::new();
        figures.reported(Report::Refused);

        let page = TextEncoder::new().encode_to_string(&figures.gather(0)).unwrap();

        for line in [
            "swarm_dispatcher_reports_total{outcome=\"committed\"} 0\n",
            "swarm_dispatcher_reports_total{outcome=\"refused\"} 1\n",
            "swarm_dispatcher_reports_total{outcome=\"failed\"} 0\n",
            "swarm_scheduler_decisions_total{outcome=\"applied\"} 0\n",
            "swarm_scheduler_decisions_total{outcome=\"refused\"} 0\n",
            "swarm_scheduler_decisions_total{outcome=\"unknown\"} 0\n",
        ] {
            assert!(page.contains(line), "{line} is not in {page}");
        }
    }
}

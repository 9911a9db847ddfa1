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

#[expect(clippy::expect_used, reason = "names are constants, which a test goes through")]
impl Figures {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help).expect("a valid name");
            registry.register(Box::new(counter.clone())).expect("a name of its own");
            counter
        };
        let outcomes = |name: &str, help: &str| {
            let counter = IntCounterVec::new(Opts::new(name, help), &["outcome"]);
            let counter = counter.expect("a valid name");
            registry.register(Box::new(counter.clone())).expect("a name of its own");
            counter
        };
        let heartbeats = counter("swarm_dispatcher_heartbeats_total", "Heartbeats of nodes.");
        let assignments =
            counter("swarm_dispatcher_assignments_total", "Messages that told nodes their work.");
        let reports =
            outcomes("swarm_dispatcher_reports_total", "States of tasks that nodes reported.");
        let decisions =
            outcomes("swarm_scheduler_decisions_total", "Groups of changes that were decided.");
        let sessions =
            IntGauge::new("swarm_dispatcher_sessions", "Nodes that this manager serves.");
        let sessions = sessions.expect("a valid name");
        registry.register(Box::new(sessions.clone())).expect("a name of its own");
        // 10 us to 5 s.
        let buckets = prometheus::exponential_buckets(0.000_01, 4.0, 10);
        let rounds = "What one round of the planner took.";
        let rounds = HistogramOpts::new("swarm_scheduler_round_seconds", rounds)
            .buckets(buckets.expect("buckets that grow"));
        let rounds = Histogram::with_opts(rounds).expect("a valid name");
        registry.register(Box::new(rounds.clone())).expect("a name of its own");
        Self { registry, sessions, heartbeats, assignments, reports, rounds, decisions }
    }

    pub(crate) fn reported(&self, report: Report) {
        let outcome = match report {
            Report::Committed => "committed",
            Report::Refused => "refused",
            Report::Failed => "failed",
        };
        self.reports.with_label_values(&[outcome]).inc();
    }

    pub(crate) fn decided(&self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Applied => "applied",
            Outcome::Refused => "refused",
            Outcome::Unknown => "unknown",
        };
        self.decisions.with_label_values(&[outcome]).inc();
    }

    /// Everything, with so many sessions at this moment.
    pub(crate) fn gather(&self, sessions: usize) -> Vec<MetricFamily> {
        self.sessions.set(i64::try_from(sessions).unwrap_or(i64::MAX));
        self.registry.gather()
    }
}

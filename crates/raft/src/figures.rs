//! What monitoring wants to know of how fast the store is. Where it stands says [`crate::Info`].

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, IntCounter, Registry};

use crate::type_config::MemberId;

/// Counts what happens from the opening of the store on; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    registry: Registry,
    /// From handing an entry to raft until it was applied here, in seconds. Only a leader has any.
    pub(crate) commits: Histogram,
    /// Until what was written to the log was durable with its mark, in seconds.
    pub(crate) syncs: Histogram,
    /// Writing a snapshot, in seconds.
    pub(crate) snapshots: Histogram,
    leader_changes: IntCounter,
    /// The leader that was seen last, with its term.
    leader: Arc<Mutex<Option<(u64, MemberId)>>>,
}

impl Default for Figures {
    fn default() -> Self {
        let registry = Registry::new();
        // 0.1 ms to 3.3 s; a snapshot takes longer.
        let short = || prometheus::exponential_buckets(0.0001, 2.0, 16);
        let long = || prometheus::exponential_buckets(0.01, 4.0, 9);
        let commits = "From handing an entry to raft until it was applied by the leader.";
        let syncs = "Until a batch of the log was durable.";
        let snapshots = "Until a snapshot was written.";
        Self {
            commits: histogram(&registry, "swarm_raft_commit_seconds", commits, short()),
            syncs: histogram(&registry, "swarm_raft_log_sync_seconds", syncs, short()),
            snapshots: histogram(&registry, "swarm_raft_snapshot_seconds", snapshots, long()),
            leader_changes: leader_changes(&registry),
            leader: Arc::default(),
            registry,
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "names and buckets are constants, which a test goes through"
)]
fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    buckets: prometheus::Result<Vec<f64>>,
) -> Histogram {
    let buckets = buckets.expect("buckets that grow");
    let histogram = HistogramOpts::new(name, help).buckets(buckets);
    let histogram = Histogram::with_opts(histogram).expect("a valid name");
    registry.register(Box::new(histogram.clone())).expect("a name of its own");
    histogram
}

#[expect(clippy::expect_used, reason = "the name is a constant, which a test goes through")]
fn leader_changes(registry: &Registry) -> IntCounter {
    let help = "Elections whose winner this store has seen.";
    let counter = IntCounter::new("swarm_raft_leader_changes_total", help).expect("a valid name");
    registry.register(Box::new(counter.clone())).expect("a name of its own");
    counter
}

impl Figures {
    /// Takes note of who leads, and counts it when that is another one, or the same one anew.
    pub(crate) fn led_by(&self, term: u64, leader: MemberId) {
        let mut before = self.leader.lock().unwrap_or_else(PoisonError::into_inner);
        if before.replace((term, leader)) != Some((term, leader)) {
            self.leader_changes.inc();
        }
    }

    pub(crate) fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }
}

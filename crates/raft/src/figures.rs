//! What monitoring wants to know of how fast the store is. Where it stands says [`crate::Info`].

use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, Registry};

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

impl Figures {
    pub(crate) fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }
}

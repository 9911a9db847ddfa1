//! What the owner of the store chooses.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use swarm_types::NodeId;

use crate::dial::Dial;
use crate::error::OpenError;
use crate::pace::Tolerance;

/// Where the store is, who this member is, and how patient and big things are.
#[derive(Clone, Debug)]
pub struct Options {
    /// The store's directory. Its parent must exist.
    pub dir: PathBuf,
    /// The node this member runs on.
    pub node: NodeId,
    /// Where other members reach this one, `host:port`. Used when the cluster is founded, or
    /// forced anew.
    pub addr: String,
    /// How often the leader shows itself.
    pub heartbeat: Duration,
    /// A follower that heard no leader for a time between these two, after the lease, stands.
    /// The longer one is also the lease.
    pub election: (Duration, Duration),
    /// Bounds.
    pub limits: Limits,
    /// How other managers are reached.
    pub dial: Dial,
}

/// Bounds on memory and disk.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A snapshot is made when the log after the last one has more bytes than this and than
    /// that snapshot.
    pub snapshot_after: u64,
    /// Bytes of log that stay when a snapshot holds them too.
    pub keep_log: u64,
    /// Bytes of groups that wait in each lane; more are refused as busy.
    pub queue_bytes: usize,
    /// Groups that wait in each lane; more are refused as busy.
    pub queue_groups: usize,
    /// Reads that wait for a quorum; more are refused as busy.
    pub reads: usize,
    /// Entries a watcher may fall behind before it is cut off.
    pub watch_backlog: usize,
    /// How slow the disk of a leader may be.
    pub(crate) tolerance: Tolerance,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            snapshot_after: 64 << 20,
            keep_log: 64 << 20,
            queue_bytes: 16 << 20,
            queue_groups: 10_000,
            reads: 10_000,
            watch_backlog: 256,
            tolerance: Tolerance::default(),
        }
    }
}

impl Options {
    /// The usual settings for a store in `dir`.
    #[must_use]
    pub fn new(dir: PathBuf, node: NodeId, addr: String) -> Self {
        Self {
            dir,
            node,
            addr,
            heartbeat: Duration::from_millis(150),
            election: (Duration::from_millis(600), Duration::from_millis(900)),
            limits: Limits::default(),
            dial: Dial::nowhere(),
        }
    }

    pub(crate) fn config(&self) -> Result<Arc<openraft::Config>, OpenError> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let config = openraft::Config {
            cluster_name: "swarm".into(),
            heartbeat_interval: millis(self.heartbeat),
            election_timeout_min: millis(self.election.0),
            election_timeout_max: millis(self.election.1),
            install_snapshot_timeout: 10_000,
            // Bounded by bytes in the log store.
            max_payload_entries: 4096,
            replication_lag_threshold: u64::MAX,
            // When to make a snapshot and how much log to keep is decided by bytes, here.
            snapshot_policy: openraft::SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: u64::MAX,
            purge_batch_size: 1,
            ..openraft::Config::default()
        };
        let config = config.validate().map_err(|why| OpenError::Settings(why.to_string()))?;
        Ok(Arc::new(config))
    }
}

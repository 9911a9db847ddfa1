//! Settings of the whole cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Annotations, Driver};

/// Settings of the whole cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterSpec {
    /// Name (always `default`) and labels.
    pub annotations: Annotations,
    /// Tasks kept per slot, the live one included; negative keeps all.
    pub task_history_limit: i64,
    /// Settings of consensus, accepted because clients send them.
    pub raft: RaftConfig,
    /// Time between a node's heartbeats.
    pub heartbeat_period: Duration,
    /// Settings of the certificate authority.
    pub ca: CaConfig,
    /// Log driver of tasks that name none.
    pub default_log_driver: Option<Driver>,
    /// Managers need the unlock key after a restart.
    pub autolock: bool,
}

/// Settings of consensus as Docker's API has them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RaftConfig {
    /// Entries between snapshots.
    pub snapshot_interval: u64,
    /// Older snapshots kept.
    pub keep_old_snapshots: u64,
    /// Entries kept for slow followers.
    pub log_entries_for_slow_followers: u64,
    /// Election time-out in ticks of a second.
    pub election_tick: u32,
    /// Heartbeat in ticks of a second.
    pub heartbeat_tick: u32,
}

/// Settings of the certificate authority.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaConfig {
    /// Life of a node's certificate.
    pub node_cert_expiry: Duration,
    /// Authorities that sign instead of the cluster's own.
    pub external_cas: Vec<ExternalCa>,
    /// PEM of the root to rotate to; empty for none.
    pub signing_cert: String,
    /// PEM of its key; empty for none.
    pub signing_key: crate::Sensitive,
    /// Counter whose change makes a new root.
    pub force_rotate: u64,
}

/// A certificate authority outside the cluster.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExternalCa {
    /// Only `cfssl`.
    pub protocol: String,
    /// Where it signs.
    pub url: String,
    /// Further options.
    pub options: BTreeMap<String, String>,
    /// PEM of its root.
    pub ca_cert: String,
}

//! The cluster's settings under Docker's keys.

use serde_json::json;
use swarm_types::spec::cluster::ClusterSpec;

use super::{Fields, nanoseconds};

pub(super) fn spec(spec: &ClusterSpec) -> Fields {
    let raft = Fields::default()
        .with("SnapshotInterval", spec.raft.snapshot_interval)
        .with("KeepOldSnapshots", spec.raft.keep_old_snapshots)
        .with("LogEntriesForSlowFollowers", spec.raft.log_entries_for_slow_followers)
        .with("ElectionTick", spec.raft.election_tick)
        .with("HeartbeatTick", spec.raft.heartbeat_tick);
    let history = Fields::default().with("TaskHistoryRetentionLimit", spec.task_history_limit);
    let dispatcher = Fields::default().with("HeartbeatPeriod", nanoseconds(spec.heartbeat_period));
    let ca = Fields::default()
        .with("NodeCertExpiry", nanoseconds(spec.ca.node_cert_expiry))
        .with_some("ForceRotate", spec.ca.force_rotate);
    Fields::default()
        .with("Name", spec.annotations.name.as_str())
        .with("Labels", json!(spec.annotations.labels))
        .with("Orchestration", history)
        .with("Raft", raft)
        .with("Dispatcher", dispatcher)
        .with("CAConfig", ca)
        .with("TaskDefaults", Fields::default())
        .with("EncryptionConfig", Fields::default().with("AutoLockManagers", spec.autolock))
}

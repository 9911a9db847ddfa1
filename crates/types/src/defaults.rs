//! The values that stand for what a user left out, all in one place (Docker's, engine 6.1).
//!
//! They are filled in before a proposal is made and stored resolved: a later change of a default
//! never alters what is stored.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::spec::Annotations;
use crate::spec::cluster::{CaConfig, ClusterSpec, RaftConfig};
use crate::spec::container::{ContainerSpec, DnsConfig, Isolation, Privileges, PullOptions};
use crate::spec::service::{FailureAction, UpdateConfig, UpdateOrder};
use crate::spec::task::{RestartCondition, RestartPolicy};

/// Name of the only cluster object.
pub const CLUSTER_NAME: &str = "default";
/// Time between stop signal and SIGKILL.
pub const STOP_GRACE_PERIOD: Duration = Duration::from_secs(10);
/// Pause before a replacement starts.
pub const RESTART_DELAY: Duration = Duration::from_secs(5);
/// How long a new task is watched after it runs.
pub const UPDATE_MONITOR: Duration = Duration::from_secs(5);
/// Tasks kept per slot, the live one included.
pub const TASK_HISTORY_LIMIT: i64 = 5;
/// Time between a node's heartbeats. Docker has 5 s; a node is down after three missed.
pub const HEARTBEAT_PERIOD: Duration = Duration::from_secs(2);
/// Life of a node's certificate.
pub const NODE_CERT_EXPIRY: Duration = Duration::from_secs(90 * 24 * 3600);
/// UDP port of VXLAN.
pub const DATA_PATH_PORT: u16 = 4789;
/// Driver of a network that names none.
pub const NETWORK_DRIVER: &str = "overlay";
/// Prefix length of a subnet cut from a pool.
pub const SUBNET_SIZE: u8 = 24;

impl Default for UpdateConfig {
    fn default() -> Self {
        Self {
            parallelism: 1,
            delay: Duration::ZERO,
            failure_action: FailureAction::Pause,
            monitor: UPDATE_MONITOR,
            max_failure_millionths: 0,
            order: UpdateOrder::StopFirst,
        }
    }
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            condition: RestartCondition::Any,
            delay: RESTART_DELAY,
            max_attempts: 0,
            window: Duration::ZERO,
        }
    }
}

impl Default for ContainerSpec {
    fn default() -> Self {
        Self {
            image: String::new(),
            labels: BTreeMap::new(),
            command: Vec::new(),
            args: Vec::new(),
            hostname: String::new(),
            env: Vec::new(),
            dir: String::new(),
            user: String::new(),
            groups: Vec::new(),
            privileges: Privileges::default(),
            init: None,
            stop_signal: String::new(),
            tty: false,
            open_stdin: false,
            read_only: false,
            mounts: Vec::new(),
            stop_grace_period: STOP_GRACE_PERIOD,
            healthcheck: None,
            hosts: Vec::new(),
            dns: DnsConfig::default(),
            secrets: Vec::new(),
            configs: Vec::new(),
            isolation: Isolation::default(),
            sysctls: BTreeMap::new(),
            capability_add: Vec::new(),
            capability_drop: Vec::new(),
            ulimits: Vec::new(),
            oom_score_adj: 0,
            pull: PullOptions::default(),
        }
    }
}

impl Default for RaftConfig {
    fn default() -> Self {
        Self {
            snapshot_interval: 10_000,
            keep_old_snapshots: 0,
            log_entries_for_slow_followers: 500,
            election_tick: 10,
            heartbeat_tick: 1,
        }
    }
}

impl Default for CaConfig {
    fn default() -> Self {
        Self {
            node_cert_expiry: NODE_CERT_EXPIRY,
            external_cas: Vec::new(),
            signing_cert: String::new(),
            signing_key: crate::Sensitive::default(),
            force_rotate: 0,
        }
    }
}

impl Default for ClusterSpec {
    fn default() -> Self {
        Self {
            annotations: Annotations { name: CLUSTER_NAME.to_owned(), ..Annotations::default() },
            task_history_limit: TASK_HISTORY_LIMIT,
            raft: RaftConfig::default(),
            heartbeat_period: HEARTBEAT_PERIOD,
            ca: CaConfig::default(),
            default_log_driver: None,
            autolock: false,
        }
    }
}

//! The cluster, with its keys and without.

use swarm_types::object::cluster::{DataPathKey, RemovedNode, RootCa, RootRotation};
use swarm_types::spec::cluster::{CaConfig, ClusterSpec, ExternalCa, RaftConfig};
use swarm_types::{Cluster, Sensitive};

use crate::codec::{addrs, id, mirror, need, small};
use crate::v1;

mirror!(ClusterSpec {
    annotations: need,
    task_history_limit: same,
    raft: need,
    ca: need,
    default_log_driver: maybe,
    autolock: same,
} as { heartbeat_period_ns = heartbeat_period: span });
mirror!(RaftConfig {
    snapshot_interval: same,
    keep_old_snapshots: same,
    log_entries_for_slow_followers: same,
    election_tick: same,
    heartbeat_tick: same,
});
mirror!(CaConfig {
    external_cas: list,
    signing_cert: same,
    signing_key: need,
    force_rotate: same,
} as { node_cert_expiry_ns = node_cert_expiry: span });
mirror!(ExternalCa { protocol: same, url: same, options: same, ca_cert: same });

mirror!(Cluster {
    id: id,
    meta: need,
    spec: need,
    root_ca: need,
    epoch: same,
    level: same,
    address_pools: addrs,
    subnet_size: small,
    data_path_port: small,
    vni_base: same,
    data_path_keys: list,
    key_clock: same,
    unlock_key: need,
    removed_nodes: list,
});
mirror!(RootCa {
    cert: same,
    key: need,
    digest: same,
    worker_token: need,
    manager_token: need,
    rotation: maybe,
    last_forced_rotation: same,
});
mirror!(RootRotation { cert: same, key: need, cross_signed: same });
mirror!(DataPathKey { key: need, generation: same });
mirror!(RemovedNode { node: id } as { until_ns = until: time });

/// What users may see of the cluster.
impl From<&Cluster> for v1::ClusterView {
    fn from(it: &Cluster) -> Self {
        let ca = CaConfig { signing_key: Sensitive::default(), ..it.spec.ca.clone() };
        let spec = ClusterSpec { ca, ..it.spec.clone() };
        Self {
            id: id::enc(&it.id),
            meta: need::enc(&it.meta),
            spec: need::enc(&spec),
            root_cert: it.root_ca.cert.clone(),
            root_digest: it.root_ca.digest.clone(),
            root_rotation_in_progress: it.root_ca.rotation.is_some(),
            epoch: it.epoch,
            level: it.level,
            address_pools: addrs::enc(&it.address_pools),
            subnet_size: small::enc(&it.subnet_size),
            data_path_port: small::enc(&it.data_path_port),
        }
    }
}

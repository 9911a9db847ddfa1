//! A cluster of one with a real store in a temporary directory; of several: [`many`].

pub(crate) mod many;

use std::sync::Arc;
use std::time::{Duration, Instant};

use swarm_crypto::seal::{Key, Sealer};
use swarm_proto::v1;
use swarm_raft::{Lane, Options, Raft};
use swarm_types::object::cluster::{Cluster, RootCa};
use swarm_types::object::node::{Node, NodeDescription, NodeStatus};
use swarm_types::spec::cluster::ClusterSpec;
use swarm_types::spec::node::{NodeRole, NodeSpec};
use swarm_types::spec::service::ServiceSpec;
use swarm_types::spec::task::NetworkAttachmentConfig;
use swarm_types::{
    Change, ClusterId, Group, IdSource, LEVEL, Meta, NodeId, RequestId, Sensitive, Timestamp,
    defaults,
};
use tempfile::TempDir;

use crate::Core;

/// A store that leads, and what the servers share.
pub(crate) struct World {
    pub(crate) core: Arc<Core>,
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) ids: IdSource,
    _dir: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let (dir, mut ids) = (tempfile::tempdir().unwrap(), IdSource::seeded(1));
        let (cluster, node) = (ids.draw(), ids.draw());
        let changes = vec![
            Change::CreateCluster(Box::new(empty_cluster(cluster))),
            Change::CreateNode(Box::new(manager(node))),
        ];
        let first = Group { request: ids.draw(), expect: Vec::new(), changes };
        let options = Options::new(dir.path().join("raft"), node, "127.0.0.1:2377".to_owned());
        let sealer = Sealer::new(&Key::new([7; 32]), 1);
        let raft = Raft::bootstrap(options, sealer, first).await.unwrap();
        let core = Arc::new(Core::new(node, raft));
        Self { core, cluster, node, ids, _dir: dir }
    }

    /// Proposes one change and waits until it is applied.
    pub(crate) async fn change(&mut self, change: Change) {
        let group = Group { request: self.ids.draw(), expect: Vec::new(), changes: vec![change] };
        let deadline = Instant::now() + Duration::from_secs(20);
        self.core.raft.propose(Lane::Control, group, deadline).await.unwrap();
    }

    pub(crate) fn request(&mut self) -> RequestId {
        self.ids.draw()
    }
}

/// A service of that many replicas on the host's network.
pub(crate) fn spec(name: &str, replicas: u64) -> v1::ServiceSpec {
    let mut spec = ServiceSpec::default();
    name.clone_into(&mut spec.annotations.name);
    spec.mode = swarm_types::spec::service::ServiceMode::Replicated { replicas };
    spec.task.networks = vec![NetworkAttachmentConfig::default()];
    if let swarm_types::spec::task::TaskRuntime::Container(container) = &mut spec.task.runtime {
        "web:1".clone_into(&mut container.image);
    }
    (&spec).into()
}

pub(crate) fn manager(id: NodeId) -> Node {
    Node {
        id,
        meta: Meta::default(),
        spec: NodeSpec { role: NodeRole::Manager, ..NodeSpec::default() },
        description: NodeDescription::default(),
        status: NodeStatus::default(),
        role: NodeRole::Manager,
        key_fingerprint: vec![1; 32],
        session: None,
        attachments: Vec::new(),
    }
}

fn authority() -> RootCa {
    let root = swarm_crypto::ca::RootCa::generate(Timestamp::now()).unwrap();
    let token = || swarm_crypto::ca::JoinToken::generate(&root.digest()).unwrap().text();
    RootCa {
        cert: root.cert_pem().to_owned(),
        key: root.key_pem(),
        digest: root.digest(),
        worker_token: token(),
        manager_token: token(),
        ..RootCa::default()
    }
}

pub(crate) fn empty_cluster(id: ClusterId) -> Cluster {
    Cluster {
        id,
        meta: Meta::default(),
        spec: ClusterSpec::default(),
        root_ca: authority(),
        epoch: 1,
        level: LEVEL,
        address_pools: Vec::new(),
        subnet_size: defaults::SUBNET_SIZE,
        data_path_port: defaults::DATA_PATH_PORT,
        vni_base: 1 << 16,
        data_path_keys: Vec::new(),
        key_clock: 0,
        unlock_key: Sensitive::default(),
        removed_nodes: Vec::new(),
    }
}

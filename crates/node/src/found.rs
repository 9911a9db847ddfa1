//! Founding a cluster of one: its authority, its tokens, its first node, and the group of
//! changes that brings them into being.

use ipnetwork::{IpNetwork, Ipv4Network};
use swarm_crypto::ca::{JoinToken, NodeCertificate, NodeKey, RootCa};
use swarm_crypto::{Identity, UnlockKey};
use swarm_types::object::cluster::{Cluster, RootCa as StoredRoot};
use swarm_types::object::node::{Node, NodeDescription, NodeStatus};
use swarm_types::spec::cluster::ClusterSpec;
use swarm_types::spec::node::{Availability, NodeRole, NodeSpec};
use swarm_types::{
    Change, ClusterId, Group, IdSource, LEVEL, Meta, NodeId, Sensitive, Timestamp, defaults,
};

use crate::NodeError;

/// VXLAN identifiers start at a random multiple of this, so that two clusters on one wire
/// seldom meet; below it are those of Docker.
const VNI_STEP: u32 = 1 << 16;

/// A cluster about to be founded.
pub(crate) struct Founding {
    pub(crate) node: NodeId,
    pub(crate) cluster: ClusterId,
    pub(crate) certificate: NodeCertificate,
    pub(crate) root_pem: String,
    /// What its managers' keys are under; empty without autolock.
    pub(crate) unlock_key: Sensitive,
    /// Everything the replicated state begins with.
    pub(crate) first: Group,
}

/// Makes ids, keys, certificates and tokens for a new cluster.
pub(crate) fn found(
    availability: Availability,
    spec: ClusterSpec,
    ids: &mut IdSource,
    now: Timestamp,
) -> Result<Founding, NodeError> {
    let (node, cluster) = (ids.draw(), ids.draw());
    let root = RootCa::generate(now).map_err(NodeError::certificates)?;
    let identity = Identity { node, role: NodeRole::Manager, cluster };
    let key = NodeKey::generate().map_err(NodeError::certificates)?;
    let csr = key.csr().map_err(NodeError::certificates)?;
    let chain = root.issue(&csr, &identity, spec.ca.node_cert_expiry, now);
    let chain = chain.map_err(NodeError::certificates)?;
    let certificate = NodeCertificate::new(chain, key).map_err(NodeError::certificates)?;

    let first_node = first_node(node, availability, &certificate);
    let first_cluster = first_cluster(cluster, spec, &root, ids)?;
    let unlock_key = first_cluster.unlock_key.clone();
    let changes = vec![
        Change::CreateCluster(Box::new(first_cluster)),
        Change::CreateNode(Box::new(first_node)),
    ];
    Ok(Founding {
        node,
        cluster,
        certificate,
        root_pem: root.cert_pem().to_owned(),
        unlock_key,
        first: Group { request: ids.draw(), expect: Vec::new(), changes },
    })
}

fn first_cluster(
    id: ClusterId,
    spec: ClusterSpec,
    root: &RootCa,
    ids: &mut IdSource,
) -> Result<Cluster, NodeError> {
    let unlock_key = match spec.autolock {
        true => UnlockKey::generate().text(),
        false => Sensitive::default(),
    };
    let digest = root.digest();
    let token = || JoinToken::generate(&digest).map(|token| token.text());
    Ok(Cluster {
        id,
        meta: Meta::default(),
        spec,
        root_ca: StoredRoot {
            cert: root.cert_pem().to_owned(),
            key: root.key_pem(),
            worker_token: token().map_err(NodeError::certificates)?,
            manager_token: token().map_err(NodeError::certificates)?,
            digest,
            ..StoredRoot::default()
        },
        epoch: 1,
        level: LEVEL,
        address_pools: vec![default_pool()],
        subnet_size: defaults::SUBNET_SIZE,
        data_path_port: defaults::DATA_PATH_PORT,
        vni_base: VNI_STEP * ids.between(1, 255),
        data_path_keys: Vec::new(),
        key_clock: 0,
        unlock_key,
        removed_nodes: Vec::new(),
    })
}

/// 10.0.0.0/8, as Docker.
fn default_pool() -> IpNetwork {
    Ipv4Network::new_checked([10, 0, 0, 0].into(), 8)
        .map_or_else(|| IpNetwork::from(std::net::IpAddr::from([10, 0, 0, 0])), IpNetwork::V4)
}

fn first_node(id: NodeId, availability: Availability, certificate: &NodeCertificate) -> Node {
    Node {
        id,
        meta: Meta::default(),
        spec: NodeSpec { role: NodeRole::Manager, availability, ..NodeSpec::default() },
        description: NodeDescription::default(),
        status: NodeStatus::default(),
        role: NodeRole::Manager,
        key_fingerprint: certificate.key.fingerprint().0.to_vec(),
        session: None,
        attachments: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_group_holds_a_cluster_and_its_manager() {
        let (active, spec) = (Availability::Active, ClusterSpec::default());
        let founding = found(active, spec, &mut IdSource::seeded(1), Timestamp::now());

        let founding = founding.unwrap();
        let [Change::CreateCluster(cluster), Change::CreateNode(node)] =
            founding.first.changes.as_slice()
        else {
            panic!("unexpected changes");
        };
        assert_eq!((cluster.id, node.id), (founding.cluster, founding.node));
        assert_eq!(cluster.root_ca.cert, founding.root_pem);
        assert_ne!(cluster.root_ca.worker_token, cluster.root_ca.manager_token);
        assert!(cluster.vni_base > 65_535 && cluster.vni_base < (1 << 24));
        let identity = founding.certificate.certificate.identity;
        assert_eq!((identity.node, identity.role), (node.id, NodeRole::Manager));
    }
}

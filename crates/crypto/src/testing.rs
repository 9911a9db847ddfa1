//! A cluster for tests: a root and the nodes under it.

use std::time::Duration;

use swarm_types::spec::node::NodeRole;
use swarm_types::{IdSource, Timestamp};

use crate::Identity;
use crate::ca::{NodeCertificate, NodeKey, RootCa};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// A node of the cluster made from `cluster`; the same seeds make the same ids.
pub(crate) fn identity(cluster: u64, node: u64, role: NodeRole) -> Identity {
    let (cluster, node) = (IdSource::seeded(cluster).draw(), IdSource::seeded(node).draw());
    Identity { node, role, cluster }
}

pub(crate) fn root() -> RootCa {
    RootCa::generate(Timestamp::now()).unwrap()
}

/// A node with a certificate signed at `now` for one day.
pub(crate) fn issued_at(root: &RootCa, identity: &Identity, now: Timestamp) -> NodeCertificate {
    let key = NodeKey::generate().unwrap();
    let chain = root.issue(&key.csr().unwrap(), identity, DAY, now).unwrap();
    NodeCertificate::new(chain, key).unwrap()
}

/// A node with a certificate signed now for one day.
pub(crate) fn issued(root: &RootCa, identity: &Identity) -> NodeCertificate {
    issued_at(root, identity, Timestamp::now())
}

//! Who may call what. Checked per request, so that a demotion or a removal bites connections
//! that are already open.

use std::net::IpAddr;
use std::sync::Arc;

use swarm_crypto::{Certificate, Identity};
use swarm_raft::WatchError;
use swarm_state::Snapshot;
use swarm_types::spec::node::NodeRole;
use swarm_types::{NodeId, Timestamp};
use tonic::metadata::MetadataValue;
use tonic::{Request, Status};

use crate::Core;

/// Trailer that tells a node for certain that it was removed and never comes back. Without it, a
/// replica may only not know the node yet.
pub(crate) const REMOVED: &str = "swarm-removed";

/// What a caller is told whose role bites.
pub(crate) const NO_MANAGER: &str = "the caller is no manager of the cluster any more";

/// How callers of a server prove who they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// They could open the node's socket.
    Local,
    /// By their certificate.
    Certificate,
}

/// Who calls, for the audit log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Caller {
    /// A user of the node's socket.
    Local,
    /// A node of the cluster.
    Node(NodeId),
    /// Somebody without a certificate, at that address.
    Stranger(IpAddr),
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local => f.write_str("local socket"),
            Self::Node(id) => write!(f, "node {id}"),
            Self::Stranger(addr) => write!(f, "stranger at {addr}"),
        }
    }
}

/// Admits users: through the socket, or as a manager.
pub(crate) fn user<T>(
    access: Access,
    request: &Request<T>,
    snapshot: &Snapshot,
) -> Result<Caller, Status> {
    match access {
        Access::Local => Ok(Caller::Local),
        Access::Certificate => {
            let (node, role) = member(request, snapshot)?;
            if role < NodeRole::Manager {
                return Err(Status::permission_denied(format!(
                    "node {node} is a worker: the control API is for managers"
                )));
            }
            Ok(Caller::Node(node))
        }
    }
}

/// True while a user who was admitted still would be: for streams that outlive their call.
pub(crate) fn remains(caller: Caller, snapshot: &Snapshot) -> bool {
    match caller {
        Caller::Local => true,
        Caller::Stranger(_) => false,
        Caller::Node(node) => {
            snapshot.node(&node).is_some_and(|node| node.role == NodeRole::Manager)
        }
    }
}

/// Resolves when a caller who was admitted would not be any more, with the refusal.
pub(crate) async fn dismissed(core: Arc<Core>, caller: Caller) -> Status {
    loop {
        let (_, mut watch) = core.raft.watch();
        while remains(caller, &core.raft.snapshot()) {
            match watch.next().await {
                Ok(_) => {}
                Err(WatchError::Lagged) => break,
                Err(stopped @ WatchError::Stopped(_)) => {
                    return Status::unavailable(stopped.to_string());
                }
            }
        }
        if !remains(caller, &core.raft.snapshot()) {
            return Status::permission_denied(NO_MANAGER);
        }
    }
}

/// Admits nodes of the cluster, whatever their role.
pub(crate) fn node<T>(request: &Request<T>, snapshot: &Snapshot) -> Result<NodeId, Status> {
    member(request, snapshot).map(|(node, _)| node)
}

/// How new a replica is known to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Freshness {
    /// A leader with a quorum vouched for it a moment ago.
    Fresh,
    /// The cluster may have gone on without it.
    Unknown,
}

/// Admits managers to what managers ask each other.
///
/// A replica that holds nothing yet, or that may be behind, has to hear a leader it does not know
/// as a manager: there the certificate is enough. A removed node is refused by all.
pub(crate) fn manager<T>(
    request: &Request<T>,
    snapshot: &Snapshot,
    replica: Freshness,
) -> Result<NodeId, Status> {
    let identity = shown(request)?.identity;
    let is_worker = |node| Status::permission_denied(format!("node {node} is no manager"));
    if identity.role < NodeRole::Manager {
        return Err(is_worker(identity.node));
    }
    // The handshake let in nobody of another cluster.
    let Some(cluster) = snapshot.cluster() else { return Ok(identity.node) };
    let is_removed = cluster.removed_nodes.iter().any(|it| it.node == identity.node);
    if snapshot.node(&identity.node).is_none() && !is_removed && cluster.id == identity.cluster {
        return Ok(identity.node);
    }
    let (node, role) = judge(identity, snapshot)?;
    if role < NodeRole::Manager && replica == Freshness::Fresh {
        return Err(is_worker(node));
    }
    Ok(node)
}

/// The calling node and what it shows.
pub(crate) fn certified<T>(
    request: &Request<T>,
    snapshot: &Snapshot,
) -> Result<(NodeId, Certificate), Status> {
    let certificate = shown(request)?;
    judge(certificate.identity, snapshot).map(|(node, _)| (node, certificate))
}

/// The calling node and the lower of the roles that its certificate and the cluster give it.
fn member<T>(request: &Request<T>, snapshot: &Snapshot) -> Result<(NodeId, NodeRole), Status> {
    judge(shown(request)?.identity, snapshot)
}

fn shown<T>(request: &Request<T>) -> Result<Certificate, Status> {
    let peer = swarm_crypto::tls::peer(request.extensions());
    let certificate = peer
        .and_then(|peer| peer.certificate)
        .ok_or_else(|| Status::unauthenticated("a certificate of this cluster is required"))?;
    // The handshake checked it, but a connection may live longer than a certificate.
    if certificate.not_after < Timestamp::now() {
        return Err(Status::unauthenticated("the certificate has expired: renew it"));
    }
    Ok(certificate)
}

/// The node of a certificate and the lower of the roles that this and the cluster give it.
pub(crate) fn judge(identity: Identity, snapshot: &Snapshot) -> Result<(NodeId, NodeRole), Status> {
    let cluster = snapshot.cluster().filter(|cluster| cluster.id == identity.cluster);
    let Some(cluster) = cluster else {
        return Err(Status::permission_denied(format!(
            "the certificate is of cluster {}, not of this one",
            identity.cluster
        )));
    };
    let Some(node) = snapshot.node(&identity.node) else {
        let mut refusal = Status::permission_denied(format!(
            "node {} is not part of the cluster: it was removed, join it again",
            identity.node
        ));
        if cluster.removed_nodes.iter().any(|removed| removed.node == identity.node) {
            refusal.metadata_mut().insert(REMOVED, MetadataValue::from_static("1"));
        }
        return Err(refusal);
    };
    Ok((identity.node, identity.role.min(node.role)))
}

#[cfg(test)]
mod tests {
    use swarm_crypto::ca::Fingerprint;
    use swarm_crypto::tls::Peer;
    use swarm_types::{Change, Timestamp};
    use tonic::Code;

    use super::*;
    use crate::testing::World;

    /// A request by whoever has that certificate.
    fn by(identity: Identity) -> Request<()> {
        let not_before = Timestamp::now();
        let not_after = not_before.after(std::time::Duration::from_secs(3600));
        let fingerprint = Fingerprint([0; 32]);
        let certificate = Some(Certificate { identity, fingerprint, not_before, not_after });
        let mut request = Request::new(());
        request.extensions_mut().insert(Peer { addr: ([127, 0, 0, 1], 1).into(), certificate });
        request
    }

    #[tokio::test]
    async fn the_lower_role_counts_and_strangers_are_turned_away() {
        let mut world = World::new().await;
        let (node, cluster) = (world.node, world.cluster);
        let as_manager = Identity { node, role: NodeRole::Manager, cluster };
        let as_worker = Identity { role: NodeRole::Worker, ..as_manager };
        let removed = Identity { node: world.ids.draw(), ..as_manager };
        let foreign = Identity { cluster: world.ids.draw(), ..as_manager };
        let mut worker = crate::testing::manager(world.ids.draw());
        (worker.role, worker.spec.role) = (NodeRole::Worker, NodeRole::Worker);
        let demoted = Identity { node: worker.id, ..as_manager };
        world.change(Change::CreateNode(Box::new(worker))).await;
        let snapshot = world.core.raft.snapshot();

        let role = |identity| judge(identity, &snapshot).map(|(_, role)| role);

        assert_eq!(role(as_manager).unwrap(), NodeRole::Manager);
        assert_eq!(role(as_worker).unwrap(), NodeRole::Worker);
        assert_eq!(role(demoted).unwrap(), NodeRole::Worker);
        assert_eq!(role(removed).unwrap_err().code(), Code::PermissionDenied);
        assert_eq!(role(foreign).unwrap_err().code(), Code::PermissionDenied);
    }

    #[tokio::test]
    async fn a_replica_that_may_be_behind_hears_managers_it_does_not_know_and_nobody_else() {
        let mut world = World::new().await;
        let [demoted, removed] = [world.ids.draw(), world.ids.draw()];
        for id in [demoted, removed] {
            let mut worker = crate::testing::manager(id);
            (worker.role, worker.spec.role) = (NodeRole::Worker, NodeRole::Worker);
            world.change(Change::CreateNode(Box::new(worker))).await;
        }
        let refuse_until = Timestamp::now();
        world.change(Change::RemoveNode { node: removed, refuse_until }).await;
        let (cluster, newcomer) = (world.cluster, world.ids.draw());
        let of = |node, role| Identity { node, role, cluster };
        let foreign = Identity { cluster: world.ids.draw(), ..of(newcomer, NodeRole::Manager) };
        let snapshot = world.core.raft.snapshot();
        let heard = |identity, replica| manager(&by(identity), &snapshot, replica).is_ok();

        for (who, identity, unknown, fresh) in [
            ("a manager", of(world.node, NodeRole::Manager), true, true),
            ("an unknown manager", of(newcomer, NodeRole::Manager), true, true),
            ("an unknown worker", of(newcomer, NodeRole::Worker), false, false),
            ("one that was or is to be demoted", of(demoted, NodeRole::Manager), true, false),
            ("one that was removed", of(removed, NodeRole::Manager), false, false),
            ("another cluster's", foreign, false, false),
        ] {
            assert_eq!(heard(identity, Freshness::Unknown), unknown, "{who}, by one behind");
            assert_eq!(heard(identity, Freshness::Fresh), fresh, "{who}");
        }
        // Whoever is told so ends its tasks for good.
        let told_removed = |node| {
            let refused = judge(of(node, NodeRole::Worker), &snapshot).unwrap_err();
            refused.metadata().contains_key(REMOVED)
        };
        assert_eq!([removed, newcomer].map(told_removed), [true, false]);
    }
}

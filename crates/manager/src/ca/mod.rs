//! `Ca`: lets nodes in and renews their certificates, with the authority's key from this
//! manager's own replica.
//!
//! What a certificate says comes from the cluster's Node object, never from a request. A stranger
//! proves that it may come in by a token, and who it is by its key: only the key of a node is ever
//! signed for it. That makes all calls safe to repeat.

mod expired;
mod join;

use std::net::SocketAddr;
use std::sync::Arc;

use swarm_crypto::Identity;
use swarm_crypto::ca::{CaError, Challenges, RootCa, requested_key};
use swarm_proto::v1;
use swarm_state::Snapshot;
use swarm_types::{Cluster, Node, NodeId, Timestamp};
use tonic::{Request, Response, Status};

use crate::Core;
use crate::access::{self, Caller};
use crate::audit::Audit;

/// The authority as one manager serves it.
#[derive(Debug)]
pub(crate) struct Ca {
    core: Arc<Core>,
    challenges: Challenges,
}

impl Ca {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, challenges: Challenges::generate() }
    }

    /// Signs the key that is known to be the calling node's.
    fn renew(
        &self,
        request: &Request<v1::RenewNodeCertificateRequest>,
    ) -> Result<v1::RenewNodeCertificateResponse, Status> {
        let snapshot = self.core.raft.snapshot();
        let (node, shown) = access::certified(request, &snapshot)?;
        // It would also renew what was removed a moment ago.
        self.core.require_fit()?;
        let csr = &request.get_ref().csr;
        if requested_key(csr).map_err(|error| unsigned(&error))? != shown.fingerprint {
            return Err(Status::permission_denied(
                "the request is by another key than the certificate",
            ));
        }
        let missing = || Status::permission_denied(format!("node {node} was removed"));
        let cluster = snapshot.cluster().ok_or_else(missing)?;
        let node = snapshot.node(&node).ok_or_else(missing)?;
        let chain = sign(cluster, node, csr)?;
        let (root, epoch) = (cluster.root_ca.cert.clone(), cluster.epoch);
        Ok(v1::RenewNodeCertificateResponse { chain, root, epoch })
    }
}

#[tonic::async_trait]
impl v1::ca_server::Ca for Ca {
    async fn issue_node_certificate(
        &self,
        request: Request<v1::IssueNodeCertificateRequest>,
    ) -> Result<Response<v1::IssueNodeCertificateResponse>, Status> {
        let caller = peer(&request).map(|peer| Caller::Stranger(peer.ip()));
        let request = request.into_inner();
        let key = requested_key(&request.csr).map_err(|error| unsigned(&error));
        let audit = Audit::new("IssueNodeCertificate", &caller, &key, &Ok("new node"));
        audit
            .end(async {
                caller?;
                self.join(key?, request).await
            })
            .await
    }

    async fn renew_node_certificate(
        &self,
        request: Request<v1::RenewNodeCertificateRequest>,
    ) -> Result<Response<v1::RenewNodeCertificateResponse>, Status> {
        self.renew(&request).map(Response::new)
    }

    async fn challenge(
        &self,
        request: Request<v1::ChallengeRequest>,
    ) -> Result<Response<v1::ChallengeResponse>, Status> {
        let word = self.word(peer(&request)?);
        Ok(Response::new(v1::ChallengeResponse { word }))
    }

    async fn renew_expired(
        &self,
        request: Request<v1::RenewExpiredRequest>,
    ) -> Result<Response<v1::RenewNodeCertificateResponse>, Status> {
        Self::renew_expired(self, peer(&request)?, request.get_ref()).map(Response::new)
    }
}

/// The connection that a request of anybody came by.
fn peer<T>(request: &Request<T>) -> Result<SocketAddr, Status> {
    let peer = swarm_crypto::tls::peer(request.extensions());
    peer.map(|peer| peer.addr).ok_or_else(|| Status::unauthenticated("who calls is not known"))
}

/// A chain for this manager's own node.
pub(crate) fn renew_own(snapshot: &Snapshot, own: NodeId, csr: &[u8]) -> Result<String, Status> {
    let missing = || Status::failed_precondition("this manager's replica does not know its node");
    let cluster = snapshot.cluster().ok_or_else(missing)?;
    let node = snapshot.node(&own).ok_or_else(missing)?;
    sign(cluster, node, csr)
}

/// A chain for the node, with the role it has now.
fn sign(cluster: &Cluster, node: &Node, csr: &[u8]) -> Result<String, Status> {
    let authority = &cluster.root_ca;
    let root =
        RootCa::from_pem(&authority.cert, &authority.key).map_err(|error| unsigned(&error))?;
    let identity = Identity { node: node.id, role: node.role, cluster: cluster.id };
    let life = cluster.spec.ca.node_cert_expiry;
    root.issue(csr, &identity, life, Timestamp::now()).map_err(|error| unsigned(&error))
}

fn unsigned(error: &CaError) -> Status {
    match error {
        CaError::BadRequest(_) => Status::invalid_argument(error.to_string()),
        CaError::BadRoot(_) | CaError::BadKey | CaError::Mismatch | CaError::Sign(_) => {
            Status::internal(error.to_string())
        }
    }
}

#[cfg(test)]
mod tests;

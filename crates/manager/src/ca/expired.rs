//! `RenewExpired`: a node that was off for longer than its certificate lived gets the next one.
//!
//! The certificate it shows says who it was, its signature over a word of ours that it has the key
//! now, and the state whether that is still a node's. All of that is in the request and the
//! replica: nothing is kept here.

use std::net::SocketAddr;
use std::time::Duration;

use swarm_crypto::Certificate;
use swarm_crypto::ca::{requested_key, requested_name};
use swarm_crypto::tls::once_valid;
use swarm_proto::v1;
use swarm_types::{Cluster, Timestamp};
use tonic::Status;

use super::{Ca, sign, unsigned};
use crate::access;
use crate::clock::boot_time;

/// How long a certificate can be renewed after it has expired.
const RENEWABLE: Duration = Duration::from_secs(30 * 24 * 3600);

impl Ca {
    pub(super) fn word(&self, peer: SocketAddr) -> String {
        self.challenges.word(peer, boot_time())
    }

    pub(super) fn renew_expired(
        &self,
        peer: SocketAddr,
        request: &v1::RenewExpiredRequest,
    ) -> Result<v1::RenewNodeCertificateResponse, Status> {
        // It would also renew what was removed a moment ago.
        self.core.require_fit()?;
        let word = requested_name(&request.csr).map_err(|error| unsigned(&error))?;
        if !self.challenges.is_good(&word.unwrap_or_default(), peer, boot_time()) {
            return Err(Status::failed_precondition(
                "the request does not bear a word that was given on this connection a moment ago",
            ));
        }
        let snapshot = self.core.raft.snapshot();
        let cluster = snapshot.cluster();
        let cluster = cluster.ok_or_else(|| Status::unavailable("there is no cluster yet"))?;
        let shown = shown(cluster, request)?;
        let (id, _) = access::judge(shown.identity, &snapshot)?;
        let node = snapshot.node(&id).filter(|node| node.key_fingerprint == shown.fingerprint.0);
        let other = || Status::permission_denied(format!("the key is not that of node {id}"));
        let node = node.ok_or_else(other)?;
        let chain = sign(cluster, node, &request.csr)?;
        tracing::info!(node = %id, %peer, "a node whose certificate had expired gets the next one");
        let (root, epoch) = (cluster.root_ca.cert.clone(), cluster.epoch);
        Ok(v1::RenewNodeCertificateResponse { chain, root, epoch })
    }
}

/// The certificate that is shown, by whoever has its key.
fn shown(cluster: &Cluster, request: &v1::RenewExpiredRequest) -> Result<Certificate, Status> {
    let shown = once_valid(&request.chain, &cluster.root_ca.cert, cluster.id);
    let shown = shown.map_err(|_| {
        Status::permission_denied("the certificate is not one of a node of this cluster")
    })?;
    if requested_key(&request.csr).map_err(|error| unsigned(&error))? != shown.fingerprint {
        return Err(Status::permission_denied(
            "the request is by another key than the certificate",
        ));
    }
    if shown.not_after.after(RENEWABLE) < Timestamp::now() {
        let days = RENEWABLE.as_secs() / (24 * 3600);
        return Err(Status::permission_denied(format!(
            "the certificate expired more than {days} days ago: run `swarm leave`, then join again"
        )));
    }
    Ok(shown)
}

//! Renews a certificate that has expired, by any manager that answers.
//!
//! The handshake takes it no more, so the node calls as a stranger who knows the cluster: it sends
//! the certificate beside a request that its key signed over a word of the manager's. Managers ask
//! their own store instead ([`crate::renewal`]).

use swarm_crypto::ca::{CertificateFiles, NodeCertificate};
use swarm_crypto::tls::{self, Credentials};
use swarm_proto::v1;
use swarm_proto::v1::ca_client::CaClient;
use tokio::time::timeout;
use tonic::Status;

use crate::local;
use crate::renewal::{ANSWER, own, root, take};

/// Has the key signed again by one of those managers, keeps the certificate, and shows it from now
/// on.
pub(crate) async fn renew_by(
    managers: &[String],
    files: &CertificateFiles,
    credentials: &Credentials,
) -> Result<(), String> {
    let own = own(files)?;
    let cluster = own.certificate.identity.cluster;
    let stranger = Credentials::anonymous(cluster, &root(files)?);
    let stranger = stranger.map_err(|error| local::with_causes(&error))?;
    let mut last = "no manager is known".to_owned();
    for manager in managers {
        match timeout(ANSWER, ask(manager, &stranger, &own)).await {
            Ok(Ok(chain)) => {
                take(files, credentials, own, chain)?;
                tracing::info!(manager, "the node's certificate had expired, and was renewed");
                return Ok(());
            }
            Ok(Err(refusal)) => last = format!("{manager}: {}", local::said(&refusal)),
            Err(_) => last = format!("{manager}: no answer in time"),
        }
    }
    Err(last)
}

async fn ask(
    manager: &str,
    stranger: &Credentials,
    own: &NodeCertificate,
) -> Result<String, Status> {
    let channel = tls::channel(manager, stranger);
    let channel = channel.map_err(|error| Status::invalid_argument(error.to_string()))?;
    let mut ca = CaClient::new(channel);
    let word = ca.challenge(v1::ChallengeRequest {}).await?.into_inner().word;
    let csr = own.key.csr_with(&word).map_err(|error| Status::internal(error.to_string()))?;
    let request = v1::RenewExpiredRequest { chain: own.chain.clone(), csr };
    Ok(ca.renew_expired(request).await?.into_inner().chain)
}

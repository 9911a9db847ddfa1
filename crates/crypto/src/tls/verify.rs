//! Decides whom to speak to.
//!
//! Both verifiers let rustls check chain, dates and signatures first, then read the leaf as
//! strictly as [`Certificate`] does: a certificate of another cluster, or one that names no node,
//! is refused in the handshake. Roles beyond "is a manager" are for each RPC to look at.

use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use swarm_types::ClusterId;
use swarm_types::spec::node::NodeRole;

use crate::ca::{Certificate, MANAGER_NAME};

/// Why a certificate with a good chain is refused all the same.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Invalid(#[from] crate::ca::InvalidCertificate),
    #[error("the certificate is of another cluster")]
    OtherCluster,
    #[error("the certificate is not a manager's")]
    NotAManager,
    #[error("the server shows no root with the digest of the join token")]
    OtherRoot,
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refused))))
    }
}

/// Brings our own words forward where rustls would show a refusal in debug form.
pub(super) fn plain(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(Error::InvalidCertificate(CertificateError::Other(OtherError(why)))) => {
            io::Error::new(error.kind(), why.to_string())
        }
        _ => error,
    }
}

fn of_cluster(
    certificate: &CertificateDer<'_>,
    cluster: ClusterId,
) -> Result<Certificate, Refused> {
    let read = Certificate::from_der(certificate)?;
    if read.identity.cluster == cluster { Ok(read) } else { Err(Refused::OtherCluster) }
}

/// Accepts managers.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
enum Trust {
    /// Of this cluster, under these roots.
    Cluster(Arc<WebPkiServerVerifier>, ClusterId),
    /// Of whatever cluster, under the root with this digest, which the server has to show.
    Digest(String),
}

impl ServerVerifier {
    /// `None` when the roots cannot be used.
    pub(super) fn of_cluster(
        provider: Arc<CryptoProvider>,
        roots: Arc<RootCertStore>,
        cluster: ClusterId,
    ) -> Option<Self> {
        let chain = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
        Some(Self { trust: Trust::Cluster(chain.build().ok()?, cluster), provider })
    }

    pub(super) fn of_digest(provider: Arc<CryptoProvider>, digest: &str) -> Self {
        Self { trust: Trust::Digest(digest.to_owned()), provider }
    }

    /// The verifier under the one root among those shown that has the digest.
    fn shown_root(
        &self,
        shown: &[CertificateDer<'_>],
        digest: &str,
    ) -> Result<Arc<WebPkiServerVerifier>, Error> {
        let root = shown.iter().find(|root| crate::ca::digest_of_der(root) == digest);
        let mut roots = RootCertStore::empty();
        roots.add(root.ok_or(Refused::OtherRoot)?.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|_| Refused::OtherRoot.into())
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // Managers are known by role and cluster, not by the address they were reached at.
        let manager = ServerName::try_from(MANAGER_NAME)
            .map_err(|_| Error::General("the managers' name is not a name".to_owned()))?;
        let (chain, read) = match &self.trust {
            Trust::Cluster(chain, cluster) => (chain.clone(), of_cluster(end_entity, *cluster)),
            Trust::Digest(digest) => {
                let chain = self.shown_root(intermediates, digest)?;
                (chain, Certificate::from_der(end_entity).map_err(Refused::from))
            }
        };
        chain.verify_server_cert(end_entity, intermediates, &manager, ocsp_response, now)?;
        match read?.identity.role {
            NodeRole::Manager => Ok(ServerCertVerified::assertion()),
            NodeRole::Worker => Err(Refused::NotAManager.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Accepts nodes of one cluster, and clients that show no certificate.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    cluster: ClusterId,
}

impl ClientVerifier {
    /// `None` when the roots cannot be used.
    pub(super) fn new(
        provider: Arc<CryptoProvider>,
        roots: Arc<RootCertStore>,
        cluster: ClusterId,
    ) -> Option<Self> {
        let chain = WebPkiClientVerifier::builder_with_provider(roots, provider);
        Some(Self { chain: chain.allow_unauthenticated().build().ok()?, cluster })
    }

    /// Whether a node's own chain leads to the roots it trusts; whether it has expired does not
    /// matter here.
    pub(super) fn check_own(
        &self,
        chain: &[CertificateDer<'_>],
        leaf: &Certificate,
    ) -> Result<(), Error> {
        let (own, intermediates) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        let seconds = u64::try_from(leaf.not_before.0 / 1_000_000_000).unwrap_or_default();
        let then = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        self.verify_client_cert(own, intermediates, then).map(drop)
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        of_cluster(end_entity, self.cluster)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

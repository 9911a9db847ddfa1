//! What a node shows to others and trusts in them, replaceable at any moment.
//!
//! A replacement is seen by every connection made after it. There is no session resumption: it
//! would let a peer in on the strength of a certificate that is no longer trusted.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, ClientConfig, Error, RootCertStore, ServerConfig};
use swarm_types::ClusterId;

use super::verify::{ClientVerifier, ServerVerifier};
use crate::ca::{Certificate, JoinToken, NodeCertificate, from_pem};

const HTTP2: &[u8] = b"h2";

/// Why certificate, key and root make no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The root is not PEM with at least one certificate that can be trusted.
    #[error("the root certificate cannot be used")]
    BadRoot,
    /// The node's certificate or key is refused, or is not under the root.
    #[error("the node's certificate cannot be used")]
    BadCertificate(#[source] rustls::Error),
}

/// Hot-swappable credentials; clones share them.
#[derive(Clone)]
pub struct Credentials(Arc<ArcSwap<Current>>);

struct Current {
    certificate: Option<Certificate>,
    client: Arc<ClientConfig>,
    server: Option<Arc<ServerConfig>>,
}

impl Credentials {
    /// Credentials of a node: shows its certificate, trusts nodes of its cluster under `root_pem`.
    ///
    /// # Errors
    ///
    /// [`CredentialsError`].
    pub fn node(node: &NodeCertificate, root_pem: &str) -> Result<Self, CredentialsError> {
        Current::node(node, root_pem).map(Self::of)
    }

    /// Credentials of a stranger who knows the cluster: trusts its managers, shows nothing.
    /// For a node whose certificate has expired.
    ///
    /// # Errors
    ///
    /// [`CredentialsError::BadRoot`].
    pub fn anonymous(cluster: ClusterId, root_pem: &str) -> Result<Self, CredentialsError> {
        let verifier = ServerVerifier::of_cluster(provider(), roots(root_pem)?.1, cluster);
        Current::anonymous(verifier.ok_or(CredentialsError::BadRoot)?).map(Self::of)
    }

    /// Credentials of a joiner: trusts managers under the root the token names, shows nothing.
    ///
    /// # Errors
    ///
    /// [`CredentialsError::BadCertificate`] when TLS cannot be set up at all.
    pub fn joining(token: &JoinToken) -> Result<Self, CredentialsError> {
        Current::anonymous(ServerVerifier::of_digest(provider(), token.digest())).map(Self::of)
    }

    /// Replaces the credentials for all connections made from now on.
    ///
    /// # Errors
    ///
    /// [`CredentialsError`]; the credentials before stay in place.
    pub fn replace(&self, node: &NodeCertificate, root_pem: &str) -> Result<(), CredentialsError> {
        self.0.store(Arc::new(Current::node(node, root_pem)?));
        Ok(())
    }

    /// The certificate that is shown; `None` for a stranger.
    #[must_use]
    pub fn certificate(&self) -> Option<Certificate> {
        self.0.load().certificate
    }

    pub(super) fn client(&self) -> Arc<ClientConfig> {
        self.0.load().client.clone()
    }

    /// `None` for a stranger: it has nothing to show to clients.
    pub(super) fn server(&self) -> Option<Arc<ServerConfig>> {
        self.0.load().server.clone()
    }

    fn of(current: Current) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(current)))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("certificate", &self.certificate()).finish()
    }
}

impl Current {
    fn anonymous(verifier: ServerVerifier) -> Result<Self, CredentialsError> {
        let mut client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(CredentialsError::BadCertificate)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        restrict(&mut client);
        Ok(Self { certificate: None, client: Arc::new(client), server: None })
    }

    fn node(node: &NodeCertificate, root_pem: &str) -> Result<Self, CredentialsError> {
        use CredentialsError::{BadCertificate, BadRoot};

        let (root_chain, roots) = roots(root_pem)?;
        let cluster = node.certificate.identity.cluster;
        let managers = ServerVerifier::of_cluster(provider(), roots.clone(), cluster);
        let nodes = ClientVerifier::new(provider(), roots, cluster).ok_or(BadRoot)?;
        let chain = certificates(&node.chain);
        nodes.check_own(&chain, &node.certificate).map_err(BadCertificate)?;
        // Lent, so that no copy of the key is left behind unwiped.
        let key = PrivateKeyDer::Pkcs8(node.key.pair().serialized_der().into());
        let key = ring::sign::any_ecdsa_type(&key).map_err(BadCertificate)?;
        let shown = |chain| Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key.clone())));

        let mut client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(BadCertificate)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(managers.ok_or(BadRoot)?))
            .with_client_cert_resolver(shown(chain.clone()));
        restrict(&mut client);

        // The root is shown as well, so that a joiner can hold it against its token.
        let with_root = chain.into_iter().chain(root_chain).collect();
        let mut server = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(BadCertificate)?
            .with_client_cert_verifier(Arc::new(nodes))
            .with_cert_resolver(shown(with_root));
        server.alpn_protocols = vec![HTTP2.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;

        let certificate = Some(node.certificate);
        Ok(Self { certificate, client: Arc::new(client), server: Some(Arc::new(server)) })
    }
}

/// The certificate that a chain begins with, when it was of a node of that cluster under that root
/// on the day it was signed. Says nothing of whether it has expired, nor that whoever shows it has
/// its key.
///
/// # Errors
///
/// [`CredentialsError`].
pub fn once_valid(
    chain_pem: &str,
    root_pem: &str,
    cluster: ClusterId,
) -> Result<Certificate, CredentialsError> {
    use CredentialsError::{BadCertificate, BadRoot};

    let chain = certificates(chain_pem);
    let leaf = chain.first().ok_or(BadCertificate(Error::NoCertificatesPresented))?;
    let unreadable = |_| BadCertificate(Error::InvalidCertificate(CertificateError::BadEncoding));
    let leaf = Certificate::from_der(leaf).map_err(unreadable)?;
    let nodes = ClientVerifier::new(provider(), roots(root_pem)?.1, cluster).ok_or(BadRoot)?;
    nodes.check_own(&chain, &leaf).map_err(BadCertificate)?;
    Ok(leaf)
}

fn restrict(client: &mut ClientConfig) {
    client.alpn_protocols = vec![HTTP2.to_vec()];
    client.resumption = Resumption::disabled();
}

/// Passed explicitly everywhere: a process-wide default could be another one.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    from_pem(pem).unwrap_or_default().into_iter().map(CertificateDer::from).collect()
}

type Roots = (Vec<CertificateDer<'static>>, Arc<RootCertStore>);

fn roots(pem: &str) -> Result<Roots, CredentialsError> {
    let certificates = certificates(pem);
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots.add(certificate.clone()).map_err(|_| CredentialsError::BadRoot)?;
    }
    if roots.is_empty() {
        return Err(CredentialsError::BadRoot);
    }
    Ok((certificates, Arc::new(roots)))
}

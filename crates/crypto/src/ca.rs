//! The cluster's certificate authority and what it gives to nodes.
//!
//! [`RootCa`] signs; [`NodeKey`] is what a node keeps to itself and proves with a request;
//! [`Certificate`] is the only reading of a certificate, strict, for both sides of a connection;
//! [`JoinToken`] lets a stranger know the cluster and the cluster let it in;
//! [`CertificateFiles`] keeps a node's own on disk. Subject and names of a certificate come from
//! the authority's side only, never from a request.

mod certificate;
mod challenge;
mod joining;
mod node_key;
mod root;
mod store;
mod token;

pub(crate) use certificate::MANAGER_NAME;
pub use certificate::{Certificate, Identity, InvalidCertificate};
pub use challenge::Challenges;
pub use joining::{forget_joining_key, joining_key};
pub use node_key::{Fingerprint, NodeKey};
pub(crate) use root::digest_of_der;
pub use root::{CaError, RootCa, digest_of, requested_key, requested_name};
pub use store::{CertificateFiles, FilesError, NodeCertificate};
pub use token::{InvalidToken, JoinToken};

/// The one PEM form of a certificate; the root's digest is taken over it.
pub(crate) fn to_pem(der: &[u8]) -> String {
    let pem = pem::Pem::new("CERTIFICATE", der);
    pem::encode_config(&pem, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
}

/// The certificates of a PEM text, in order; `None` when anything else is in it.
pub(crate) fn from_pem(text: &str) -> Option<Vec<Vec<u8>>> {
    let parts = pem::parse_many(text).ok()?;
    let certificates =
        parts.into_iter().map(|part| (part.tag() == "CERTIFICATE").then(|| part.into_contents()));
    certificates.collect()
}

#[cfg(test)]
mod tests;

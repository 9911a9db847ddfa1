//! Reads a certificate of the cluster, and says which names it must carry.
//!
//! Strict: a subject with two common names, or a role nobody knows, is no identity at all. Whether
//! the certificate is signed by the right root is checked by [`crate::tls`] before this matters.

use swarm_types::spec::node::NodeRole;
use swarm_types::{ClusterId, NodeId, Timestamp};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::x509::AttributeTypeAndValue;

use super::Fingerprint;

/// Who a certificate says its holder is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    /// The node: the subject's common name.
    pub node: NodeId,
    /// Its role when the certificate was signed: the organizational unit. The role that counts
    /// is the lesser of this and the one of the Node object.
    pub role: NodeRole,
    /// The cluster: the organization.
    pub cluster: ClusterId,
}

/// Common name of a root.
pub(crate) const ROOT_NAME: &str = "swarm-ca";
/// Organizational unit of a manager; also the name its clients ask for.
pub(crate) const MANAGER_NAME: &str = "swarm-manager";
/// Organizational unit of a worker.
pub(crate) const WORKER_NAME: &str = "swarm-worker";

impl Identity {
    /// The organizational unit of this node.
    pub(super) const fn unit(&self) -> &'static str {
        match self.role {
            NodeRole::Manager => MANAGER_NAME,
            NodeRole::Worker => WORKER_NAME,
        }
    }

    /// The alternative names of this node's certificate: role and id, and for a manager also the
    /// name under which it signs certificates.
    pub(super) fn alternative_names(&self) -> Vec<String> {
        let mut names = vec![self.unit().to_owned(), self.node.to_string()];
        if self.role == NodeRole::Manager {
            names.push(ROOT_NAME.to_owned());
        }
        names
    }
}

/// What is known of a node from its certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// Who it is.
    pub identity: Identity,
    /// SHA-256 of its public key.
    pub fingerprint: Fingerprint,
    /// From when it is valid, an hour before it was signed.
    pub not_before: Timestamp,
    /// Until when it is valid. A live connection outlasts this unless it is checked.
    pub not_after: Timestamp,
}

/// Why a certificate is not one of a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCertificate {
    /// Not a certificate.
    #[error("not an X.509 certificate")]
    Malformed,
    /// The subject does not have exactly one readable value of this attribute.
    #[error("the subject needs exactly one {0}")]
    Subject(&'static str),
    /// The organizational unit is no role.
    #[error("the organizational unit is not a known role")]
    UnknownRole,
}

impl Certificate {
    /// Reads a node's certificate.
    ///
    /// # Errors
    ///
    /// [`InvalidCertificate`] when it names no node, role and cluster, or more than one.
    pub fn from_der(der: &[u8]) -> Result<Self, InvalidCertificate> {
        use InvalidCertificate::{Malformed, Subject, UnknownRole};

        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| Malformed)?;
        if !rest.is_empty() {
            return Err(Malformed);
        }
        let subject = parsed.subject();
        let node = only(subject.iter_common_name()).and_then(|text| text.parse().ok());
        let cluster = only(subject.iter_organization()).and_then(|text| text.parse().ok());
        let unit = only(subject.iter_organizational_unit());
        let role = match unit.ok_or(Subject("organizational unit"))? {
            MANAGER_NAME => NodeRole::Manager,
            WORKER_NAME => NodeRole::Worker,
            _ => return Err(UnknownRole),
        };
        let validity = parsed.validity();
        Ok(Self {
            identity: Identity {
                node: node.ok_or(Subject("common name that is a node id"))?,
                role,
                cluster: cluster.ok_or(Subject("organization that is a cluster id"))?,
            },
            fingerprint: Fingerprint::of(parsed.public_key().raw),
            not_before: from_seconds(validity.not_before.timestamp()),
            not_after: from_seconds(validity.not_after.timestamp()),
        })
    }
}

fn only<'a, 'b: 'a>(
    mut values: impl Iterator<Item = &'a AttributeTypeAndValue<'b>>,
) -> Option<&'a str> {
    let value = values.next()?;
    values.next().is_none().then(|| value.as_str().ok())?
}

pub(super) const fn from_seconds(seconds: i64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1_000_000_000))
}

//! The root of trust: makes itself, and signs nodes.

use std::fmt;
use std::time::Duration;

use rand::RngExt;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, PublicKeyData,
    SerialNumber,
};
use sha2::{Digest, Sha256};
use swarm_types::{Cluster, Sensitive, Timestamp, defaults};
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::certificate::{ROOT_NAME, from_seconds};
use super::{Fingerprint, Identity, NodeKey, from_pem, to_pem, token};

/// Life of a root: 20 years.
const ROOT_LIFE: Duration = Duration::from_secs(630_720_000);
/// A node's certificate asked to live less gets the default life.
const SHORTEST_LIFE: Duration = Duration::from_secs(3600);
/// Longest certificate request that is looked at.
const CSR_LIMIT: usize = 8 * 1024;

/// Length of an uncompressed point on the curve P-256.
const POINT_LEN: usize = 65;

/// Why the authority did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The request is at fault; tell whoever sent it.
    #[error("the certificate request is refused: {0}")]
    BadRequest(&'static str),
    /// The root cannot be used.
    #[error("the root certificate cannot be used: {0}")]
    BadRoot(&'static str),
    /// The text is not one P-256 key in PKCS#8 PEM.
    #[error("not a P-256 key in PKCS#8 PEM")]
    BadKey,
    /// The key is not that of the certificate.
    #[error("the key does not belong to the certificate")]
    Mismatch,
    /// Signing failed.
    #[error("sign a certificate")]
    Sign(#[source] rcgen::Error),
}

/// A root with its key: the authority of a cluster.
pub struct RootCa {
    pem: String,
    der: Vec<u8>,
    not_after: Timestamp,
    key: NodeKey,
}

/// Digest of a root certificate as join tokens carry it: SHA-256 of its PEM, in base 36.
///
/// # Errors
///
/// [`CaError::BadRoot`] when the text is not exactly one certificate.
pub fn digest_of(root_pem: &str) -> Result<String, CaError> {
    Ok(digest_of_der(&single(root_pem)?))
}

pub(crate) fn digest_of_der(root: &[u8]) -> String {
    token::base36(&Sha256::digest(to_pem(root)), token::DIGEST_LEN)
}

impl RootCa {
    /// Makes a new root, valid for 20 years.
    ///
    /// # Errors
    ///
    /// [`CaError::Sign`] when the system has no randomness or `now` is out of range.
    pub fn generate(now: Timestamp) -> Result<Self, CaError> {
        let key = NodeKey::generate()?;
        let mut params = params(now, now.after(ROOT_LIFE))?;
        params.distinguished_name.push(DnType::CommonName, ROOT_NAME);
        // One authority may stand below: the next root, cross-signed during a rotation.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root = params.self_signed(key.pair()).map_err(CaError::Sign)?;
        Self::from_parts(root.der(), key)
    }

    /// Takes a root and its key from PEM.
    ///
    /// # Errors
    ///
    /// [`CaError::BadRoot`], [`CaError::BadKey`] or [`CaError::Mismatch`].
    pub fn from_pem(cert: &str, key: &Sensitive) -> Result<Self, CaError> {
        Self::from_parts(&single(cert)?, NodeKey::from_pem(key)?)
    }

    fn from_parts(der: &[u8], key: NodeKey) -> Result<Self, CaError> {
        let (_, parsed) = X509Certificate::from_der(der)
            .map_err(|_| CaError::BadRoot("it is not an X.509 certificate"))?;
        if !parsed.is_ca() {
            return Err(CaError::BadRoot("it may not sign certificates"));
        }
        if Fingerprint::of(parsed.public_key().raw) != key.fingerprint() {
            return Err(CaError::Mismatch);
        }
        let not_after = from_seconds(parsed.validity().not_after.timestamp());
        Ok(Self { pem: to_pem(der), der: der.to_vec(), not_after, key })
    }

    /// The certificate in PEM: what everyone in the cluster trusts.
    #[must_use]
    pub fn cert_pem(&self) -> &str {
        &self.pem
    }

    /// The key in PEM, for the replicated state.
    #[must_use]
    pub fn key_pem(&self) -> Sensitive {
        self.key.to_pem()
    }

    /// The digest join tokens carry.
    #[must_use]
    pub fn digest(&self) -> String {
        digest_of_der(&self.der)
    }

    /// Signs a node's certificate and returns its chain in PEM, the node's own first.
    ///
    /// Only the public key is taken from the request. The certificate is valid from an hour
    /// before `now`, for clocks that differ, to `valid_for` after it; less than an hour counts
    /// as the default of 90 days, and none outlives the root.
    ///
    /// # Errors
    ///
    /// [`CaError::BadRequest`] when the request is malformed, its signature is wrong or its key
    /// is not on P-256; [`CaError::BadRoot`] when this root has expired; [`CaError::Sign`] when
    /// signing fails.
    pub fn issue(
        &self,
        csr: &[u8],
        identity: &Identity,
        valid_for: Duration,
        now: Timestamp,
    ) -> Result<String, CaError> {
        let request = read_request(csr)?;
        if self.not_after <= now {
            return Err(CaError::BadRoot("it has expired"));
        }
        let life = if valid_for < SHORTEST_LIFE { defaults::NODE_CERT_EXPIRY } else { valid_for };
        let mut params = params(now, now.after(life).min(self.not_after))?;
        params.subject_alt_names = CertificateParams::new(identity.alternative_names())
            .map_err(CaError::Sign)?
            .subject_alt_names;
        let subject = &mut params.distinguished_name;
        subject.push(DnType::OrganizationName, identity.cluster.as_str());
        subject.push(DnType::OrganizationalUnitName, identity.unit());
        subject.push(DnType::CommonName, identity.node.as_str());
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let issuer = Issuer::from_ca_cert_der(&self.der.as_slice().into(), self.key.pair());
        let signed = params.signed_by(&request.public_key, &issuer.map_err(CaError::Sign)?);
        Ok(to_pem(signed.map_err(CaError::Sign)?.der()))
    }
}

impl fmt::Debug for RootCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootCa").field("digest", &self.digest()).finish_non_exhaustive()
    }
}

/// What every certificate of ours has in common.
fn params(now: Timestamp, not_after: Timestamp) -> Result<CertificateParams, CaError> {
    let backdated = Timestamp(now.0.saturating_sub(nanos(Cluster::CERT_BACKDATE)));
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = date(backdated)?;
    params.not_after = date(not_after)?;
    let mut serial: [u8; 16] = UnwrapErr(SysRng).random();
    // A serial number is positive and has no leading zero byte.
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

/// The fingerprint of the key that a certificate request is for, and that signed it.
///
/// # Errors
///
/// [`CaError::BadRequest`], as [`RootCa::issue`].
pub fn requested_key(csr: &[u8]) -> Result<Fingerprint, CaError> {
    let key = read_request(csr)?.public_key;
    Ok(Fingerprint::of(&key.subject_public_key_info()))
}

/// The common name in a certificate request whose signature is good, where that is plain text: the
/// word of [`NodeKey::csr_with`].
///
/// # Errors
///
/// [`CaError::BadRequest`], as [`RootCa::issue`].
pub fn requested_name(csr: &[u8]) -> Result<Option<String>, CaError> {
    let request = read_request(csr)?;
    match request.params.distinguished_name.get(&DnType::CommonName) {
        Some(DnValue::Utf8String(name)) => Ok(Some(name.clone())),
        _ => Ok(None),
    }
}

/// A request whose signature shows that its sender has the key.
fn read_request(csr: &[u8]) -> Result<CertificateSigningRequestParams, CaError> {
    if csr.len() > CSR_LIMIT {
        return Err(CaError::BadRequest("it is too long"));
    }
    let request = CertificateSigningRequestParams::from_der(&csr.into())
        .map_err(|_| CaError::BadRequest("it is malformed or its signature is wrong"))?;
    // The algorithm is that of the signature, made with any curve's key; the length of the
    // point tells the curve.
    let key = &request.public_key;
    let on_curve = key.der_bytes().len() == POINT_LEN;
    if !on_curve || key.algorithm() != &rcgen::PKCS_ECDSA_P256_SHA256 {
        return Err(CaError::BadRequest("its key is not on the curve P-256"));
    }
    Ok(request)
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn date(at: Timestamp) -> Result<OffsetDateTime, CaError> {
    OffsetDateTime::from_unix_timestamp_nanos(at.0.into())
        .map_err(|_| CaError::Sign(rcgen::Error::Time))
}

fn single(pem: &str) -> Result<Vec<u8>, CaError> {
    let mut certificates = from_pem(pem).ok_or(CaError::BadRoot("it is not PEM"))?;
    match (certificates.pop(), certificates.pop()) {
        (Some(der), None) => Ok(der),
        _ => Err(CaError::BadRoot("it is not exactly one certificate")),
    }
}

//! A node's private key, which never leaves it, and the fingerprint others know it by.

use std::fmt;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData};
use sha2::{Digest, Sha256};
use swarm_types::Sensitive;
use zeroize::Zeroize;

use super::CaError;

/// SHA-256 of a public key (its `SubjectPublicKeyInfo` in DER).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of a public key in DER.
    #[must_use]
    pub fn of(public_key_der: &[u8]) -> Self {
        Self(Sha256::digest(public_key_der).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A private key on the curve P-256. Its encoded form is wiped when dropped; the copy inside
/// ring, ready for signing, is not in our hands.
pub struct NodeKey(KeyPair);

impl NodeKey {
    /// Makes a key.
    ///
    /// # Errors
    ///
    /// [`CaError::Sign`] when the system has no randomness.
    pub fn generate() -> Result<Self, CaError> {
        KeyPair::generate().map(Self).map_err(CaError::Sign)
    }

    /// Reads a key from PKCS#8 PEM.
    ///
    /// # Errors
    ///
    /// [`CaError::BadKey`] when it is anything but one P-256 key.
    pub fn from_pem(pem: &Sensitive) -> Result<Self, CaError> {
        let text = std::str::from_utf8(pem.expose()).map_err(|_| CaError::BadKey)?;
        let algorithm = &rcgen::PKCS_ECDSA_P256_SHA256;
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(text, algorithm);
        key.map(Self).map_err(|_| CaError::BadKey)
    }

    /// The key as PKCS#8 PEM.
    #[must_use]
    pub fn to_pem(&self) -> Sensitive {
        Sensitive::new(self.0.serialize_pem().into_bytes())
    }

    /// A certificate request in DER. It proves possession of the key and asks for nothing:
    /// subject and names are the authority's to give.
    ///
    /// # Errors
    ///
    /// [`CaError::Sign`] when signing fails.
    pub fn csr(&self) -> Result<Vec<u8>, CaError> {
        self.request(DistinguishedName::new())
    }

    /// A request as [`NodeKey::csr`], with a word in it that the authority gave: it shows that the
    /// key is here now.
    ///
    /// # Errors
    ///
    /// [`CaError::Sign`] when signing fails.
    pub fn csr_with(&self, word: &str) -> Result<Vec<u8>, CaError> {
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, word);
        self.request(name)
    }

    fn request(&self, name: DistinguishedName) -> Result<Vec<u8>, CaError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = name;
        let request = params.serialize_request(&self.0).map_err(CaError::Sign)?;
        Ok(request.der().to_vec())
    }

    /// The fingerprint of the public key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.0.subject_public_key_info())
    }

    pub(crate) const fn pair(&self) -> &KeyPair {
        &self.0
    }
}

impl Drop for NodeKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NodeKey").field(&self.fingerprint()).finish()
    }
}

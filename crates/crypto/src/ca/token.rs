//! Join tokens: `SWMTKN-1-<root digest, 50>-<secret, 25>`, both parts in base 36.
//!
//! The first part tells a joiner which root to trust, the second tells the cluster that the
//! joiner may come in. A token is a secret as a whole: it is shown only where asked for.

use std::fmt;

use rand::RngExt;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use swarm_types::Sensitive;
use zeroize::Zeroizing;

use super::{CaError, root};

/// Characters of a root digest.
pub(super) const DIGEST_LEN: usize = 50;
const SECRET_LEN: usize = 25;
const PREFIX: &str = "SWMTKN-1-";

/// The text is not a join token. What it was is not repeated: it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a join token: one reads SWMTKN-1-, 50 characters, a dash and 25 characters, all of 0-9 \
     and a-z; `swarm join-token worker` on a manager prints it"
)]
pub struct InvalidToken;

/// What a node joins with.
#[derive(Clone)]
pub struct JoinToken {
    digest: String,
    secret: Sensitive,
}

impl JoinToken {
    /// Makes a token for the cluster with this root digest.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`] when `digest` is not one of [`super::digest_of`].
    pub fn generate(digest: &str) -> Result<Self, InvalidToken> {
        let bytes: Zeroizing<[u8; 16]> = Zeroizing::new(UnwrapErr(SysRng).random());
        let secret = base36(&*bytes, SECRET_LEN).into_bytes();
        match is_base36(digest, DIGEST_LEN) {
            true => Ok(Self { digest: digest.to_owned(), secret: Sensitive::new(secret) }),
            false => Err(InvalidToken),
        }
    }

    /// Reads a token.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`], which says what one looks like.
    pub fn parse(text: &str) -> Result<Self, InvalidToken> {
        let parts = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
        let (digest, secret) = parts.ok_or(InvalidToken)?;
        if !is_base36(digest, DIGEST_LEN) || !is_base36(secret, SECRET_LEN) {
            return Err(InvalidToken);
        }
        Ok(Self { digest: digest.to_owned(), secret: Sensitive::new(secret.into()) })
    }

    /// The token as text, for the replicated state and for whoever asked to see it.
    #[must_use]
    pub fn text(&self) -> Sensitive {
        let parts = [PREFIX.as_bytes(), self.digest.as_bytes(), b"-", self.secret.expose()];
        Sensitive::new(parts.concat())
    }

    /// Whether this is the root the token speaks of.
    ///
    /// # Errors
    ///
    /// [`CaError::BadRoot`] when the text is not exactly one certificate.
    pub fn names_root(&self, root_pem: &str) -> Result<bool, CaError> {
        Ok(root::digest_of(root_pem)? == self.digest)
    }

    /// The digest of the root.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether both are the same token. Takes a time that tells nothing of how near they are.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        // How many bytes of two hashes agree says nothing about the tokens.
        let hash = |token: &Self| Sha256::digest(token.text().expose());
        hash(self) == hash(other)
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken({PREFIX}{}-..)", self.digest)
    }
}

fn is_base36(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z'))
}

/// A big-endian number in base 36, padded with zeros to `len` digits.
pub(super) fn base36(number: &[u8], len: usize) -> String {
    let mut number = Zeroizing::new(number.to_vec());
    let mut digits = Zeroizing::new(vec!['0'; len]);
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0u32;
        for byte in number.iter_mut() {
            let value = remainder << 8 | u32::from(*byte);
            *byte = u8::try_from(value / 36).unwrap_or(u8::MAX);
            remainder = value % 36;
        }
        *digit = char::from_digit(remainder, 36).unwrap_or('0');
    }
    digits.iter().collect()
}

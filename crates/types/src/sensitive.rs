//! Bytes that must never be printed, and are wiped when dropped.

use std::fmt;

use zeroize::Zeroize;

/// A secret value. `Debug` shows its length only; there is no `Display`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Sensitive(Vec<u8>);

impl Sensitive {
    /// Takes ownership of the bytes.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes in clear. Every call is a place to look at in review.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Sensitive {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sensitive({} bytes)", self.0.len())
    }
}

//! Identifiers of objects: 25 characters of `[0-9a-z]`, stored inline so that an id is `Copy`.
//!
//! The text form is Docker's. Ids are made by an [`IdSource`] only, outside `apply`, and reused
//! by every retry of the same proposal.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Number of characters in an id.
pub const ID_LEN: usize = 25;

const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an id: an id has 25 characters of 0-9 and a-z")]
pub struct InvalidId {
    /// What was given.
    pub text: String,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name([u8; ID_LEN]);

        impl Ord for $name {
            #[inline]
            fn cmp(&self, other: &Self) -> Ordering {
                order(&self.0, &other.0)
            }
        }

        impl PartialOrd for $name {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                // The bytes are checked to be ASCII wherever an id is made.
                std::str::from_utf8(&self.0).unwrap_or_default()
            }

            /// The id as the bytes of its text, for keys of ordered tables.
            #[must_use]
            pub const fn bytes(&self) -> &[u8; ID_LEN] {
                &self.0
            }

            /// The smallest id, for the lower end of a range scan.
            pub const MIN: Self = Self([b'0'; ID_LEN]);
            /// The largest id, for the upper end of a range scan.
            pub const MAX: Self = Self([b'z'; ID_LEN]);
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl From<$name> for [u8; ID_LEN] {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl FreshId for $name {
            fn fresh(bytes: [u8; ID_LEN]) -> Self {
                Self(bytes)
            }
        }
    )*};
}

ids! {
    /// A cluster; also the organisation in every certificate.
    ClusterId;
    /// A node, manager or worker; also the common name in its certificate.
    NodeId;
    /// A service.
    ServiceId;
    /// A task; also the id of its container.
    TaskId;
    /// A network.
    NetworkId;
    /// A secret.
    SecretId;
    /// A config.
    ConfigId;
    /// A cluster volume.
    VolumeId;
    /// A node's session with a manager; a newer one supersedes it.
    SessionId;
    /// A mutating call; retries of the call carry the same one.
    RequestId;
    /// An extension or a resource: opaque user objects.
    ResourceId;
}

/// The order of the bytes, by words: tables compare ids all the time, and a call of `memcmp`
/// costs more than the first word, which nearly always decides.
#[inline]
fn order(a: &[u8; ID_LEN], b: &[u8; ID_LEN]) -> Ordering {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        if a != b {
            return u64::from_be_bytes(*a).cmp(&u64::from_be_bytes(*b));
        }
    }
    a_rest[0].cmp(&b_rest[0])
}

fn parse(text: &str) -> Result<[u8; ID_LEN], InvalidId> {
    let refuse = || InvalidId { text: text.chars().take(64).collect() };
    let bytes: [u8; ID_LEN] = text.as_bytes().try_into().map_err(|_| refuse())?;
    // By range: a search per byte took a quarter of the time to read an entry.
    let known = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    if bytes.iter().all(known) { Ok(bytes) } else { Err(refuse()) }
}

/// An id type that an [`IdSource`] can make.
pub trait FreshId {
    /// Wraps characters that are known to be of the id alphabet.
    #[doc(hidden)]
    fn fresh(bytes: [u8; ID_LEN]) -> Self;
}

impl RequestId {
    /// The id of the object this request creates: the same characters.
    ///
    /// A retried creation thus names the same object without anyone remembering it.
    #[must_use]
    pub fn created<T: FreshId>(self) -> T {
        T::fresh(self.0)
    }
}

/// Where new ids come from: seeded in tests and in the simulator, from the system elsewhere.
#[derive(Debug)]
pub struct IdSource(StdRng);

impl IdSource {
    /// A source seeded by the operating system.
    #[must_use]
    pub fn system() -> Self {
        Self(rand::make_rng())
    }

    /// A source that yields the same ids for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// A source that yields the same ids for the same key, and tells nothing of it.
    #[must_use]
    pub fn keyed(key: [u8; 32]) -> Self {
        Self(StdRng::from_seed(key))
    }

    /// Draws a number from `low` to `high`, both included.
    pub fn between(&mut self, low: u32, high: u32) -> u32 {
        self.0.random_range(low..=high.max(low))
    }

    /// Draws a new id; about 129 bits of it are random.
    pub fn draw<T: FreshId>(&mut self) -> T {
        T::fresh(std::array::from_fn(|_| ALPHABET[self.0.random_range(0..ALPHABET.len())]))
    }

    /// Draws one of `words`; the empty text when there are none.
    pub(crate) fn pick(&mut self, words: &[&'static str]) -> &'static str {
        if words.is_empty() { "" } else { words[self.0.random_range(0..words.len())] }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Ids that agree up to any place order as their bytes do.
        #[test]
        fn the_order_is_that_of_the_bytes(
            a: [u8; ID_LEN], b: [u8; ID_LEN], same in 0..=ID_LEN
        ) {
            let mut b = b;
            b[..same].copy_from_slice(&a[..same]);
            prop_assert_eq!(TaskId(a).cmp(&TaskId(b)), a.cmp(&b));
            prop_assert_eq!(TaskId(a) == TaskId(b), a == b);
        }
    }

    #[test]
    fn ids_survive_their_text_form() {
        let id: TaskId = IdSource::seeded(1).draw();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().len(), ID_LEN);
    }

    #[test]
    fn foreign_text_is_refused() {
        for text in [
            "",
            "short",
            "UPPERUPPERUPPERUPPERUPPER",
            "ünïcödeünïcödeünïcödeü",
            "0123456789abcdef0123456789",
        ] {
            assert!(text.parse::<NodeId>().is_err(), "{text}");
        }
    }
}

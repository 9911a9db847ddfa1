//! Encrypts records at rest and binds each one to its place.
//!
//! A sealed record opens only under the key it was sealed with and only at the place it was
//! sealed for: moving it, swapping two, or changing one bit is found. The place is fixed-length
//! associated data, so two different places never encode alike.
//!
//! Layout of a sealed record: key id (4 bytes, big-endian), nonce (24 random bytes), then the
//! XChaCha20-Poly1305 ciphertext with its tag. Where keys are kept is [`crate::key_file`]'s
//! business; what to do about a damaged record is the caller's.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use rand::{Rng, RngExt};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes in a [`Key`].
pub const KEY_LEN: usize = 32;

const KEY_ID_LEN: usize = 4;
const NONCE_LEN: usize = 24;

/// Bytes of associated data: format, kind, store, index, term, chunk, chunks, key id.
const PLACE_LEN: usize = 1 + 1 + 16 + 8 + 8 + 4 + 4 + KEY_ID_LEN;
/// Format of the sealed record, part of the associated data.
const FORMAT: u8 = 1;

/// A secret key, wiped when dropped. `Debug` shows nothing of it.
// Comparing keys would tell by its time where they differ, so only tests can.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub struct Key([u8; KEY_LEN]);

impl Key {
    /// Draws a key from the operating system.
    #[must_use]
    pub fn generate() -> Self {
        let mut bytes = [0; KEY_LEN];
        // Without randomness nothing can be kept secret: stopping is the only safe answer.
        UnwrapErr(SysRng).fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Takes the bytes of a key made elsewhere.
    #[must_use]
    pub const fn new(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// The key in clear. Every call is a place to look at in review.
    #[must_use]
    pub const fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// HMAC-SHA-256 under this key.
    pub(crate) fn hmac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        // Padding with zeros to the block is what HMAC itself does to a shorter key.
        let mut block = Zeroizing::new([0; 64]);
        block[..KEY_LEN].copy_from_slice(&self.0);
        let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
        parts.iter().for_each(|part| mac.update(part));
        mac
    }

    /// An independent key for one purpose.
    fn derive(&self, purpose: &str) -> Self {
        Self(self.hmac(&[purpose.as_bytes()]).finalize().into_bytes().into())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// What a record is. The numbers are on disk and never reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// An entry of the raft log.
    LogEntry = 1,
    /// The vote.
    Vote = 2,
    /// What the log store keeps about itself: committed and purged positions.
    Meta = 3,
    /// A chunk of a snapshot.
    Snapshot = 4,
    // 5 is free: the mark is authenticated in clear.
    /// A record of a worker's local store.
    Worker = 6,
    /// A key under an unlock key.
    WrappedKey = 7,
}

/// Where a record stands. It opens nowhere else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Random id of the store, made with it.
    pub store: [u8; 16],
    /// What the record is.
    pub kind: Kind,
    /// Log index, or that of a snapshot's last entry; 0 where there is none.
    pub index: u64,
    /// Term of that index; 0 where there is none.
    pub term: u64,
    /// Number of this chunk, from 0.
    pub chunk: u32,
    /// How many chunks there are, at least 1.
    pub chunks: u32,
}

impl Place {
    fn associated_data(&self, key_id: u32) -> [u8; PLACE_LEN] {
        let mut out = [0; PLACE_LEN];
        let mut rest = out.as_mut_slice();
        let mut put = |bytes: &[u8]| {
            let (head, tail) = std::mem::take(&mut rest).split_at_mut(bytes.len());
            head.copy_from_slice(bytes);
            rest = tail;
        };
        put(&[FORMAT, self.kind as u8]);
        put(&self.store);
        put(&self.index.to_be_bytes());
        put(&self.term.to_be_bytes());
        put(&self.chunk.to_be_bytes());
        put(&self.chunks.to_be_bytes());
        put(&key_id.to_be_bytes());
        out
    }
}

/// Why a sealed record does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Sealed under a key that is not at hand: the key file is another one, or the key was
    /// dropped too early.
    #[error("sealed with key {found}, which is not in the key file")]
    UnknownKey {
        /// Id of the key it says it was sealed with.
        found: u32,
    },
    /// Cut, changed, or moved from another place. Nothing of it can be trusted.
    #[error("damaged, or moved from another place")]
    Damaged,
}

/// Seals with one key; opens with that and, during a rotation, with the one before.
///
/// All clones have the same keys at any time, so that whoever rotates changes them for all.
#[derive(Clone)]
pub struct Sealer(Arc<RwLock<Ciphers>>);

#[derive(Clone)]
struct Ciphers {
    sealing: Cipher,
    opening: Option<Cipher>,
}

#[derive(Clone)]
struct Cipher {
    key_id: u32,
    aead: XChaCha20Poly1305,
    mac: Key,
}

impl Cipher {
    fn new(key: &Key, key_id: u32) -> Self {
        let aead = XChaCha20Poly1305::new(key.derive("swarm seal 1").expose().into());
        Self { key_id, aead, mac: key.derive("swarm mac 1") }
    }
}

impl Ciphers {
    fn all(&self) -> impl Iterator<Item = &Cipher> {
        std::iter::once(&self.sealing).chain(&self.opening)
    }
}

impl Sealer {
    /// By how many bytes a sealed record is longer than a clear one.
    pub const OVERHEAD: usize = KEY_ID_LEN + NONCE_LEN + 16;

    /// A sealer with one key. The id tells keys of one key file apart.
    #[must_use]
    pub fn new(key: &Key, key_id: u32) -> Self {
        Self::of(Ciphers { sealing: Cipher::new(key, key_id), opening: None })
    }

    fn of(ciphers: Ciphers) -> Self {
        Self(Arc::new(RwLock::new(ciphers)))
    }

    /// Also opens what was sealed with an older key.
    #[must_use]
    pub fn also_opening(self, key: &Key, key_id: u32) -> Self {
        let sealing = self.read().sealing.clone();
        Self::of(Ciphers { sealing, opening: Some(Cipher::new(key, key_id)) })
    }

    /// Has this one and all its clones take the keys of another.
    pub fn follow(&self, other: &Self) {
        let ciphers = other.read().clone();
        *self.write() = ciphers;
    }

    /// Has this one and all its clones open nothing any more that only an older key opens.
    pub fn forget_older(&self) {
        self.write().opening = None;
    }

    /// One with the same keys that no rotation changes.
    #[must_use]
    pub fn as_it_is(&self) -> Self {
        Self::of(self.read().clone())
    }

    /// Id of the key that seals.
    #[must_use]
    pub fn key_id(&self) -> u32 {
        self.read().sealing.key_id
    }

    fn read(&self) -> RwLockReadGuard<'_, Ciphers> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Ciphers> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seals a record for its place; the result is [`Self::OVERHEAD`] longer.
    #[must_use]
    #[expect(clippy::expect_used, reason = "fails only beyond 256 GiB, which no record reaches")]
    pub fn seal(&self, place: &Place, clear: &[u8]) -> Vec<u8> {
        let ciphers = self.read();
        let Cipher { key_id, aead, .. } = &ciphers.sealing;
        // From the system each time: a copied process or machine must not repeat a nonce.
        let nonce: [u8; NONCE_LEN] = UnwrapErr(SysRng).random();
        let aad = place.associated_data(*key_id);
        let payload = Payload { msg: clear, aad: &aad };
        let sealed = aead.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.expect("a record shorter than 256 GiB");
        [&key_id.to_be_bytes()[..], &nonce, &sealed].concat()
    }

    /// Opens a record at its place.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; never retry, the bytes will not get better.
    pub fn open(&self, place: &Place, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (key_id, rest) = sealed.split_first_chunk::<KEY_ID_LEN>().ok_or(OpenError::Damaged)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or(OpenError::Damaged)?;
        let found = u32::from_be_bytes(*key_id);
        let ciphers = self.read();
        let cipher = ciphers.all().find(|cipher| cipher.key_id == found);
        let cipher = cipher.ok_or(OpenError::UnknownKey { found })?;
        let aad = place.associated_data(found);
        let payload = Payload { msg: sealed, aad: &aad };
        cipher.aead.decrypt(&XNonce::from(*nonce), payload).map_err(|_| OpenError::Damaged)
    }

    /// Authenticates bytes that stay in clear, with a key of its own.
    #[must_use]
    pub fn mac(&self, clear: &[u8]) -> [u8; 32] {
        self.read().sealing.mac.hmac(&[clear]).finalize().into_bytes().into()
    }

    /// Whether `mac` was made for these bytes with one of the keys; in constant time.
    #[must_use]
    pub fn mac_matches(&self, clear: &[u8], mac: &[u8]) -> bool {
        self.read().all().any(|cipher| cipher.mac.hmac(&[clear]).verify_slice(mac).is_ok())
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("key_id", &self.key_id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place() -> Place {
        Place { store: [7; 16], kind: Kind::LogEntry, index: 5, term: 2, chunk: 0, chunks: 1 }
    }

    fn sealer() -> Sealer {
        Sealer::new(&Key::new([42; KEY_LEN]), 1)
    }

    #[test]
    fn neither_key_nor_sealer_shows_its_bytes() {
        let shown = format!("{:?} {:?}", Key::new([42; KEY_LEN]), sealer());

        assert_eq!(shown, "Key(..) Sealer { key_id: 1, .. }");
    }

    #[test]
    fn the_same_record_never_looks_the_same_twice() {
        assert_ne!(sealer().seal(&place(), b"vote"), sealer().seal(&place(), b"vote"));
    }

    #[test]
    fn a_foreign_key_is_named_by_its_id() {
        let sealed = Sealer::new(&Key::generate(), 9).seal(&place(), b"vote");

        assert_eq!(sealer().open(&place(), &sealed), Err(OpenError::UnknownKey { found: 9 }));
    }

    #[test]
    fn another_key_with_the_same_id_does_not_open() {
        let sealed = Sealer::new(&Key::generate(), 1).seal(&place(), b"vote");

        assert_eq!(sealer().open(&place(), &sealed), Err(OpenError::Damaged));
    }

    #[test]
    fn during_a_rotation_both_keys_open_and_the_new_one_seals() {
        let before = sealer().seal(&place(), b"old");
        let mark = sealer().mac(b"mark");

        let rotating = Sealer::new(&Key::generate(), 2).also_opening(&Key::new([42; KEY_LEN]), 1);

        assert_eq!(rotating.open(&place(), &before).as_deref(), Ok(&b"old"[..]));
        assert!(rotating.mac_matches(b"mark", &mark));
        let after = rotating.seal(&place(), b"new");
        assert_eq!(rotating.open(&place(), &after).as_deref(), Ok(&b"new"[..]));
        assert_eq!(sealer().open(&place(), &after), Err(OpenError::UnknownKey { found: 2 }));
    }

    #[test]
    fn all_clones_follow_a_rotation_and_forget_the_older_key() {
        let store = sealer();
        let (clone, frozen) = (store.clone(), store.as_it_is());
        let before = clone.seal(&place(), b"old");

        let next = Sealer::new(&Key::generate(), 2).also_opening(&Key::new([42; KEY_LEN]), 1);
        store.follow(&next);

        assert_eq!((clone.key_id(), frozen.key_id()), (2, 1));
        assert_eq!(clone.open(&place(), &before).as_deref(), Ok(&b"old"[..]));
        store.forget_older();
        assert_eq!(clone.open(&place(), &before), Err(OpenError::UnknownKey { found: 1 }));
        assert_eq!(frozen.open(&place(), &before).as_deref(), Ok(&b"old"[..]));
    }

    #[test]
    fn every_field_of_the_place_binds() {
        let sealed = sealer().seal(&place(), b"entry");
        let mut store = [7; 16];
        store[15] ^= 1;

        let moved = [
            Place { store, ..place() },
            Place { kind: Kind::Vote, ..place() },
            Place { index: 6, ..place() },
            Place { term: 3, ..place() },
            Place { chunk: 1, ..place() },
            Place { chunks: 2, ..place() },
        ];

        for place in moved {
            assert_eq!(sealer().open(&place, &sealed), Err(OpenError::Damaged), "{place:?}");
        }
    }

    #[test]
    fn a_mac_is_bound_to_its_bytes_and_its_key() {
        let mac = sealer().mac(b"mark");

        assert!(sealer().mac_matches(b"mark", &mac));
        assert!(!sealer().mac_matches(b"park", &mac));
        assert!(!sealer().mac_matches(b"mark", &mac[..31]));
        assert!(!Sealer::new(&Key::generate(), 1).mac_matches(b"mark", &mac));
    }

    fn any_place() -> impl Strategy<Value = Place> {
        let kind = prop::sample::select(vec![
            Kind::LogEntry,
            Kind::Vote,
            Kind::Meta,
            Kind::Snapshot,
            Kind::Worker,
        ]);
        let rest = any::<([u8; 16], u64, u64, u32, u32)>();
        (kind, rest).prop_map(|(kind, (store, index, term, chunk, chunks))| Place {
            store,
            kind,
            index,
            term,
            chunk,
            chunks,
        })
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_at_its_place(place in any_place(), clear: Vec<u8>) {
            let sealed = sealer().seal(&place, &clear);

            prop_assert_eq!(sealed.len(), clear.len() + 44);
            prop_assert_eq!(sealer().open(&place, &sealed), Ok(clear));
        }

        #[test]
        fn a_flipped_bit_is_refused(clear: Vec<u8>, at: prop::sample::Index, bit in 0..8u8) {
            let mut sealed = sealer().seal(&place(), &clear);
            let at = at.index(sealed.len());

            sealed[at] ^= 1 << bit;

            prop_assert!(sealer().open(&place(), &sealed).is_err());
        }

        #[test]
        fn a_cut_record_is_refused(clear: Vec<u8>, at: prop::sample::Index) {
            let sealed = sealer().seal(&place(), &clear);

            prop_assert!(sealer().open(&place(), &sealed[..at.index(sealed.len())]).is_err());
        }

        #[test]
        fn another_place_is_refused(sealed_for in any_place(), opened_at in any_place()) {
            prop_assume!(sealed_for != opened_at);
            let sealed = sealer().seal(&sealed_for, b"record");

            prop_assert_eq!(sealer().open(&opened_at, &sealed), Err(OpenError::Damaged));
        }
    }
}

//! The state hash: SHA-256 of each object's canonical encoding, added up modulo 2^256.
//!
//! Addition makes it incremental and independent of order: a write subtracts the old object and
//! adds the new one. It guards against replicas that drift apart by a bug or by bad memory, not
//! against somebody who forges objects.

use sha2::{Digest, Sha256};

use crate::canon::Canon;

/// A sum of digests, least significant limb first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sum([u64; 4]);

impl Sum {
    /// The digest of one thing. `kind` keeps things of different kinds apart.
    pub(crate) fn of(kind: u8, thing: &impl Canon) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.push(kind);
        thing.canon(&mut bytes);
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        let mut limbs = [0; 4];
        for (limb, chunk) in limbs.iter_mut().zip(digest.as_chunks::<8>().0) {
            *limb = u64::from_le_bytes(*chunk);
        }
        Self(limbs)
    }

    /// Adds a digest.
    pub(crate) fn add(&mut self, other: Self) {
        let mut carry = false;
        for (limb, other) in self.0.iter_mut().zip(other.0) {
            let (sum, first) = limb.overflowing_add(other);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*limb, carry) = (sum, first || second);
        }
    }

    /// Takes a digest away that was added before.
    pub(crate) fn subtract(&mut self, other: Self) {
        let mut borrow = false;
        for (limb, other) in self.0.iter_mut().zip(other.0) {
            let (rest, first) = limb.overflowing_sub(other);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (rest, first || second);
        }
    }

    /// The sum as bytes, least significant first.
    pub(crate) fn bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, limb) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *chunk = limb.to_le_bytes();
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn carries_travel_through_all_limbs() {
        let mut sum = Sum([u64::MAX; 4]);
        sum.add(Sum([1, 0, 0, 0]));
        assert_eq!(sum, Sum::default());
        sum.subtract(Sum([1, 0, 0, 0]));
        assert_eq!(sum, Sum([u64::MAX; 4]));
    }

    proptest! {
        /// Whatever the order, what was added and taken away again leaves no trace.
        #[test]
        fn the_order_does_not_matter(a: [u64; 4], b: [u64; 4], c: [u64; 4]) {
            let mut one = Sum(a);
            one.add(Sum(b));
            one.add(Sum(c));
            one.subtract(Sum(b));
            let mut other = Sum(c);
            other.add(Sum(a));
            prop_assert_eq!(one, other);
        }
    }
}

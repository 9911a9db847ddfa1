//! What is drawn, from a seed.

use std::ops::Range;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A source of draws; the same seed gives the same ones on every machine.
#[derive(Debug)]
pub struct Dice(StdRng);

impl Dice {
    /// Draws as `seed` says, different for each `user` of it.
    #[must_use]
    pub fn new(seed: u64, user: u64) -> Self {
        Self(StdRng::seed_from_u64(seed.wrapping_add(user << 32)))
    }

    /// One of a range, which must not be empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        self.0.random_range(range)
    }

    /// One of these.
    ///
    /// # Panics
    ///
    /// When there are none.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.0.random_range(0..all.len())]
    }
}

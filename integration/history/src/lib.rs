//! The history check: no acknowledged write is lost, whatever happens to a minority of managers.
//!
//! [`recorder`] has clients change and read objects through every manager, and notes what each
//! call came to; [`nemesis`] hurts the cluster meanwhile, as a seed says; [`check()`] then looks
//! for an order that explains what every client saw. Only the last decides, and it knows nothing
//! of the cluster.

pub mod check;
mod client;
mod dice;
pub mod nemesis;
pub mod op;
pub mod recorder;

pub use check::{Violation, check};
pub use client::{Answer, Manager, Read};
pub use dice::Dice;

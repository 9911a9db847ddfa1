//! The replicated tables of Swarm and the one function that changes them.
//!
//! [`State::apply`] takes an entry of the log and computes, from the tables alone, what every
//! replica must compute alike, also from old logs: no clock, no randomness, no float, no hash
//! order, no setting. What versions cannot guard it enforces from indexes. A group of changes
//! happens whole or leaves no trace. Texts and rules here are part of level 1: they change only
//! together with a new level.
//!
//! A [`Snapshot`] is an O(1) view that readers keep as long as they like; a [`Batch`] says what
//! one entry changed. Deciding what to propose is the planner's business, agreeing on the
//! order of entries is raft's. Start reading at [`State`].

#![warn(missing_docs)]
#![warn(clippy::float_arithmetic)]

#[cfg(panic = "abort")]
compile_error!("a panic while applying a group must refuse the group: panic=abort is not allowed");

mod apply;
mod canon;
mod event;
mod hash;
mod index;
mod kind;
mod range;
mod request;
mod restore;
mod snapshot;
mod state;

pub use event::{Batch, Event};
pub use request::{REQUEST_KEPT, REQUEST_LIMIT, REQUEST_MEMORY};
pub use restore::RestoreError;
pub use snapshot::Snapshot;
pub use state::{Accepted, Applied, CHECK_EVERY, Halt, State};

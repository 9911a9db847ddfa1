//! Messages and services of Swarm, and how the state is written to log, snapshot and wire.
//!
//! [`v1`] is generated from `/proto`. Every type of `swarm-types` that is stored or sent has a
//! message of the same name there, with `From<&types::X> for v1::X` and
//! `TryFrom<v1::X> for types::X`. Writing never fails; reading refuses with the [`DecodeError`]
//! that names the field, and never fills in a default. [`records`] writes what is stored and is
//! stricter still, [`shared`] writes many tasks with few templates, [`field`] reads the single
//! fields of requests.
//!
//! What a value means, and whether it is allowed, is left to `swarm-types` and to `apply`.

mod codec;
mod convert;
mod error;
pub mod field;
pub mod records;
mod sensitive;
pub mod shared;

pub use error::{DecodeError, Why};

/// Generated from `/proto`: messages, clients and servers.
#[allow(clippy::large_enum_variant, clippy::missing_errors_doc)]
pub mod v1 {
    tonic::include_proto!("swarm.v1");
}

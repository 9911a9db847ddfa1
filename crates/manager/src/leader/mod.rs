//! What only the leader does: decide ([`driver`]) and judge who is alive ([`judge`], [`liveness`],
//! [`pace`], [`hearing`]), keep the managers ([`roles`]);
//! and what the others tell it for that ([`vouch`]).

pub(crate) mod driver;
mod hearing;
pub(crate) mod judge;
pub(crate) mod liveness;
pub(crate) mod pace;
pub(crate) mod roles;
pub(crate) mod vouch;

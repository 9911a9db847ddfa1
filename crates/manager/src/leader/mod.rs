//! What only the leader does: decide ([`driver`]) and judge who is alive ([`judge`], [`liveness`]).

pub(crate) mod driver;
pub(crate) mod judge;
pub(crate) mod liveness;

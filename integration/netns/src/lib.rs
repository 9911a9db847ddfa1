//! Clusters for tests, made and driven by `swarm dev` as a user would.
//!
//! A [`Cluster`] is removed when dropped, with the logs of its nodes kept if the test failed;
//! [`Traces`] says what of one is left on this machine.

mod cluster;
mod probe;
mod traces;

pub use cluster::Cluster;
pub use probe::Probe;
pub use traces::Traces;

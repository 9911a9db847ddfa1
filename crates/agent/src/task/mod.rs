//! One task of this node: [`step`] decides, [`runner`] does; [`health`] judges its probes, and
//! [`watch`] makes them.

pub(crate) mod health;
pub(crate) mod runner;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod step;
pub(crate) mod watch;

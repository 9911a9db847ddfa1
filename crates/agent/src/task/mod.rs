//! One task of this node: [`step`] decides, [`runner`] does what an [`order`] leads to; [`health`]
//! judges its probes, and [`watch`] makes them. [`adoption`] tells when a fresh agent has all of
//! its tasks.

pub(crate) mod adoption;
pub(crate) mod health;
pub(crate) mod order;
pub(crate) mod runner;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod step;
pub(crate) mod watch;

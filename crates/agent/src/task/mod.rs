//! One task of this node: [`step`] decides, [`runner`] does.

pub(crate) mod runner;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod step;

//! Conversions between our types and their messages, one file per kind of object.
//!
//! Writing never fails. Reading refuses what this version does not know and never puts a
//! default in its place. Whether a value makes sense is validation's business, not ours.

mod change;
mod cluster;
mod common;
mod container;
mod mount;
mod network;
mod node;
mod object_id;
mod refusal;
mod secret;
mod service;
pub(crate) mod task;
mod task_spec;
mod volume;

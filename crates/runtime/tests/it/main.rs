//! The runtime against a real, private containerd. Needs root, containerd and runc.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

mod archives;
mod exec;
mod life;
mod links;
mod logs;
mod mock;
mod options;
mod pulls;
mod registry;
mod restarts;
mod seccomp;
mod stats;
mod volumes;
mod world;

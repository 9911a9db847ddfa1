//! The planner against the real state: what it decides is applied, and planned again.

#![allow(clippy::expect_used, reason = "helpers of tests are not recognized as tests")]

mod explain;
mod laws;
mod nodes;
mod preferences;
mod reap;
mod replicated;
mod restart;
mod schedule;
mod world;

//! The planner against the real state: what it decides is applied, and planned again.

#![allow(clippy::expect_used, reason = "helpers of tests are not recognized as tests")]

mod enforce;
mod explain;
mod failure;
mod global;
mod laws;
mod nodes;
mod preferences;
mod reap;
mod replicated;
mod restart;
mod schedule;
mod update;
mod world;

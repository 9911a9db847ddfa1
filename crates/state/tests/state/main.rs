//! The state from outside: scenarios, one refusal per rule, laws over random entries, the same
//! entries in two processes, and a history whose hash is frozen.

#![expect(clippy::disallowed_methods, reason = "tests make ids, apply does not")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed test panics")]

mod expectations;
mod golden;
mod kit;
mod laws;
mod objects;
mod processes;
mod refusals;
mod restores;
mod scenarios;

//! The state from outside: scenarios, one refusal per rule, laws over random entries, and the
//! same entries in two processes.

#![expect(clippy::disallowed_methods, reason = "tests make ids, apply does not")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed test panics")]

mod kit;
mod laws;
mod processes;
mod refusals;
mod scenarios;

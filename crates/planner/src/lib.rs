//! Every decision of the cluster, as a pure function of a snapshot.
//!
//! [`plan`] looks at a [`Snapshot`](swarm_state::Snapshot) and says what should be proposed.
//! It has no clock, no timers and no memory: the time is passed in, ids come from an
//! [`IdSource`](swarm_types::IdSource), and a delay is a [`Plan::wake_at`], so that a leader that
//! is lost takes no timer with it. Planning the result of a plan yields nothing.
//!
//! [`round`] does the same for what [`Dirty`] has collected from the events; its cost follows
//! what changed, not the size of the cluster. The stages of a round, in order:
//! enforce, and for each service reap, allocate, orchestrate (which updates), then schedule.
//! A task is decided on at most once in a round.
//!
//! [`explain`] says what each node thinks of a task, by the same filters.
//!
//! Proposing, retrying and waiting are the leader's driver's business. What is not planned for
//! yet (jobs, cluster networks) leaves its tasks as they are; the API refuses it.

#![warn(missing_docs)]

mod allocate;
mod dirty;
mod draft;
mod enforce;
mod orchestrate;
mod plan;
mod reap;
mod round;
mod schedule;

pub use dirty::{Dirty, Scope};
pub use plan::{MAX_CHANGES, Plan, Reason, Why};
pub use round::{plan, round};
pub use schedule::{Filter, NodeVerdict, Verdict, explain};

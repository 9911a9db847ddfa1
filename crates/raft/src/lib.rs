//! The replicated log of Swarm: the store that cannot lose.
//!
//! openraft decides, sled and a durable mark remember, `swarm-state` computes. [`Raft`] is the
//! handle on all of it: propose a [`Group`](swarm_types::Group), read, watch. What a group means
//! is not known here.
//!
//! An acknowledgement is given only after its entry and the mark are synced. Whatever cannot be
//! trusted on a start is refused by name; whatever fails while running stops the store for good.
//!
//! Members speak to each other over what [`Dial`] makes and [`Raft::service`] serves. Any of them
//! takes proposals and reads; only the leader carries them out.
//!
//! Start reading at [`Raft`], then `ask` and `propose` (group commit), `log` (what is on disk,
//! and in which order), `machine` and `hub` (how state is published), `compact` and `snapshot`;
//! `link`, `door` and `message` are the way between members, `members` changes who they are.

#![warn(missing_docs)]

mod ask;
mod begin;
mod compact;
mod dial;
mod disk;
mod door;
mod error;
mod failure;
mod fault;
mod figures;
mod flight;
mod hand_over;
mod hub;
mod lanes;
mod leadership;
mod link;
mod log;
mod machine;
mod mark;
mod members;
mod message;
mod network;
mod options;
mod pace;
mod propose;
mod raft;
mod read;
mod record;
mod relief;
mod reseal;
mod settle;
mod snapshot;
#[cfg(test)]
mod tests;
mod type_config;

pub use ask::Stale;
pub use dial::Dial;
pub use door::Service;
pub use error::{MembershipError, OpenError, ProposeError, ReadError, StopReason};
pub use hub::{Watch, WatchError};
pub use lanes::Lane;
pub use leadership::{Leadership, Members};
pub use options::{Limits, Options};
pub use raft::{Info, Raft};
pub use type_config::{Member, MemberId};

//! The kernel's netlink protocols, in bytes: what a verb says, never when to say it.
//!
//! - `message`: attributes, written and read.
//! - `socket`: a blocking socket with a deadline. It belongs to the namespace it was opened in,
//!   whatever namespace its thread is in later.
//! - `route`, `nft`, `conntrack`: one function per verb of each protocol.

pub(crate) mod conntrack;
pub(crate) mod message;
pub(crate) mod nft;
pub(crate) mod route;
pub(crate) mod socket;

pub(crate) use message::Message;
pub(crate) use socket::{Group, Protocol, Socket};

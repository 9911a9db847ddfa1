//! What is said to the kernel over netlink: what a verb says, never when to say it.
//!
//! - `route`: links, addresses and routes, a function per verb, over `connection`: `rtnetlink`,
//!   whose answers `heard` reads.
//! - `nft`, `conntrack`: a function per verb of these protocols, in bytes, over `message` and
//!   `socket`: a blocking socket with a deadline.
//!
//! Sockets belong to the namespace they were opened in, whatever namespace their thread is in
//! later.

mod connection;
pub(crate) mod conntrack;
mod heard;
pub(crate) mod message;
pub(crate) mod nft;
pub(crate) mod route;
mod socket;

pub(crate) use message::Message;
pub(crate) use socket::Socket;

/// The kernel answers at once; a longer silence means that an answer was lost.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(5);

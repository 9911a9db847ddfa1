//! This host's network for its tasks: a namespace each, an address on the gateway bridge, and
//! ports of the host that lead to them.
//!
//! Three steps, a file each: `observe` reads the kernel, `diff` compares it with what should be
//! there and returns an ordered list of steps, `apply` carries them out one by one. Only `diff`
//! decides; running all three again is always safe, also after a crash. What is in the kernel
//! outlives the daemon and is adopted, never rebuilt.
//!
//! Which tasks there are is the caller's business, as are tasks on the host's own network.
//!
//! - `netlink`: what is said to the kernel; `netns`: namespaces bound to files.
//! - `lease`, `ports`, `subnet`: who has which address and port, and what is free.
//! - `table`: the rules of the bridge, as `nft list table inet swarm` shows them.
//! - `host` puts the steps together on one thread; `net` gives threads; `watch` repairs.

mod apply;
mod check;
mod diff;
mod error;
mod host;
mod lease;
mod names;
mod net;
mod netlink;
pub mod netns;
mod observe;
mod ports;
mod subnet;
mod sysctl;
mod table;
#[cfg(test)]
mod tests;
mod watch;
mod wish;

pub use check::{Lack, check};
pub use error::NetError;
pub use net::Net;
pub use wish::{Attached, HostPort, Mode, Options, Wish};

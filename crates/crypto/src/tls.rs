//! Connections between nodes: TLS 1.3 or 1.2, both ends known by their certificates.
//!
//! [`Credentials`] are what a node shows and trusts, replaceable while connections run;
//! [`serve`] accepts, [`channel`] connects. A client accepts only a manager of its cluster; a
//! server accepts nodes of its cluster and strangers who show no certificate, whom each RPC
//! refuses or lets join. [`peer`] tells a handler who calls. A live connection keeps the
//! certificate it began with: whoever decides per call looks at [`Certificate::not_after`] and
//! at the Node object.
//!
//! [`Certificate::not_after`]: crate::Certificate::not_after

mod client;
mod credentials;
mod peer;
mod server;
mod verify;

pub use client::{InvalidAddress, Unconnected, channel, connected};
pub use credentials::{Credentials, CredentialsError, once_valid};
pub use peer::{Connection, Peer, peer};
pub use server::serve;

use std::time::Duration;

/// Longest a connection may take to be made, on either side.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);

/// Connections of strangers at once. They come to join or to renew and leave again.
const STRANGERS: usize = 256;

/// How long a stranger may be silent once its connection is made.
const FIRST_BYTE: Duration = Duration::from_secs(5);
/// How long a stranger may stay: one call, with its waits for a quorum.
const STAY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;

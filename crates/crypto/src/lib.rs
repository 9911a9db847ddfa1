//! Sealing of what is stored, and the identity of who speaks.
//!
//! [`seal`] encrypts records and binds each to its place; [`key_file`] keeps the key for it,
//! under an [`UnlockKey`] where the cluster wants that.
//! [`ca`] makes the root, the certificates under it and the tokens to join with, and keeps a
//! node's own in files. [`tls`] carries connections on which both sides know who the other is.
//! Nothing here decides who may do what: that is the manager's business.
#![warn(missing_docs)]

pub mod ca;
mod files;
pub mod key_file;
pub mod seal;
#[cfg(test)]
mod testing;
pub mod tls;
mod unlock;

pub use ca::{Certificate, Identity};
pub use key_file::KeyFile;
pub use seal::{Key, Kind, Place, Sealer};
pub use tls::Credentials;
pub use unlock::{NoUnlockKey, UnlockKey};

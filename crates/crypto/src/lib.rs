//! Sealing of what is stored, and the identity of who speaks.
//!
//! [`seal`] encrypts records and binds each to its place; [`key_file`] keeps the key for it.
//! Nothing here decides who may do what: that is the manager's business.
#![warn(missing_docs)]

mod files;
pub mod key_file;
pub mod seal;

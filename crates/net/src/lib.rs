//! This host's network for its tasks.

mod error;
mod wish;

pub use error::NetError;
pub use wish::{Attached, HostPort, Mode, Options, Wish};

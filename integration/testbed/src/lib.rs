//! What tests against real containerd need: a private daemon and images for it.
//!
//! A [`Containerd`] has root, state and sockets in a directory of its own and touches neither the
//! host's containerd nor its containers. It is stopped by its process id when dropped, after
//! the processes its shims left.

mod containerd;
mod images;
mod registry;
mod tenant;

pub use containerd::{Containerd, unmount_below};
pub use images::{busybox, busybox_archive, busybox_tree};
pub use registry::{Front, Registry};
pub use tenant::Tenant;

pub use mkimage::{Config, Format, Image, Layers};

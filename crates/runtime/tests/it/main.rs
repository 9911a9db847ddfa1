//! The runtime against a real, private containerd. Needs root, containerd and runc.

mod archives;
mod events;
mod life;
mod world;

//! One node for tests and figures: the real `swarm` program on a private containerd, alone in a
//! network namespace, so that several can run side by side on one host.
//!
//! A [`Node`] is daemon, containerd and directory; [`Ran`] is what a command printed; [`until`]
//! waits for a condition and says what it last saw. Nothing here knows what the program should
//! do: that is said by the tests.

mod netns;
mod node;
mod ran;
mod serve;
mod stream;
mod task;
mod view;
mod wait;

pub use netns::{Netns, switch, wire};
pub use node::{Node, program};
pub use ran::Ran;
pub use stream::Stream;
pub use task::{Process, Row};
pub use wait::{DEADLINE, until};

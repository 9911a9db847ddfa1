//! The whole crate against the kernel, each test in a network namespace of its own.

mod attach;
mod crash;
mod publish;
mod repair;
mod world;

//! `swarm dev`: clusters of this machine, made and driven as a user would.

#![cfg(test)]

mod crashes;
mod life;
mod partitions;
mod story;

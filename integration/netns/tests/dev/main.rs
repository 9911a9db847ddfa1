//! `swarm dev`: clusters of this machine, made and driven as a user would.

#![cfg(test)]

mod commands;
mod crashes;
mod failover;
mod forced;
mod life;
mod partitions;
mod reach;
mod roles;
mod story;

//! Tests of the shape of this repository.
//!
//! [`floor`] is the one place that says which crate stands where; everything else here compares
//! the repository with it. There is nothing to use outside of the tests.

/// The floor a crate of the product stands on; an arrow may only point to a lower one.
///
/// `None` for what is not part of the product: tools and tests may use any floor.
#[must_use]
pub fn floor(package: &str) -> Option<u8> {
    Some(match package {
        "swarm-types" => 0,
        "swarm-proto" | "swarm-state" | "swarm-crypto" | "swarm-compose" | "swarm-template" => 1,
        "swarm-planner" | "swarm-raft" | "swarm-net" | "swarm-runtime" | "swarm-client" => 2,
        "swarm-manager" | "swarm-agent" | "swarm-docker" => 3,
        "swarm-node" | "swarm-dev" => 4,
        "swarm" => 5,
        _ => return None,
    })
}

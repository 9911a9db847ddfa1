//! Messages and services of Swarm, and how the state is written to log, snapshot and wire.

/// Generated from `/proto`: messages, clients and servers.
pub mod v1 {
    tonic::include_proto!("swarm.v1");
}

mod sensitive;

//! What the kernel counts of a container.

use std::time::SystemTime;

use crate::{Error, Runtime};

/// Use of one container's cgroup and interfaces. Counters grow from the container's start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stats {
    /// When it was read, on this host's clock.
    pub at: SystemTime,
    /// CPU time of the container, in nanoseconds.
    pub cpu_ns: u64,
    /// CPU time of the whole host, in nanoseconds, to compare with.
    pub system_cpu_ns: u64,
    /// Processors of the host that are online.
    pub online_cpus: u32,
    /// Bytes, without what the kernel can drop at once (inactive file pages), as Docker shows it.
    pub memory_bytes: u64,
    /// The cgroup's bound, or the host's memory when it has none.
    pub memory_limit_bytes: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Bytes received by all interfaces but `lo`; 0 on the host's network.
    pub network_received_bytes: u64,
    /// As [`Stats::network_received_bytes`], sent.
    pub network_sent_bytes: u64,
    /// Bytes read from block devices.
    pub block_read_bytes: u64,
    /// Bytes written to block devices.
    pub block_written_bytes: u64,
}

impl Runtime {
    /// Use of a running container.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no such container, [`Error::NoProcess`] when it does
    /// not run.
    pub async fn stats(&self, id: &str) -> Result<Stats, Error> {
        let _ = id;
        Err(Error::Unsupported { field: "stats" })
    }
}

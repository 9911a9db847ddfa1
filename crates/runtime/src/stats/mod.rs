//! What the kernel counts of a container.
//!
//! [`cgroup`] finds and reads the container's cgroup, whatever mix of versions the host has;
//! [`host`] reads what it is compared with. Reading is theirs and short; every text is parsed by a
//! pure function.

mod cgroup;
mod host;

use std::path::Path;
use std::time::SystemTime;

use crate::container::Status;
use crate::{Error, Runtime};
use cgroup::{Hierarchies, Usage};

/// Use of one container's cgroup and interfaces. Counters grow from the container's start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stats {
    /// When it was read, on this host's clock.
    pub at: SystemTime,
    /// CPU time of the container, in nanoseconds.
    pub cpu_ns: u64,
    /// CPU time of the whole host, idle time included, in nanoseconds, to compare with.
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
        let Status::Running { pid } = self.status(id).await? else {
            return Err(Error::NoProcess { id: id.into() });
        };
        let cgroup = self.cgroup(id);
        let read = tokio::task::spawn_blocking(move || read(&cgroup, pid)).await;
        let read = read.map_err(std::io::Error::other).and_then(|read| read);
        match read.map_err(Error::io("read statistics")) {
            // It may have ended meanwhile.
            Err(_) if !matches!(self.status(id).await?, Status::Running { .. }) => {
                Err(Error::NoProcess { id: id.into() })
            }
            read => read,
        }
    }
}

fn read(cgroup: &Path, pid: u32) -> std::io::Result<Stats> {
    let at = SystemTime::now();
    let hierarchies = Hierarchies::read(&std::fs::read_to_string("/proc/self/mountinfo")?);
    let Usage { cpu_ns, memory_bytes, memory_limit_bytes, pids, block } =
        hierarchies.usage(cgroup)?;
    let (system_cpu_ns, online_cpus) = host::processors(&std::fs::read_to_string("/proc/stat")?);
    let memory = host::memory(&std::fs::read_to_string("/proc/meminfo")?);
    let network = if host::shares_network(pid)? {
        host::Traffic::default()
    } else {
        host::traffic(&std::fs::read_to_string(format!("/proc/{pid}/net/dev"))?)
    };
    Ok(Stats {
        at,
        cpu_ns,
        system_cpu_ns,
        online_cpus,
        memory_bytes,
        memory_limit_bytes: memory_limit_bytes.map_or(memory, |limit| limit.min(memory)),
        pids,
        network_received_bytes: network.received,
        network_sent_bytes: network.sent,
        block_read_bytes: block.read,
        block_written_bytes: block.written,
    })
}

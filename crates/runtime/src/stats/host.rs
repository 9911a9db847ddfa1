//! What a container's use is compared with, and its traffic.

use std::io;

/// Ticks of `/proc/stat` in a second, the same on every processor we run on.
const TICKS: u64 = 100;

/// Bytes over all interfaces but the loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Traffic {
    pub(super) received: u64,
    pub(super) sent: u64,
}

/// CPU time of all processors in nanoseconds, and how many there are, from `/proc/stat`.
pub(super) fn processors(stat: &str) -> (u64, u32) {
    let all = stat.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    // As Docker: from user to soft interrupts; what follows is counted in these.
    let ticks = all.split_whitespace().take(7).filter_map(|ticks| ticks.parse::<u64>().ok());
    let time = ticks.sum::<u64>().saturating_mul(1_000_000_000 / TICKS);
    let one = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    (time, u32::try_from(stat.lines().filter(one).count()).unwrap_or(u32::MAX))
}

/// Bytes of memory, from `/proc/meminfo`.
pub(super) fn memory(meminfo: &str) -> u64 {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0).saturating_mul(1024)
}

/// From `/proc/PID/net/dev`.
pub(super) fn traffic(dev: &str) -> Traffic {
    let mut traffic = Traffic::default();
    let interfaces = dev.lines().filter_map(|line| line.split_once(':'));
    for (_, counters) in interfaces.filter(|(name, _)| name.trim() != "lo") {
        let counter = |at| counters.split_whitespace().nth(at)?.parse::<u64>().ok();
        traffic.received += counter(0).unwrap_or(0);
        traffic.sent += counter(8).unwrap_or(0);
    }
    traffic
}

/// Whether a process lives in our network namespace, which is the host's.
pub(super) fn shares_network(pid: u32) -> io::Result<bool> {
    let of = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net"));
    Ok(of(&pid.to_string())? == of("self")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEV: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
    lo:     500       5    0    0    0     0          0         0      500       5    0    0
  eth0:    1116      14    0    0    0     0          0         0      746       9    0    0
  eth1:10 1 0 0 0 0 0 0 7 1 0 0
";

    #[test]
    fn traffic_is_that_of_all_links_but_the_loop() {
        assert_eq!(traffic(DEV), Traffic { received: 1126, sent: 753 });
        assert_eq!(traffic(""), Traffic::default());
    }

    #[test]
    fn processors_and_memory_are_the_host_s() {
        let stat = "cpu  100 0 50 800 20 5 25 9 9 9\ncpu0 50 0 25 400 10 2 12 0 0 0\n\
                    cpu1 50 0 25 400 10 3 13 0 0 0\nintr 1\n";
        assert_eq!(processors(stat), (10_000_000_000, 2));
        assert_eq!(memory("MemTotal:        4030444 kB\nMemFree: 1 kB\n"), 4_030_444 * 1024);
    }
}

//! What the kernel says a process used.

use std::time::Duration;

/// Processor time of a process, all its threads, user and kernel.
pub(crate) fn cpu(pid: u32) -> std::io::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // After the name, which may hold anything, utime and stime are the 12th and 13th word.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let words = after.split_whitespace().skip(11).take(2);
    let ticks: u64 = words.filter_map(|word| word.parse::<u64>().ok()).sum();
    // The kernel shows ticks of 1/100 s to every program.
    Ok(Duration::from_millis(ticks * 10))
}

/// Resident memory of a process in bytes.
pub(crate) fn resident(pid: u32) -> std::io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().unwrap_or_default();
    Ok(kib * 1024)
}

/// Memory of a process in bytes, with its share of what it shares.
pub(crate) fn proportional(pid: u32) -> std::io::Result<u64> {
    let map = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = map.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default();
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().unwrap_or_default();
    Ok(kib * 1024)
}

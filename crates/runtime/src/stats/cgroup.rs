//! A container's cgroup, on version 1, version 2, or both at once.
//!
//! Each controller is read where it is: in a hierarchy of version 1 that carries it, else in the
//! unified one. A counter that the kernel does not keep counts as 0.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::mountinfo;

/// Where the hierarchies are mounted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Hierarchies {
    /// Of version 1, by controller.
    legacy: HashMap<String, PathBuf>,
    unified: Option<PathBuf>,
}

/// What one cgroup uses.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Usage {
    pub(super) cpu_ns: u64,
    pub(super) memory_bytes: u64,
    /// `None` means no bound.
    pub(super) memory_limit_bytes: Option<u64>,
    pub(super) pids: u64,
    pub(super) block: Block,
}

/// Bytes from and to block devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Block {
    pub(super) read: u64,
    pub(super) written: u64,
}

impl Hierarchies {
    /// Reads `/proc/self/mountinfo`.
    pub(super) fn read(mounts: &str) -> Self {
        let mut found = Self::default();
        for mount in mountinfo::mounts(mounts) {
            match mount.kind.as_str() {
                "cgroup2" => found.unified = found.unified.or(Some(mount.point)),
                "cgroup" => {
                    for controller in mount.options.split(',') {
                        let place = found.legacy.entry(controller.to_owned());
                        place.or_insert_with(|| mount.point.clone());
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// What `cgroup`, absolute within each hierarchy, uses.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub(super) fn usage(&self, cgroup: &Path) -> io::Result<Usage> {
        let inside = cgroup.strip_prefix("/").unwrap_or(cgroup);
        let legacy = |controller| self.legacy.get(controller).map(|root| root.join(inside));
        let unified = self.unified.as_ref().map(|root| root.join(inside));
        let mut usage = Usage::default();
        if let Some(dir) = legacy("cpuacct") {
            usage.cpu_ns = number(&needed(&dir, "cpuacct.usage")?);
        } else if let Some(dir) = &unified {
            usage.cpu_ns = field(&needed(dir, "cpu.stat")?, "usage_usec").saturating_mul(1000);
        }
        if let Some(dir) = legacy("memory") {
            let (used, stat) =
                (needed(&dir, "memory.usage_in_bytes")?, needed(&dir, "memory.stat")?);
            usage.memory_bytes = resident(&used, field(&stat, "total_inactive_file"));
            usage.memory_limit_bytes = limit(&text(&dir, "memory.limit_in_bytes")?);
        } else if let Some(dir) = &unified {
            let (used, stat) = (text(dir, "memory.current")?, text(dir, "memory.stat")?);
            usage.memory_bytes = resident(&used, field(&stat, "inactive_file"));
            usage.memory_limit_bytes = limit(&text(dir, "memory.max")?);
        }
        if let Some(dir) = legacy("pids").or(unified.clone()) {
            usage.pids = number(&text(&dir, "pids.current")?);
        }
        if let Some(dir) = legacy("blkio") {
            // The second one is kept by schedulers that weigh containers against each other.
            let files =
                ["blkio.throttle.io_service_bytes_recursive", "blkio.io_service_bytes_recursive"];
            for file in files {
                if usage.block == Block::default() {
                    usage.block = legacy_block(&text(&dir, file)?);
                }
            }
        } else if let Some(dir) = &unified {
            usage.block = unified_block(&text(dir, "io.stat")?);
        }
        Ok(usage)
    }
}

fn needed(dir: &Path, file: &str) -> io::Result<String> {
    std::fs::read_to_string(dir.join(file))
}

/// Empty when there is no such file.
fn text(dir: &Path, file: &str) -> io::Result<String> {
    match needed(dir, file) {
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        text => text,
    }
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(0)
}

/// A field of lines `NAME VALUE`.
fn field(text: &str, name: &str) -> u64 {
    let value = |line: &str| line.split_once(' ').filter(|(key, _)| *key == name)?.1.parse().ok();
    text.lines().find_map(value).unwrap_or(0)
}

/// As Docker: what the kernel can drop at once does not count.
fn resident(used: &str, inactive_file: u64) -> u64 {
    let used = number(used);
    if inactive_file < used { used - inactive_file } else { used }
}

/// `max`, or a number so large that it means the same.
fn limit(text: &str) -> Option<u64> {
    let limit: u64 = text.trim().parse().ok()?;
    (limit < 1 << 62).then_some(limit)
}

/// Lines `MAJOR:MINOR Read BYTES`.
fn legacy_block(text: &str) -> Block {
    let mut block = Block::default();
    for line in text.lines() {
        let mut words = line.split_whitespace().skip(1);
        let (kind, bytes) = (words.next(), words.next().map_or(0, number));
        match kind {
            Some("Read") => block.read += bytes,
            Some("Write") => block.written += bytes,
            _ => {}
        }
    }
    block
}

/// Lines `MAJOR:MINOR rbytes=BYTES wbytes=BYTES ...`.
fn unified_block(text: &str) -> Block {
    let sum = |key: &str| {
        text.split_whitespace().filter_map(|word| word.strip_prefix(key)).map(number).sum()
    };
    Block { read: sum("rbytes="), written: sum("wbytes=") }
}

#[cfg(test)]
mod tests;

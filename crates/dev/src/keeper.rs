//! A log that does not grow without bound: one process per log, which ends with its input.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Size of a file in bytes after which another is begun; two are kept.
const MAX: u64 = 4 << 20;

/// Where the older part of a log is.
pub(crate) fn older(log: &Path) -> PathBuf {
    log.with_extension("log.1")
}

/// Copies `from` to the end of `log` until it ends. What cannot be written is dropped: whoever
/// writes must not suffer from a full disk.
pub fn keep_log(from: impl Read, log: &Path) {
    keep(from, log, MAX);
}

fn keep(mut from: impl Read, log: &Path, max: u64) {
    let mut piece = vec![0; 64 << 10];
    let mut file = open(log).ok();
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) => return,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        if file.as_ref().is_none_or(|file| is_full(file, max)) {
            let _ = fs::rename(log, older(log));
            file = open(log).ok();
        }
        if let Some(file) = &mut file {
            let _ = file.write_all(&piece[..read]);
        }
    }
}

fn open(log: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(log)
}

fn is_full(file: &File, max: u64) -> bool {
    file.metadata().is_ok_and(|it| it.len() >= max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_stays_within_two_files_and_keeps_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("daemon.log");
        let text: Vec<u8> =
            (0..100_000u32).flat_map(|n| format!("line {n}\n").into_bytes()).collect();

        keep(&text[..], &log, 100_000);

        let size = |path: &Path| fs::metadata(path).unwrap().len();
        assert!(size(&log) + size(&older(&log)) <= 2 * (100_000 + (64 << 10)));
        assert!(fs::read_to_string(&log).unwrap().ends_with("line 99999\n"));
    }
}

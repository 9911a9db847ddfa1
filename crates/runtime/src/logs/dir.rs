//! What lies in the directory of one container's output, and under which names.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::frame::Entry;

/// Bounds of a container's output, as they were when it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bounds {
    /// Bytes of a segment; 0 means unlimited.
    pub(super) max_bytes: u64,
    /// Segments kept.
    pub(super) max_files: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { max_bytes: 0, max_files: 1 }
    }
}

/// First line of the file of bounds.
const VERSION: &str = "version 1";
/// Largest file of bounds read.
const MOST: u64 = 4096;

impl Bounds {
    pub(super) fn write(self, dir: &Path) -> io::Result<()> {
        let Self { max_bytes, max_files } = self;
        let text = format!("{VERSION}\nmax-bytes {max_bytes}\nmax-files {max_files}\n");
        fs::write(dir.join("bounds"), text)
    }

    /// Unlimited where the file is missing or from a version not known: output is never refused.
    pub(super) fn read(dir: &Path) -> Self {
        let mut text = String::new();
        let read = File::open(dir.join("bounds"))
            .and_then(|file| file.take(MOST).read_to_string(&mut text));
        let mut lines = text.lines();
        if read.is_err() || lines.next() != Some(VERSION) {
            return Self::default();
        }
        let mut bounds = Self::default();
        for (key, value) in lines.filter_map(|line| line.split_once(' ')) {
            match key {
                "max-bytes" => bounds.max_bytes = value.parse().unwrap_or(0),
                "max-files" => bounds.max_files = value.parse().unwrap_or(1).max(1),
                _ => {}
            }
        }
        bounds
    }
}

/// Numbers of the segments, in order. None when there is no such directory.
pub(super) fn segments(dir: &Path) -> io::Result<Vec<u32>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let number: Option<u32> =
            name.to_str().and_then(|name| name.strip_suffix(".log")?.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) fn segment(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:04}.log"))
}

pub(super) fn index(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:04}.idx"))
}

/// What the index of a segment tells. One that cannot be read only makes searches longer.
pub(super) fn entries(dir: &Path, segment: u32) -> Vec<Entry> {
    let bytes = fs::read(index(dir, segment)).unwrap_or_default();
    let whole = bytes.as_chunks::<{ Entry::SIZE }>().0;
    whole.iter().map_while(Entry::decode).collect()
}

/// The FIFO on which a writer is asked to write what it has.
pub(super) fn ask(dir: &Path) -> PathBuf {
    dir.join("ask")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_as_written_and_unlimited_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Bounds::read(dir.path()), Bounds::default());

        let bounds = Bounds { max_bytes: 7, max_files: 3 };
        bounds.write(dir.path()).unwrap();
        assert_eq!(Bounds::read(dir.path()), bounds);

        fs::write(dir.path().join("bounds"), "version 2\nmax-bytes 7\n").unwrap();
        assert_eq!(Bounds::read(dir.path()), Bounds::default());
    }

    #[test]
    fn segments_are_ordered_by_number() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["10000.log", "0002.log", "0002.idx", "x.log", "bounds"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(segments(dir.path()).unwrap(), [2, 10000]);
        assert!(segments(&dir.path().join("gone")).unwrap().is_empty());
    }
}

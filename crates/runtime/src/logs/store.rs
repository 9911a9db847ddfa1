//! Appends records to segments.
//!
//! A write that fails drops the records it did not take, counts them, and says so in the log
//! once there is room again. Only whole records stay in a segment, so that the next one begins
//! where a reader looks for it. Nothing is synced: what a power loss takes is recognized.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::dir::{self, Bounds};
use super::frame::{Entry, Kind, MAGIC, Record, START, encode, records};
use super::query;

/// Bytes between two entries of the index.
const STRIDE: u64 = 64 << 10;

/// Where records go.
#[derive(Debug)]
pub(super) struct Store {
    dir: PathBuf,
    bounds: Bounds,
    /// Of the current segment.
    number: u32,
    current: Option<Segment>,
    /// Latest time of all records.
    latest: i64,
    /// What could not be written and is not told yet.
    dropped: Dropped,
}

#[derive(Debug)]
struct Segment {
    file: File,
    /// Missing when there was no room for it.
    index: Option<File>,
    /// Length of whole records.
    length: u64,
    /// Offset of the index's last entry.
    indexed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Dropped {
    lines: u64,
    bytes: u64,
}

impl Store {
    /// Begins a segment behind those there are.
    pub(super) fn open(dir: &Path, bounds: Bounds) -> Self {
        let last = dir::segments(dir).ok().and_then(|all| all.last().copied()).unwrap_or(0);
        // Readers trust what an index says of all that came before, other writers' records too.
        let latest = if last == 0 { Ok(i64::MIN) } else { query::latest(dir) };
        let mut store = Self {
            dir: dir.to_owned(),
            bounds,
            number: last,
            current: None,
            latest: latest.unwrap_or(i64::MAX),
            dropped: Dropped::default(),
        };
        store.turn();
        store
    }

    /// Whether something was dropped that the log does not tell yet.
    pub(super) fn owes(&self) -> bool {
        self.dropped != Dropped::default()
    }

    /// Appends whole records.
    pub(super) fn append(&mut self, frames: &[u8], now: i64) {
        if self.owes() {
            self.tell_dropped(now);
        }
        // As many at once as the segment takes.
        let (mut from, mut to) = (0, 0);
        for (_, length) in records(frames) {
            if self.is_full(to - from, length) {
                self.write(&frames[from..to]);
                self.turn();
                from = to;
            }
            to += length;
        }
        self.write(&frames[from..to]);
    }

    fn tell_dropped(&mut self, now: i64) {
        let Dropped { lines, bytes } = self.dropped;
        let data = [lines.to_le_bytes(), bytes.to_le_bytes()].concat();
        let (kind, partial, continues) = (Kind::Dropped, false, false);
        let mut frame = Vec::new();
        encode(&mut frame, &Record { kind, partial, continues, at: now, data: &data });
        if self.is_full(0, frame.len()) {
            self.turn();
        }
        if self.put(&frame) == frame.len() {
            self.dropped = Dropped::default();
        }
    }

    /// Whether a record does not fit behind `waiting` bytes. A segment takes at least one.
    fn is_full(&self, waiting: usize, length: usize) -> bool {
        let Some(segment) = &self.current else { return waiting == 0 };
        let used = segment.length + waiting as u64;
        self.bounds.max_bytes > 0 && used > START && used + length as u64 > self.bounds.max_bytes
    }

    fn write(&mut self, frames: &[u8]) {
        if frames.is_empty() {
            return;
        }
        let kept = self.put(frames);
        for (record, _) in records(&frames[kept..]) {
            self.dropped.lines += u64::from(!record.partial);
            self.dropped.bytes += record.data.len() as u64;
        }
    }

    /// Returns how many bytes of whole records were written.
    fn put(&mut self, frames: &[u8]) -> usize {
        let Some(segment) = &mut self.current else { return 0 };
        segment.mark(self.latest);
        let taken = segment.take(frames);
        let mut kept = 0;
        for (record, length) in records(&frames[..taken]) {
            self.latest = self.latest.max(record.at);
            kept += length;
        }
        if kept < frames.len() {
            // A part of a record must not stay: the next begins there.
            let _ = segment.file.set_len(segment.length + kept as u64);
        }
        segment.length += kept as u64;
        kept
    }

    /// Goes on in a new segment, with the oldest removed first: there may be no room before.
    fn turn(&mut self) {
        let oldest = (self.number + 1).saturating_sub(self.bounds.max_files.max(1));
        let old = dir::segments(&self.dir).unwrap_or_default();
        for number in old.into_iter().filter(|number| *number <= oldest) {
            let _ = fs::remove_file(dir::segment(&self.dir, number));
            let _ = fs::remove_file(dir::index(&self.dir, number));
        }
        match Segment::create(&self.dir, self.number + 1) {
            Ok(segment) => {
                self.number += 1;
                self.current = Some(segment);
            }
            // Tried again with the next record.
            Err(_) => self.current = None,
        }
    }
}

impl Segment {
    fn create(dir: &Path, number: u32) -> io::Result<Self> {
        let path = dir::segment(dir, number);
        let file = new_file(&path)?;
        if let Err(error) = (&file).write_all(&MAGIC) {
            let _ = fs::remove_file(path);
            return Err(error);
        }
        let index = new_file(&dir::index(dir, number)).ok();
        Ok(Self { file, index, length: START, indexed: 0 })
    }

    /// Adds an entry to the index when it is time for one. Without one, readers search longer.
    fn mark(&mut self, latest: i64) {
        let first = self.indexed == 0;
        if !first && self.length - self.indexed < STRIDE {
            return;
        }
        self.indexed = self.length;
        if let Some(index) = &mut self.index {
            let entry = Entry { offset: self.length, latest }.encode();
            if !matches!(index.write(&entry), Ok(Entry::SIZE)) {
                self.index = None;
            }
        }
    }

    /// Writes behind the whole records until the file system refuses; returns how much it took.
    fn take(&self, frames: &[u8]) -> usize {
        let mut taken = 0;
        while taken < frames.len() {
            match self.file.write_at(&frames[taken..], self.length + taken as u64) {
                Ok(0) => break,
                Ok(count) => taken += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        taken
    }
}

fn new_file(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

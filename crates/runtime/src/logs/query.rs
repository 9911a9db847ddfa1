//! What of a container's output is wanted, and where in its segments that begins.
//!
//! The index of a segment names places about every 64 KiB. The beginning is found through it:
//! by time from the end backwards, by number of lines block by block, so that only what is
//! wanted is read, however long the log is.

use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::cursor::{Cursor, Place, Step};
use super::dir;
use super::frame::{Kind, Record, START};
use super::{LogPlace, LogQuery, Streams};

/// Farthest that the beginning of a line is looked for, in blocks.
const LONGEST: usize = 256;

/// A [`LogQuery`] in the terms of records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    streams: Streams,
    since: i64,
    /// Records at this time or later end the reading.
    pub(super) until: i64,
}

impl Wanted {
    pub(super) fn of(query: &LogQuery) -> Self {
        Self {
            streams: query.streams,
            since: query.since.map_or(i64::MIN, nanos),
            until: query.until.map_or(i64::MAX, nanos),
        }
    }

    pub(super) fn takes(&self, record: &Record<'_>) -> bool {
        let stream = match record.kind {
            Kind::Stdout => self.streams != Streams::Stderr,
            // What was dropped is told as an error of the container.
            Kind::Stderr | Kind::Dropped => self.streams != Streams::Stdout,
        };
        stream && record.at >= self.since && record.at < self.until
    }
}

/// Finds the beginning of what is wanted in the segments of `dir`.
pub(super) fn beginning(dir: &Path, wanted: &Wanted, tail: Option<u64>) -> io::Result<LogPlace> {
    let blocks = blocks(dir, wanted.since)?;
    match tail {
        Some(lines) => last(dir, &blocks, wanted, lines),
        None => {
            let place = blocks.first().copied().unwrap_or(Place::FIRST);
            Ok(LogPlace { place, skip: [0; 2] })
        }
    }
}

/// Places that begin a block, in order, from the last one that has nothing wanted before it.
fn blocks(dir: &Path, since: i64) -> io::Result<Vec<Place>> {
    let mut backwards = Vec::new();
    for segment in dir::segments(dir)?.into_iter().rev() {
        let entries = dir::entries(dir, segment);
        for entry in entries.iter().rev().filter(|entry| entry.offset > START) {
            backwards.push(Place { segment, offset: entry.offset });
            if entry.latest < since {
                backwards.reverse();
                return Ok(backwards);
            }
        }
        backwards.push(Place { segment, offset: START });
        let first = entries.first().filter(|entry| entry.offset == START);
        if first.is_some_and(|entry| entry.latest < since) {
            break;
        }
    }
    backwards.reverse();
    Ok(backwards)
}

/// Where the last `lines` lines begin.
fn last(dir: &Path, blocks: &[Place], wanted: &Wanted, lines: u64) -> io::Result<LogPlace> {
    let mut end = end(dir)?;
    let mut begin = LogPlace { place: end, skip: [0; 2] };
    let (mut missing, mut beyond) = (lines, 0);
    // Whether the first record of a stream goes on with a line that began before.
    let mut continues = [false; 2];
    for place in blocks.iter().rev() {
        let cut = (0..2).any(|stream| continues[stream] && begin.skip[stream] == 0);
        if missing == 0 && (!cut || beyond == LONGEST) {
            break;
        }
        beyond += usize::from(missing == 0);
        let block = scan(dir, *place, end, wanted)?;
        let found = block.ends.len() as u64;
        let kept = found.min(missing);
        missing -= kept;
        let passed = usize::try_from(found - kept).unwrap_or(usize::MAX);
        block.ends.iter().take(passed).for_each(|stream| begin.skip[*stream] += 1);
        for (known, first) in continues.iter_mut().zip(block.continues) {
            *known = first.unwrap_or(*known);
        }
        (begin.place, end) = (*place, *place);
    }
    Ok(begin)
}

/// What a block holds of what is wanted.
#[derive(Default)]
struct Block {
    /// Which stream each line is of, by the order in which lines end.
    ends: Vec<usize>,
    /// Whether the first record of a stream continues a line; `None` when it has none.
    continues: [Option<bool>; 2],
}

fn scan(dir: &Path, from: Place, to: Place, wanted: &Wanted) -> io::Result<Block> {
    let mut block = Block::default();
    let mut cursor = Cursor::new(dir, from);
    while cursor.place() < to {
        let step = cursor.step(|place, record| {
            if place >= to || !wanted.takes(record) {
                return;
            }
            let stream = stream(record.kind);
            block.continues[stream].get_or_insert(record.continues);
            block.ends.extend((!record.partial).then_some(stream));
        })?;
        if step == Step::Caught {
            break;
        }
    }
    Ok(block)
}

/// Number of the stream a record is told as.
pub(super) fn stream(kind: Kind) -> usize {
    match kind {
        Kind::Stdout => 0,
        Kind::Stderr | Kind::Dropped => 1,
    }
}

/// Behind the last record there is now.
pub(super) fn end(dir: &Path) -> io::Result<Place> {
    let Some(segment) = dir::segments(dir)?.last().copied() else { return Ok(Place::FIRST) };
    let size = std::fs::metadata(dir::segment(dir, segment)).map_or(0, |found| found.len());
    let indexed = dir::entries(dir, segment).last().map_or(START, |entry| entry.offset);
    let mut place = Place { segment, offset: if indexed < size { indexed } else { START } };
    let mut cursor = Cursor::new(dir, place);
    loop {
        let step = cursor.step(|_, _| {})?;
        if cursor.place().segment != segment {
            return Ok(place);
        }
        place = cursor.place();
        if step == Step::Caught || place.offset >= size {
            return Ok(place);
        }
    }
}

/// Latest time of all records there are now; `i64::MIN` when there is none.
pub(super) fn latest(dir: &Path) -> io::Result<i64> {
    let indexed = dir::segments(dir)?.into_iter().rev().find_map(|segment| {
        let entry = dir::entries(dir, segment).pop()?;
        Some((Place { segment, offset: entry.offset }, entry.latest))
    });
    let (place, mut latest) = indexed.unwrap_or((Place::FIRST, i64::MIN));
    let mut cursor = Cursor::new(dir, place);
    while cursor.step(|_, record| latest = latest.max(record.at))? == Step::More {}
    Ok(latest)
}

fn nanos(time: SystemTime) -> i64 {
    let capped = |nanos: u128| i64::try_from(nanos).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => capped(since.as_nanos()),
        Err(before) => -capped(before.duration().as_nanos()),
    }
}

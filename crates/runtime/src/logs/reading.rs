//! Reads what is wanted of a directory, without waiting for anything.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::cursor::{Cursor, Place, Step};
use super::frame::{Kind, Record};
use super::query::{self, Wanted};
use super::{Follow, LogLine, LogPlace, LogQuery, LogStream};

/// A reader's place, and what it still passes over.
#[derive(Debug)]
pub(super) struct Reading {
    cursor: Cursor,
    wanted: Wanted,
    /// Lines of each stream that are passed over.
    skip: [u64; 2],
    /// Where it ends; `None` when it follows.
    end: Option<Place>,
}

/// How far one step of reading came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// There may be more.
    More,
    /// That is all there is now.
    Caught,
    /// Nothing more is wanted.
    Over,
}

impl Reading {
    pub(super) fn open(dir: &Path, query: &LogQuery) -> io::Result<Self> {
        let wanted = Wanted::of(query);
        let end = match query.follow {
            Follow::No => Some(query::end(dir)?),
            Follow::UntilEnd => None,
        };
        let begin = match query.after {
            Some(place) => place,
            None => query::beginning(dir, &wanted, query.tail)?,
        };
        Ok(Self { cursor: Cursor::new(dir, begin.place), wanted, skip: begin.skip, end })
    }

    /// Behind what was read, where another reading goes on.
    pub(super) fn place(&self) -> LogPlace {
        LogPlace { place: self.cursor.place(), skip: self.skip }
    }

    /// Reads on, at most a few thousand lines.
    pub(super) fn read(&mut self) -> io::Result<(Vec<LogLine>, Progress)> {
        let Self { cursor, wanted, skip, end } = self;
        let (mut lines, mut over) = (Vec::new(), false);
        let step = cursor.step(|place, record| {
            over |= end.is_some_and(|end| place >= end) || record.at >= wanted.until;
            if over || !wanted.takes(record) {
                return;
            }
            let skip = &mut skip[query::stream(record.kind)];
            match *skip {
                0 => lines.push(line(record)),
                _ => *skip -= u64::from(!record.partial),
            }
        })?;
        let ended = end.is_some_and(|end| cursor.place() >= end);
        let progress = match step {
            _ if over || ended => Progress::Over,
            Step::Caught if end.is_some() => Progress::Over,
            Step::Caught => Progress::Caught,
            Step::More => Progress::More,
        };
        Ok((lines, progress))
    }
}

fn line(record: &Record<'_>) -> LogLine {
    let (stream, data) = match record.kind {
        Kind::Stdout => (LogStream::Stdout, record.data.to_vec()),
        Kind::Stderr => (LogStream::Stderr, record.data.to_vec()),
        Kind::Dropped => (LogStream::Stderr, dropped(record.data).into_bytes()),
    };
    LogLine { at: time(record.at), stream, data, partial: record.partial }
}

fn dropped(data: &[u8]) -> String {
    let number = |at: usize| {
        let bytes = data.get(at..).and_then(<[u8]>::first_chunk::<8>);
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    let (lines, bytes) = (number(0), number(8));
    format!("swarm: {lines} lines ({bytes} bytes) were dropped here, the log could not be written")
}

fn time(nanos: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    let time =
        if nanos < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    time.unwrap_or(UNIX_EPOCH)
}

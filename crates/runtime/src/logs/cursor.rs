//! Walks through the segments, forward.
//!
//! A cursor stands between two records. It holds the open segment, so that one which is removed
//! meanwhile is still read to its end, and goes on to the next when there is one: the writer
//! begins it only after the last record of the one before.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::dir;
use super::frame::{Entry, Found, MAGIC, Record, START, decode};

/// Bytes read at once; several records of full length.
const CHUNK: usize = 128 << 10;
/// Where nothing is: a segment of another format is passed over.
const BEYOND: u64 = 1 << 62;

/// A place between two records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    pub(super) segment: u32,
    pub(super) offset: u64,
}

impl Place {
    pub(super) const FIRST: Self = Self { segment: 0, offset: START };
}

/// How far one step of reading came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// There may be more.
    More,
    /// That is all there is now.
    Caught,
}

/// Reads on from a place.
#[derive(Debug)]
pub(super) struct Cursor {
    dir: PathBuf,
    place: Place,
    file: Option<File>,
    /// The segment is followed by another and was looked at once more since.
    last_look: bool,
    /// Empty while nothing is read: many followers wait at a time.
    buffer: Vec<u8>,
}

impl Cursor {
    pub(super) fn new(dir: &Path, place: Place) -> Self {
        Self { dir: dir.to_owned(), place, file: None, last_look: false, buffer: Vec::new() }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Reads once, and hands on each record with its place.
    pub(super) fn step(&mut self, each: impl FnMut(Place, &Record<'_>)) -> io::Result<Step> {
        let step = self.read(each);
        if step.as_ref().is_ok_and(|step| *step == Step::Caught) {
            self.buffer = Vec::new();
        }
        step
    }

    fn read(&mut self, mut each: impl FnMut(Place, &Record<'_>)) -> io::Result<Step> {
        if self.file.is_none() && !self.open()? {
            return Ok(Step::Caught);
        }
        let Some(file) = &self.file else { return Ok(Step::Caught) };
        if self.buffer.is_empty() {
            self.buffer = vec![0; CHUNK];
        }
        let count = fill(file, &mut self.buffer, self.place.offset)?;
        let mut bytes = &self.buffer[..count];
        let rest = loop {
            match decode(bytes) {
                Found::Record(record, length) => {
                    each(self.place, &record);
                    self.place.offset += length as u64;
                    bytes = &bytes[length..];
                }
                rest => break rest,
            }
        };
        if bytes.len() < count {
            self.last_look = false;
            return Ok(Step::More);
        }
        // Behind a damaged record, the index tells where another begins.
        let known = match rest {
            Found::Bad => dir::entries(&self.dir, self.place.segment),
            Found::Short | Found::Record(..) => Vec::new(),
        };
        self.next(&known)
    }

    /// Nothing whole is here: goes on to where the next record is known to be, if there is one.
    fn next(&mut self, known: &[Entry]) -> io::Result<Step> {
        let Place { segment, offset } = self.place;
        let beyond = known.iter().map(|entry| entry.offset).find(|next| *next > offset);
        let next = match beyond {
            Some(offset) => Place { segment, offset },
            None => {
                let mut all = dir::segments(&self.dir)?.into_iter();
                let Some(segment) = all.find(|number| *number > segment) else {
                    return Ok(Step::Caught);
                };
                Place { segment, offset: START }
            }
        };
        if self.last_look {
            if next.segment != segment {
                self.file = None;
            }
            self.place = next;
        }
        self.last_look = !self.last_look;
        Ok(Step::More)
    }

    /// Opens the segment of the place, or the first one behind it. False when there is none.
    fn open(&mut self) -> io::Result<bool> {
        for number in dir::segments(&self.dir)? {
            if number < self.place.segment {
                continue;
            }
            match File::open(dir::segment(&self.dir, number)) {
                Ok(file) => {
                    if !is_ours(&file)? {
                        self.place = Place { segment: number, offset: BEYOND };
                    } else if number > self.place.segment {
                        self.place = Place { segment: number, offset: START };
                    }
                    self.file = Some(file);
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

fn is_ours(file: &File) -> io::Result<bool> {
    let mut magic = [0; MAGIC.len()];
    let count = fill(file, &mut magic, 0)?;
    // It may be just begun.
    Ok(magic[..count] == MAGIC[..count])
}

/// Reads as much as there is, at most `buffer`.
pub(super) fn fill(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match file.read_at(&mut buffer[count..], offset + count as u64) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

//! Cuts one stream into lines.
//!
//! As Docker does, a line longer than [`MAX_DATA`] becomes several records, and so does one of
//! just that length. Where the reads of the pipe happened to end never shows in the records.

use super::frame::{Kind, MAX_DATA, Record, encode};

/// One stream, and what of its last line is not written yet.
#[derive(Debug)]
pub(super) struct Lines {
    kind: Kind,
    /// Less than [`MAX_DATA`] bytes.
    held: Vec<u8>,
    /// A part of the line was written before.
    begun: bool,
}

impl Lines {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, held: Vec::new(), begun: false }
    }

    /// Takes what was read, and appends the records it makes.
    pub(super) fn push(&mut self, bytes: &[u8], at: i64, out: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some(newline) = memchr::memchr(b'\n', rest) {
            self.whole_parts(&rest[..newline], at, out, |lines, part, out| {
                lines.write(part, Ends::Line, at, out);
            });
            rest = &rest[newline + 1..];
        }
        self.whole_parts(rest, at, out, |lines, part, _| lines.held.extend_from_slice(part));
    }

    /// Writes what is held as a part: whoever reads now sees it.
    pub(super) fn show(&mut self, at: i64, out: &mut Vec<u8>) {
        if !self.held.is_empty() {
            self.write(&[], Ends::Part, at, out);
        }
    }

    /// Writes what is held as the stream's last line.
    pub(super) fn end(&mut self, at: i64, out: &mut Vec<u8>) {
        if self.begun || !self.held.is_empty() {
            self.write(&[], Ends::Line, at, out);
        }
    }

    /// Writes parts of full length, and hands on what is left.
    fn whole_parts(
        &mut self,
        mut piece: &[u8],
        at: i64,
        out: &mut Vec<u8>,
        then: impl FnOnce(&mut Self, &[u8], &mut Vec<u8>),
    ) {
        while self.held.len() + piece.len() >= MAX_DATA {
            let (part, rest) = piece.split_at(MAX_DATA - self.held.len());
            self.write(part, Ends::Part, at, out);
            piece = rest;
        }
        then(self, piece, out);
    }

    /// Writes what is held and `more` as one record.
    fn write(&mut self, more: &[u8], ends: Ends, at: i64, out: &mut Vec<u8>) {
        let data = if self.held.is_empty() {
            more
        } else {
            self.held.extend_from_slice(more);
            &self.held
        };
        let partial = matches!(ends, Ends::Part);
        encode(out, &Record { kind: self.kind, partial, continues: self.begun, at, data });
        self.held.clear();
        self.begun = partial;
    }
}

/// What ends with a record.
#[derive(Clone, Copy)]
enum Ends {
    Part,
    Line,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::logs::frame::records;

    fn cut(pieces: &[&[u8]]) -> Vec<(usize, bool, bool)> {
        let (mut lines, mut out) = (Lines::new(Kind::Stdout), Vec::new());
        pieces.iter().for_each(|piece| lines.push(piece, 1, &mut out));
        lines.end(1, &mut out);
        records(&out).map(|(one, _)| (one.data.len(), one.partial, one.continues)).collect()
    }

    #[test]
    fn long_lines_become_parts() {
        let long = vec![b'x'; MAX_DATA];
        assert_eq!(cut(&[b"ab\n\nc"]), [(2, false, false), (0, false, false), (1, false, false)]);
        assert_eq!(cut(&[&long, b"\n"]), [(MAX_DATA, true, false), (0, false, true)]);
        assert_eq!(cut(&[&long[1..], b"\n"]), [(MAX_DATA - 1, false, false)]);
        assert_eq!(cut(&[&long, b"yz\na\n"])[1..], [(2, false, true), (1, false, false)]);
    }

    proptest! {
        /// Joined again, the records are the stream, wherever the reads ended.
        #[test]
        fn the_records_are_the_stream(
            stream in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200),
            repeat in 1..400usize, size in 1..70_000usize,
        ) {
            let stream = stream.repeat(repeat);
            let (mut lines, mut out) = (Lines::new(Kind::Stderr), Vec::new());
            stream.chunks(size).for_each(|piece| lines.push(piece, 1, &mut out));
            lines.end(1, &mut out);

            let mut joined = Vec::new();
            for (record, _) in records(&out) {
                joined.extend_from_slice(record.data);
                joined.extend((!record.partial).then_some(b'\n'));
            }
            let mut expected = stream;
            if expected.last().is_some_and(|last| *last != b'\n') {
                expected.push(b'\n');
            }
            prop_assert!(joined == expected);
            let whole: Vec<_> = cut(&[&expected]);
            let pieces: Vec<_> = records(&out)
                .map(|(one, _)| (one.data.len(), one.partial, one.continues)).collect();
            prop_assert_eq!(whole, pieces);
        }
    }
}

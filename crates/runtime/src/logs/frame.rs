//! How records lie in a file.
//!
//! A segment begins with [`MAGIC`], then record follows record: checksum, length, time, kind,
//! data. Records are only ever found by walking from a place known to begin one, so data that
//! looks like a record is never taken for one.

/// First bytes of a segment; the last one is the version of the format.
pub(super) const MAGIC: [u8; 8] = *b"SWMLOG\0\x01";
/// Offset of a segment's first record.
pub(super) const START: u64 = MAGIC.len() as u64;
/// Longest data of a record; longer lines become several.
pub(super) const MAX_DATA: usize = 16 << 10;
/// Bytes before the data of a record.
pub(super) const HEAD: usize = 17;

const KIND: u8 = 0b11;
const PARTIAL: u8 = 1 << 2;
const CONTINUES: u8 = 1 << 3;

/// What a record holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Data of standard output.
    Stdout,
    /// Data of standard error.
    Stderr,
    /// Two little-endian numbers: lines and bytes that could not be written.
    Dropped,
}

/// One record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Record<'a> {
    pub(super) kind: Kind,
    /// The line goes on in the next record of its kind.
    pub(super) partial: bool,
    /// The line began in an earlier record of its kind.
    pub(super) continues: bool,
    /// Nanoseconds since the epoch.
    pub(super) at: i64,
    pub(super) data: &'a [u8],
}

/// What is found at a place where a record may begin.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Found<'a> {
    /// A record, and its whole length.
    Record(Record<'a>, usize),
    /// The beginning of one: more may come.
    Short,
    /// None.
    Bad,
}

/// Appends a record. Its data has at most [`MAX_DATA`] bytes.
pub(super) fn encode(out: &mut Vec<u8>, record: &Record<'_>) {
    let from = out.len();
    let kind = match record.kind {
        Kind::Stdout => 1,
        Kind::Stderr => 2,
        Kind::Dropped => 3,
    };
    let partial = if record.partial { PARTIAL } else { 0 };
    let continues = if record.continues { CONTINUES } else { 0 };
    let length = u32::try_from(record.data.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&record.at.to_le_bytes());
    out.push(kind | partial | continues);
    out.extend_from_slice(record.data);
    let sum = crc32fast::hash(&out[from + 4..]);
    out[from..from + 4].copy_from_slice(&sum.to_le_bytes());
}

/// Reads the record that begins `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Found<'_> {
    let Some(head) = bytes.first_chunk::<HEAD>() else { return Found::Short };
    let length = length(head) - HEAD;
    if length > MAX_DATA {
        return Found::Bad;
    }
    let Some(body) = bytes.get(4..HEAD + length) else { return Found::Short };
    if crc32fast::hash(body).to_le_bytes() != head[..4] {
        return Found::Bad;
    }
    let flags = head[16];
    let kind = match flags & KIND {
        1 => Kind::Stdout,
        2 => Kind::Stderr,
        3 => Kind::Dropped,
        _ => return Found::Bad,
    };
    let mut at = [0; 8];
    at.copy_from_slice(&head[8..16]);
    let record = Record {
        kind,
        partial: flags & PARTIAL != 0,
        continues: flags & CONTINUES != 0,
        at: i64::from_le_bytes(at),
        data: &bytes[HEAD..HEAD + length],
    };
    Found::Record(record, HEAD + length)
}

/// Whole length of a record, by its head.
fn length(head: &[u8; HEAD]) -> usize {
    let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    usize::try_from(length).unwrap_or(usize::MAX).saturating_add(HEAD)
}

/// The records `bytes` begins with, up to the first that is not whole.
pub(super) fn records(mut bytes: &[u8]) -> impl Iterator<Item = (Record<'_>, usize)> {
    std::iter::from_fn(move || {
        let Found::Record(record, length) = decode(bytes) else { return None };
        bytes = &bytes[length..];
        Some((record, length))
    })
}

/// An entry of a segment's index: a record begins at `offset`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) offset: u64,
    /// Latest time of all records before, in nanoseconds since the epoch.
    pub(super) latest: i64,
}

impl Entry {
    /// Bytes of an entry.
    pub(super) const SIZE: usize = 20;

    pub(super) fn encode(self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[4..12].copy_from_slice(&self.offset.to_le_bytes());
        out[12..].copy_from_slice(&self.latest.to_le_bytes());
        let sum = crc32fast::hash(&out[4..]);
        out[..4].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// `None` for what a crash left.
    pub(super) fn decode(bytes: &[u8; Self::SIZE]) -> Option<Self> {
        if crc32fast::hash(&bytes[4..]).to_le_bytes() != bytes[..4] {
            return None;
        }
        let (mut offset, mut latest) = ([0; 8], [0; 8]);
        offset.copy_from_slice(&bytes[4..12]);
        latest.copy_from_slice(&bytes[12..]);
        Some(Self { offset: u64::from_le_bytes(offset), latest: i64::from_le_bytes(latest) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_record() -> impl Strategy<Value = (bool, bool, i64, Vec<u8>)> {
        (any::<bool>(), any::<bool>(), any::<i64>(), prop::collection::vec(any::<u8>(), 0..300))
    }

    proptest! {
        /// What was written is read, and a cut anywhere loses the records behind it only.
        #[test]
        fn a_cut_loses_what_is_behind_it(
            all in prop::collection::vec(any_record(), 1..8), cut in any::<prop::sample::Index>(),
        ) {
            let records_in = all.iter().map(|(partial, continues, at, data)| Record {
                kind: Kind::Stderr, partial: *partial, continues: *continues, at: *at, data,
            });
            let records_in: Vec<Record<'_>> = records_in.collect();
            let (mut bytes, mut ends) = (Vec::new(), Vec::new());
            for record in &records_in {
                encode(&mut bytes, record);
                ends.push(bytes.len());
            }
            let cut = cut.index(bytes.len() + 1);

            let found: Vec<Record<'_>> = records(&bytes[..cut]).map(|(record, _)| record).collect();

            let whole = ends.iter().filter(|end| **end <= cut).count();
            prop_assert_eq!(found, &records_in[..whole]);
        }

        /// No changed byte is read as something else.
        #[test]
        fn a_changed_record_is_not_read(
            (partial, continues, at, data) in any_record(),
            place in any::<prop::sample::Index>(), change in 1..=255u8,
        ) {
            let mut bytes = Vec::new();
            encode(&mut bytes, &Record { kind: Kind::Stdout, partial, continues, at, data: &data });
            let place = place.index(bytes.len());
            bytes[place] ^= change;

            prop_assert!(!matches!(decode(&bytes), Found::Record(..)));
        }

        #[test]
        fn a_changed_entry_is_not_read(
            offset: u64, latest: i64, place in 0..Entry::SIZE, change in 1..=255u8,
        ) {
            let entry = Entry { offset, latest };
            let mut bytes = entry.encode();
            prop_assert_eq!(Entry::decode(&bytes), Some(entry));
            bytes[place] ^= change;
            prop_assert_eq!(Entry::decode(&bytes), None);
        }
    }
}

//! A place in a container's output: where one reader came to and another goes on.

use super::cursor::Place;

/// Behind what a reader has read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogPlace {
    pub(super) place: Place,
    /// Lines of each stream that are passed over from there.
    pub(super) skip: [u64; 2],
}

impl LogPlace {
    /// As bytes, for who keeps it; [`Self::decode`] reads them.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.place.segment.to_le_bytes().to_vec();
        for number in [self.place.offset, self.skip[0], self.skip[1]] {
            out.extend(number.to_le_bytes());
        }
        out
    }

    /// `None` for bytes that are no place. One that is none of that container's output is harmless:
    /// reading begins at the next record that is known.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (segment, numbers) = bytes.split_first_chunk()?;
        let (numbers, []) = numbers.as_chunks() else { return None };
        let numbers: [[u8; 8]; 3] = numbers.try_into().ok()?;
        let [offset, out, err] = numbers.map(u64::from_le_bytes);
        let place = Place { segment: u32::from_le_bytes(*segment), offset };
        Some(Self { place, skip: [out, err] })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_place_is_read_as_it_was_written(segment: u32, offset: u64, skip: [u64; 2]) {
            let place = LogPlace { place: Place { segment, offset }, skip };
            let bytes = place.encode();
            prop_assert_eq!(LogPlace::decode(&bytes), Some(place));
            prop_assert_eq!(LogPlace::decode(&bytes[1..]), None);
        }
    }
}

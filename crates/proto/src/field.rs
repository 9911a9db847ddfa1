//! Reads and writes single fields of requests and answers, which have no type of their own.
//!
//! `name` is the field's name in the proto file; it becomes the path of the error.

use std::str::FromStr;

use swarm_types::ID_LEN;

use crate::DecodeError;
pub use crate::codec::Word;
use crate::codec::{self, need};

/// An id as requests carry it.
#[must_use]
pub fn put_id<T: Copy + Into<[u8; ID_LEN]>>(id: T) -> Vec<u8> {
    codec::id::enc(&id)
}

/// Reads an id.
///
/// # Errors
///
/// [`crate::Why::Not`] when the bytes are not an id.
pub fn id<T: FromStr>(bytes: &[u8], name: &str) -> Result<T, DecodeError> {
    codec::id::dec(bytes, name)
}

/// Reads a part that must be there, such as the spec of a request.
///
/// # Errors
///
/// [`crate::Why::Missing`] when it is absent, and whatever reading it refuses.
pub fn part<W, T>(part: Option<W>, name: &str) -> Result<T, DecodeError>
where
    T: TryFrom<W, Error = DecodeError>,
{
    need::dec(part, name)
}

/// The number of an enum's case.
#[must_use]
pub fn put_word<T: Word>(word: T) -> i32 {
    word.number()
}

/// Reads an enum.
///
/// # Errors
///
/// [`crate::Why::UnknownNumber`] for 0 and for a number this version does not know.
pub fn word<T: Word>(number: i32, name: &str) -> Result<T, DecodeError> {
    codec::word::dec(number, name)
}

//! How single fields travel: one module per form, each with `enc` and `dec`.
//!
//! [`mirror!`] puts a message together from such fields, in both directions and without a field
//! left out: the compiler refuses a mirror that misses one of either side. Messages with a
//! oneof are converted by hand.

use crate::error::{DecodeError, Why};

type Decoded<T> = Result<T, DecodeError>;

/// Implements both conversions between a type and the message of the same name.
///
/// Fields are given as `name: form`; those with another name on the wire follow after `as`, as
/// `wire_name = name: form`.
macro_rules! mirror {
    ($ours:ident { $($name:ident: $form:ident),* $(,)? }
        $(as { $($wire:ident = $field:ident: $other:ident),* $(,)? })?) => {
        mirror!($ours => $crate::v1::$ours { $($name: $form),* }
            $(as { $($wire = $field: $other),* })?);
    };
    ($ours:ident => $message:path { $($name:ident: $form:ident),* $(,)? }
        $(as { $($wire:ident = $field:ident: $other:ident),* $(,)? })?) => {
        impl From<&$ours> for $message {
            fn from(it: &$ours) -> Self {
                Self {
                    $($name: $crate::codec::$form::enc(&it.$name),)*
                    $($($wire: $crate::codec::$other::enc(&it.$field),)*)?
                }
            }
        }

        impl TryFrom<$message> for $ours {
            type Error = $crate::DecodeError;
            fn try_from(it: $message) -> Result<Self, Self::Error> {
                Ok(Self {
                    $($name: $crate::codec::$form::dec(it.$name, stringify!($name))?,)*
                    $($($field: $crate::codec::$other::dec(it.$wire, stringify!($wire))?,)*)?
                })
            }
        }
    };
}

/// Maps an enum to the wire enum of the same name, case by case.
macro_rules! words {
    ($($ours:ident { $($case:ident),* $(,)? })*) => {$(
        impl $crate::codec::Word for $ours {
            fn number(self) -> i32 {
                match self {
                    $(Self::$case => $crate::v1::$ours::$case as i32,)*
                }
            }

            fn from_number(number: i32) -> Option<Self> {
                match $crate::v1::$ours::try_from(number).ok()? {
                    $crate::v1::$ours::Unspecified => None,
                    $($crate::v1::$ours::$case => Some(Self::$case),)*
                }
            }
        }
    )*};
}

pub(crate) use {mirror, words};

/// An enum whose cases have numbers on the wire; none has 0.
pub trait Word: Copy {
    /// The number of this case.
    fn number(self) -> i32;
    /// The case of that number, `None` for 0 and for one this version does not know.
    fn from_number(number: i32) -> Option<Self>;
}

/// The same on both sides.
pub(crate) mod same {
    use super::Decoded;

    pub(crate) fn enc<T: Clone>(it: &T) -> T {
        it.clone()
    }

    pub(crate) fn dec<T>(it: T, _: &str) -> Decoded<T> {
        Ok(it)
    }
}

/// A part that must be there.
pub(crate) mod need {
    use super::{DecodeError, Decoded};

    pub(crate) fn enc<'a, T, W: From<&'a T>>(it: &'a T) -> Option<W> {
        Some(W::from(it))
    }

    pub(crate) fn dec<W, T: TryFrom<W, Error = DecodeError>>(
        it: Option<W>,
        name: &str,
    ) -> Decoded<T> {
        let it = it.ok_or_else(|| DecodeError::missing(name))?;
        T::try_from(it).map_err(|error| error.within(name))
    }
}

/// A part that must be there and is boxed on both sides.
pub(crate) mod boxed {
    use std::ops::Deref;

    use super::{DecodeError, Decoded, need};

    pub(crate) fn enc<'a, B: Deref, W: From<&'a B::Target>>(it: &'a B) -> Option<Box<W>> {
        Some(Box::new(W::from(&**it)))
    }

    pub(crate) fn dec<W, T: TryFrom<W, Error = DecodeError>>(
        it: Option<Box<W>>,
        name: &str,
    ) -> Decoded<Box<T>> {
        need::dec(it.map(|it| *it), name).map(Box::new)
    }
}

/// A part that may be absent.
pub(crate) mod maybe {
    use super::{DecodeError, Decoded};

    pub(crate) fn enc<'a, T, W: From<&'a T>>(it: &'a Option<T>) -> Option<W> {
        it.as_ref().map(W::from)
    }

    pub(crate) fn dec<W, T: TryFrom<W, Error = DecodeError>>(
        it: Option<W>,
        name: &str,
    ) -> Decoded<Option<T>> {
        it.map(T::try_from).transpose().map_err(|error| error.within(name))
    }
}

/// Any number of parts.
pub(crate) mod list {
    use super::{DecodeError, Decoded};

    pub(crate) fn enc<'a, T, W: From<&'a T>>(it: &'a [T]) -> Vec<W> {
        it.iter().map(W::from).collect()
    }

    pub(crate) fn dec<W, T: TryFrom<W, Error = DecodeError>>(
        it: Vec<W>,
        name: &str,
    ) -> Decoded<Vec<T>> {
        let parts = it.into_iter().enumerate().map(|(position, part)| {
            T::try_from(part).map_err(|error| error.within_list(name, position))
        });
        parts.collect()
    }
}

/// A case of an enum.
pub(crate) mod word {
    use super::{DecodeError, Decoded, Why, Word};

    pub(crate) fn enc<T: Word>(it: &T) -> i32 {
        it.number()
    }

    pub(crate) fn dec<T: Word>(it: i32, name: &str) -> Decoded<T> {
        T::from_number(it).ok_or_else(|| DecodeError::new(name, Why::UnknownNumber(it)))
    }
}

/// An id: the bytes of its text.
pub(crate) mod id {
    use std::str::FromStr;

    use swarm_types::ID_LEN;

    use super::{DecodeError, Decoded, Why};

    pub(crate) fn enc<T: Copy + Into<[u8; ID_LEN]>>(it: &T) -> Vec<u8> {
        let bytes: [u8; ID_LEN] = (*it).into();
        bytes.to_vec()
    }

    pub(crate) fn dec<T: FromStr>(it: impl AsRef<[u8]>, name: &str) -> Decoded<T> {
        let text = std::str::from_utf8(it.as_ref()).ok();
        text.and_then(|text| text.parse().ok())
            .ok_or_else(|| DecodeError::new(name, Why::Not("an id")))
    }
}

/// An id that may be absent.
pub(crate) mod maybe_id {
    use std::str::FromStr;

    use swarm_types::ID_LEN;

    use super::{Decoded, id};

    pub(crate) fn enc<T: Copy + Into<[u8; ID_LEN]>>(it: &Option<T>) -> Option<Vec<u8>> {
        it.as_ref().map(id::enc)
    }

    pub(crate) fn dec<T: FromStr>(it: Option<Vec<u8>>, name: &str) -> Decoded<Option<T>> {
        it.map(|it| id::dec(it, name)).transpose()
    }
}

/// Ids by a text.
pub(crate) mod id_map {
    use std::collections::BTreeMap;

    use swarm_types::SecretId;

    use super::{Decoded, id};

    pub(crate) fn enc(it: &BTreeMap<String, SecretId>) -> BTreeMap<String, Vec<u8>> {
        it.iter().map(|(key, it)| (key.clone(), id::enc(it))).collect()
    }

    pub(crate) fn dec(
        it: BTreeMap<String, Vec<u8>>,
        name: &str,
    ) -> Decoded<BTreeMap<String, SecretId>> {
        it.into_iter().map(|(key, it)| Ok((key, id::dec(it, name)?))).collect()
    }
}

/// A duration in nanoseconds. Ends at 584 years; longer ones become that.
pub(crate) mod span {
    use std::time::Duration;

    use super::Decoded;

    pub(crate) fn enc(it: &Duration) -> u64 {
        u64::try_from(it.as_nanos()).unwrap_or(u64::MAX)
    }

    pub(crate) fn dec(it: u64, _: &str) -> Decoded<Duration> {
        Ok(Duration::from_nanos(it))
    }
}

/// A point in time.
pub(crate) mod time {
    use swarm_types::Timestamp;

    use super::Decoded;

    pub(crate) fn enc(it: &Timestamp) -> i64 {
        it.0
    }

    pub(crate) fn dec(it: i64, _: &str) -> Decoded<Timestamp> {
        Ok(Timestamp(it))
    }
}

/// A point in time that may be absent.
pub(crate) mod maybe_time {
    use swarm_types::Timestamp;

    use super::Decoded;

    pub(crate) fn enc(it: &Option<Timestamp>) -> Option<i64> {
        it.map(|it| it.0)
    }

    pub(crate) fn dec(it: Option<i64>, _: &str) -> Decoded<Option<Timestamp>> {
        Ok(it.map(Timestamp))
    }
}

/// A number that is smaller on our side.
pub(crate) mod small {
    use super::{DecodeError, Decoded, Why};

    pub(crate) fn enc<T: Copy + Into<u32>>(it: &T) -> u32 {
        (*it).into()
    }

    pub(crate) fn dec<T: TryFrom<u32>>(it: u32, name: &str) -> Decoded<T> {
        T::try_from(it).map_err(|_| DecodeError::new(name, Why::Not("in range")))
    }
}

/// An address or a subnet, as text. Only the form that is written is read: one value, one text.
pub(crate) mod addr {
    use std::fmt::Display;
    use std::str::FromStr;

    use super::{DecodeError, Decoded, Why};

    pub(crate) fn enc<T: Display>(it: &T) -> String {
        it.to_string()
    }

    pub(crate) fn dec<T: Display + FromStr>(it: impl AsRef<str>, name: &str) -> Decoded<T> {
        let read: Option<T> = it.as_ref().parse().ok();
        read.filter(|read| read.to_string() == it.as_ref())
            .ok_or_else(|| DecodeError::new(name, Why::Not("an address")))
    }
}

/// An address that may be absent.
pub(crate) mod maybe_addr {
    use std::fmt::Display;
    use std::str::FromStr;

    use super::{Decoded, addr};

    pub(crate) fn enc<T: Display>(it: &Option<T>) -> Option<String> {
        it.as_ref().map(addr::enc)
    }

    pub(crate) fn dec<T: Display + FromStr>(it: Option<String>, name: &str) -> Decoded<Option<T>> {
        it.map(|it| addr::dec(it, name)).transpose()
    }
}

/// Any number of addresses.
pub(crate) mod addrs {
    use std::fmt::Display;
    use std::str::FromStr;

    use super::{Decoded, addr};

    pub(crate) fn enc<T: Display>(it: &[T]) -> Vec<String> {
        it.iter().map(addr::enc).collect()
    }

    pub(crate) fn dec<T: Display + FromStr>(it: Vec<String>, name: &str) -> Decoded<Vec<T>> {
        it.iter().map(|it| addr::dec(it, name)).collect()
    }
}

/// Addresses by name.
pub(crate) mod addr_map {
    use std::collections::BTreeMap;
    use std::net::IpAddr;

    use super::{Decoded, addr};

    pub(crate) fn enc(it: &BTreeMap<String, IpAddr>) -> BTreeMap<String, String> {
        it.iter().map(|(key, it)| (key.clone(), addr::enc(it))).collect()
    }

    pub(crate) fn dec(
        it: BTreeMap<String, String>,
        name: &str,
    ) -> Decoded<BTreeMap<String, IpAddr>> {
        it.into_iter().map(|(key, it)| Ok((key, addr::dec(it, name)?))).collect()
    }
}

/// A state hash.
pub(crate) mod hash {
    use super::{DecodeError, Decoded, Why};

    pub(crate) fn enc(it: &[u8; 32]) -> Vec<u8> {
        it.to_vec()
    }

    pub(crate) fn dec(it: Vec<u8>, name: &str) -> Decoded<[u8; 32]> {
        it.try_into().map_err(|_| DecodeError::new(name, Why::Not("a hash of 32 bytes")))
    }
}

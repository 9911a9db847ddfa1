//! Values of every type, drawn from a list of choices that proptest makes and shrinks.
//!
//! Each type says how it is put together; a struct that misses a field does not compile. When
//! the choices run out every further one is 0, the smallest value, so shrinking the list
//! shrinks the value.

mod change;
mod object;
mod spec;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ipnetwork::IpNetwork;
use proptest::prelude::*;
use swarm_types::*;

/// The choices of one value.
pub(crate) struct Choices {
    bytes: Vec<u8>,
    next: usize,
}

impl Choices {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, next: 0 }
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next += 1;
        self.bytes.get(self.next - 1).copied().unwrap_or(0)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    pub(crate) fn draw<T: Draw>(&mut self) -> T {
        T::draw(self)
    }
}

pub(crate) trait Draw: Sized {
    fn draw(from: &mut Choices) -> Self;
}

/// Any value of the type.
pub(crate) fn any_of<T: Draw + std::fmt::Debug>() -> impl Strategy<Value = T> {
    prop::collection::vec(any::<u8>(), 0..2500).prop_map(|bytes| Choices::new(bytes).draw())
}

/// A struct, field by field.
macro_rules! fields {
    ($($name:ident { $($field:ident),* $(,)? })*) => {$(
        impl $crate::draw::Draw for $name {
            fn draw(from: &mut $crate::draw::Choices) -> Self {
                Self { $($field: from.draw()),* }
            }
        }
    )*};
}

/// An enum, case by case.
macro_rules! cases {
    ($($name:ident [ $($case:expr),* $(,)? ])*) => {$(
        impl $crate::draw::Draw for $name {
            fn draw(from: &mut $crate::draw::Choices) -> Self {
                const CASES: &[fn(&mut $crate::draw::Choices) -> $name] = &[$($case),*];
                CASES[from.below(CASES.len())](from)
            }
        }
    )*};
}

pub(crate) use {cases, fields};

macro_rules! numbers {
    ($($number:ident)*) => {$(
        impl Draw for $number {
            fn draw(from: &mut Choices) -> Self {
                match from.below(5) {
                    0 => 0,
                    1 => $number::MAX,
                    2 => $number::MIN,
                    3 => $number::from(from.byte() % 128).wrapping_sub(1),
                    _ => $number::from_le_bytes(std::array::from_fn(|_| from.byte())),
                }
            }
        }
    )*};
}

numbers! { u16 u32 u64 i64 }

impl Draw for i32 {
    fn draw(from: &mut Choices) -> Self {
        [0, 1, -1, 137, i32::MIN, i32::MAX][from.below(6)]
    }
}

impl Draw for u8 {
    fn draw(from: &mut Choices) -> Self {
        from.byte()
    }
}

impl Draw for bool {
    fn draw(from: &mut Choices) -> Self {
        from.below(2) == 1
    }
}

impl Draw for String {
    fn draw(from: &mut Choices) -> Self {
        let len = from.below(6);
        (0..len).map(|_| ['a', 'Z', '0', '.', '=', ' ', '\0', 'é', '丈'][from.below(9)]).collect()
    }
}

impl<T: Draw> Draw for Option<T> {
    fn draw(from: &mut Choices) -> Self {
        (from.below(2) == 1).then(|| from.draw())
    }
}

impl<T: Draw> Draw for Vec<T> {
    fn draw(from: &mut Choices) -> Self {
        let len = from.below(3);
        (0..len).map(|_| from.draw()).collect()
    }
}

impl<V: Draw> Draw for BTreeMap<String, V> {
    fn draw(from: &mut Choices) -> Self {
        let len = from.below(3);
        (0..len).map(|_| (from.draw(), from.draw())).collect()
    }
}

impl<T: Draw> Draw for Box<T> {
    fn draw(from: &mut Choices) -> Self {
        Self::new(from.draw())
    }
}

impl<T: Draw> Draw for Arc<T> {
    fn draw(from: &mut Choices) -> Self {
        Self::new(from.draw())
    }
}

impl Draw for [u8; 32] {
    fn draw(from: &mut Choices) -> Self {
        [from.byte(); 32]
    }
}

impl Draw for Duration {
    fn draw(from: &mut Choices) -> Self {
        Self::from_nanos(from.draw())
    }
}

impl Draw for Timestamp {
    fn draw(from: &mut Choices) -> Self {
        Self(from.draw())
    }
}

impl Draw for Sensitive {
    fn draw(from: &mut Choices) -> Self {
        Self::new(from.draw())
    }
}

impl Draw for IpAddr {
    fn draw(from: &mut Choices) -> Self {
        if from.draw() {
            return Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|_| from.byte())).into();
        }
        Ipv4Addr::from(std::array::from_fn::<u8, 4, _>(|_| from.byte())).into()
    }
}

impl Draw for IpNetwork {
    fn draw(from: &mut Choices) -> Self {
        let addr: IpAddr = from.draw();
        let longest = if addr.is_ipv4() { 33 } else { 129 };
        let prefix = u8::try_from(from.below(longest)).unwrap();
        Self::new(addr, prefix).unwrap()
    }
}

macro_rules! ids {
    ($($id:ident)*) => {$(
        impl Draw for $id {
            fn draw(from: &mut Choices) -> Self {
                let seed = u64::from(from.byte());
                IdSource::seeded(seed).draw()
            }
        }
    )*};
}

ids! {
    ClusterId NodeId ServiceId TaskId NetworkId SecretId ConfigId VolumeId SessionId RequestId
    ResourceId
}

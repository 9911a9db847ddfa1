//! The canonical encoding that the state hash is taken of.
//!
//! Fixed widths, lengths in front, ordered maps only: equal objects give equal bytes on every
//! machine, different ones different bytes. It is never decoded and never stored. Structs are
//! listed field by field without `..`, so that a new field does not compile until it is here.

mod object;
mod spec;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnetwork::IpNetwork;
use sha2::{Digest, Sha256};
use swarm_types::{
    ClusterId, ConfigId, NetworkId, NodeId, RequestId, ResourceId, SecretId, Sensitive, ServiceId,
    SessionId, TaskId, TaskState, Timestamp, VolumeId,
};

/// Writes itself in canonical form.
pub(crate) trait Canon {
    /// Appends the canonical form.
    fn canon(&self, out: &mut Vec<u8>);
}

/// Encodes structs as their fields in the listed order, all of them.
macro_rules! structs {
    ($($name:ident { $($field:ident),* $(,)? })*) => {$(
        impl Canon for $name {
            fn canon(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($field.canon(out);)*
            }
        }
    )*};
}

/// Encodes enums without content as a number that is fixed here, not by their order.
macro_rules! words {
    ($($name:ident { $($case:ident = $number:literal),* $(,)? })*) => {$(
        impl Canon for $name {
            fn canon(&self, out: &mut Vec<u8>) {
                let number: u8 = match self { $(Self::$case => $number),* };
                out.push(number);
            }
        }
    )*};
}
use {structs, words};

macro_rules! integers {
    ($($name:ty)*) => {$(
        impl Canon for $name {
            fn canon(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}
integers! { u8 u16 u32 u64 i32 i64 }

macro_rules! ids {
    ($($name:ident)*) => {$(
        impl Canon for $name {
            fn canon(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.bytes());
            }
        }
    )*};
}
ids! {
    ClusterId ConfigId NetworkId NodeId RequestId ResourceId SecretId ServiceId SessionId TaskId
    VolumeId
}

impl Canon for bool {
    fn canon(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

/// A length: one byte while it is short, else a mark and eight bytes.
fn length(len: usize, out: &mut Vec<u8>) {
    match u8::try_from(len) {
        Ok(short) if short < u8::MAX => out.push(short),
        _ => {
            out.push(u8::MAX);
            (len as u64).canon(out);
        }
    }
}

impl Canon for String {
    fn canon(&self, out: &mut Vec<u8>) {
        length(self.len(), out);
        out.extend_from_slice(self.as_bytes());
    }
}

/// By digest, so that no secret is copied into the buffer.
impl Canon for Sensitive {
    fn canon(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&Sha256::digest(self.expose()));
    }
}

impl<T: Canon> Canon for Vec<T> {
    fn canon(&self, out: &mut Vec<u8>) {
        length(self.len(), out);
        for item in self {
            item.canon(out);
        }
    }
}

impl<T: Canon> Canon for Option<T> {
    fn canon(&self, out: &mut Vec<u8>) {
        self.is_some().canon(out);
        if let Some(item) = self {
            item.canon(out);
        }
    }
}

impl<T: Canon> Canon for Box<T> {
    fn canon(&self, out: &mut Vec<u8>) {
        (**self).canon(out);
    }
}

impl<T: Canon> Canon for Arc<T> {
    fn canon(&self, out: &mut Vec<u8>) {
        (**self).canon(out);
    }
}

impl<K: Canon, V: Canon> Canon for BTreeMap<K, V> {
    fn canon(&self, out: &mut Vec<u8>) {
        length(self.len(), out);
        for (key, value) in self {
            key.canon(out);
            value.canon(out);
        }
    }
}

impl<A: Canon, B: Canon> Canon for (A, B) {
    fn canon(&self, out: &mut Vec<u8>) {
        self.0.canon(out);
        self.1.canon(out);
    }
}

impl Canon for Duration {
    fn canon(&self, out: &mut Vec<u8>) {
        self.as_secs().canon(out);
        self.subsec_nanos().canon(out);
    }
}

impl Canon for Timestamp {
    fn canon(&self, out: &mut Vec<u8>) {
        self.0.canon(out);
    }
}

impl Canon for TaskState {
    fn canon(&self, out: &mut Vec<u8>) {
        self.number().canon(out);
    }
}

impl Canon for IpAddr {
    fn canon(&self, out: &mut Vec<u8>) {
        match self {
            Self::V4(addr) => {
                out.push(4);
                out.extend_from_slice(&addr.octets());
            }
            Self::V6(addr) => {
                out.push(6);
                out.extend_from_slice(&addr.octets());
            }
        }
    }
}

impl Canon for IpNetwork {
    fn canon(&self, out: &mut Vec<u8>) {
        self.ip().canon(out);
        out.push(self.prefix());
    }
}

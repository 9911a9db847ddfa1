//! How what is ours is called, and how it is told from what is not.

use std::net::Ipv4Addr;

use crate::error::NetError;
use crate::netlink::route::Mac;

/// The nft table of family inet.
pub(crate) const TABLE: &str = "swarm";
/// The link of a task inside its namespace.
pub(crate) const INSIDE: &str = "eth0";
const PREFIX: &str = "sw-";
const LINK_DIGITS: usize = 13;

/// FNV-1a: a short name for a long one. No secret depends on it.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The host's end of a task's pair: `sw` and 13 digits, 15 bytes as the kernel allows.
pub(crate) fn link(id: &str) -> String {
    format!("sw{:013x}", digest(id.as_bytes()) >> 12)
}

/// Whether a link has a name that [`link`] makes.
pub(crate) fn is_link(name: &str) -> bool {
    let digits = name.strip_prefix("sw").unwrap_or_default();
    digits.len() == LINK_DIGITS
        && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// The file a namespace is bound to.
pub(crate) fn netns(id: &str) -> String {
    format!("{PREFIX}{id}")
}

/// The id behind the name of a namespace file.
pub(crate) fn id_of_netns(file: &str) -> Option<&str> {
    file.strip_prefix(PREFIX)
}

/// Refuses what cannot be part of a file's name.
pub(crate) fn checked(id: &str) -> Result<&str, NetError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let good = (1..=64).contains(&id.len()) && id.bytes().all(plain);
    if good { Ok(id) } else { Err(NetError::BadId(id.to_owned())) }
}

/// A hardware address that follows the address, so that neighbours' memory stays right when an
/// address is used again.
pub(crate) fn mac(address: Ipv4Addr) -> Mac {
    let [a, b, c, d] = address.octets();
    [0x02, 0x42, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_links_are_not_taken_for_ours() {
        for name in ["swarm0", "switch0", "sw0", "sw-ing", "sw0123456789abg", "eth0"] {
            assert!(!is_link(name), "{name}");
        }
    }

    #[test]
    fn ids_that_leave_their_directory_are_refused() {
        for id in ["", "a/b", "../x", "a b", &"x".repeat(65)] {
            assert!(matches!(checked(id), Err(NetError::BadId(_))), "{id}");
        }
    }

    proptest! {
        /// The kernel takes 15 bytes, and what is made is recognised.
        #[test]
        fn a_link_is_named_for_the_kernel(id in "[a-z0-9]{1,64}") {
            prop_assert_eq!(link(&id).len(), 15);
            prop_assert!(is_link(&link(&id)));
        }
    }
}

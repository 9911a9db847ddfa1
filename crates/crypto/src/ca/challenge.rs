//! Words to sign: whoever asks for a certificate with one as its name has the key now.
//!
//! Nothing is kept of a word. It is the time it was given at, and a MAC over that and over whom it
//! was given to: good for this peer only, and not for long. What is replayed from elsewhere is
//! another peer's.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hmac::Mac;
use sha2::{Digest, Sha256};

use crate::Key;

/// How long a word is good.
const LIFE: Duration = Duration::from_secs(30);
/// Digits of the time in a word.
const TIME_LEN: usize = 16;
/// Bytes of the MAC in a word: with the time it is not longer than a common name may be.
const MAC_LEN: usize = 16;

/// Gives words and knows them again, as long as it lives.
#[derive(Debug)]
pub struct Challenges(Key);

impl Challenges {
    /// Draws its key from the operating system.
    #[must_use]
    pub fn generate() -> Self {
        Self(Key::generate())
    }

    /// A word for that peer. `now` is of a clock that is not set: time since the host started.
    #[must_use]
    pub fn word(&self, peer: SocketAddr, now: Duration) -> String {
        self.word_of(peer, u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    }

    /// Whether the word was given to that peer a moment ago.
    #[must_use]
    pub fn is_good(&self, word: &str, peer: SocketAddr, now: Duration) -> bool {
        let given = word.get(..TIME_LEN).and_then(|text| u64::from_str_radix(text, 16).ok());
        let Some(given) = given else { return false };
        let age = now.checked_sub(Duration::from_millis(given));
        // How many bytes of two hashes agree says nothing about the words.
        let is_ours = Sha256::digest(word) == Sha256::digest(self.word_of(peer, given));
        is_ours && age.is_some_and(|age| age <= LIFE)
    }

    fn word_of(&self, peer: SocketAddr, given_ms: u64) -> String {
        let host = match peer.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let (given, port) = (given_ms.to_be_bytes(), peer.port().to_be_bytes());
        let mac = self.0.hmac(&[&given, &host.octets(), &port]).finalize().into_bytes();
        let mut word = format!("{given_ms:0width$x}", width = TIME_LEN);
        for byte in mac.iter().take(MAC_LEN) {
            // Writing to a string does not fail.
            let _ = write!(word, "{byte:02x}");
        }
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    fn peer(port: u16) -> SocketAddr {
        ([10, 0, 0, 1], port).into()
    }

    #[test]
    fn a_word_is_good_for_its_peer_for_a_while() {
        let challenges = Challenges::generate();

        let word = challenges.word(peer(1), NOW);

        assert!(word.len() <= 64, "{word} is too long for a common name");
        assert!(challenges.is_good(&word, peer(1), NOW));
        assert!(challenges.is_good(&word, peer(1), NOW + LIFE));
        assert!(!challenges.is_good(&word, peer(1), NOW + LIFE + Duration::from_millis(1)));
        assert!(!challenges.is_good(&word, peer(1), NOW - Duration::from_millis(1)), "not yet");
        assert!(!challenges.is_good(&word, peer(2), NOW));
        assert!(!challenges.is_good(&word, ([10, 0, 0, 2], 1).into(), NOW));
        assert!(!Challenges::generate().is_good(&word, peer(1), NOW));
    }

    #[test]
    fn no_other_text_is_good() {
        let challenges = Challenges::generate();
        let word = challenges.word(peer(1), NOW);
        let younger = format!("{:016x}{}", NOW.as_millis() + 1, &word[TIME_LEN..]);

        for text in ["", "x", "é", &word[1..], &word[..TIME_LEN], &format!("{word}0"), &younger] {
            assert!(!challenges.is_good(text, peer(1), NOW + Duration::from_secs(1)), "{text}");
        }
        for at in 0..word.len() {
            let mut other = word.clone().into_bytes();
            other[at] ^= 1;
            let other = String::from_utf8(other).unwrap();
            assert!(!challenges.is_good(&other, peer(1), NOW + Duration::from_secs(1)), "{other}");
        }
    }
}

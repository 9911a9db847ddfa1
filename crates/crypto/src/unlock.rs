//! Unlock keys: what an operator keeps so that a manager's keys on disk stay shut without them.
//!
//! The text is Docker's: `SWMKEY-1-` and the 32 bytes in base 64 without padding.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use hmac::Mac;
use swarm_types::Sensitive;
use zeroize::Zeroizing;

use crate::seal::{KEY_LEN, Key, Sealer};

const PREFIX: &str = "SWMKEY-1-";
/// Refuses padding and spare bits, so that a key has one text only.
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, NO_PAD);
/// Bytes that tell one unlock key from another.
pub(crate) const MARK_LEN: usize = 8;

/// The text is no unlock key. Says nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid unlock key: it has the form {PREFIX} and 43 characters")]
pub struct NoUnlockKey;

/// The key that the keys of a locked manager are under.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub struct UnlockKey(Key);

impl UnlockKey {
    /// Draws one from the operating system.
    #[must_use]
    pub fn generate() -> Self {
        Self(Key::generate())
    }

    /// Reads the text of one; space around it is left out.
    ///
    /// # Errors
    ///
    /// [`NoUnlockKey`].
    pub fn parse(text: &Sensitive) -> Result<Self, NoUnlockKey> {
        let text = std::str::from_utf8(text.expose()).map_err(|_| NoUnlockKey)?.trim();
        let encoded = text.strip_prefix(PREFIX).ok_or(NoUnlockKey)?;
        let bytes = BASE64.decode(encoded).map(Zeroizing::new).map_err(|_| NoUnlockKey)?;
        let bytes = <[u8; KEY_LEN]>::try_from(bytes.as_slice()).map_err(|_| NoUnlockKey)?;
        Ok(Self(Key::new(bytes)))
    }

    /// Its text. Every call is a place to look at in review.
    #[must_use]
    pub fn text(&self) -> Sensitive {
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + 44));
        text.push_str(PREFIX);
        BASE64.encode_string(self.0.expose(), &mut text);
        Sensitive::new(text.as_bytes().to_vec())
    }

    pub(crate) fn sealer(&self) -> Sealer {
        Sealer::new(&self.0, 0)
    }

    /// Tells it from other unlock keys, and gives nothing of it away.
    pub(crate) fn mark(&self) -> [u8; MARK_LEN] {
        let digest = self.0.hmac(&[b"swarm unlock key 1"]).finalize().into_bytes();
        let mut mark = [0; MARK_LEN];
        mark.copy_from_slice(&digest[..MARK_LEN]);
        mark
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_text_is_dockers() {
        let key = UnlockKey(Key::new([0xff; KEY_LEN]));

        let text = key.text();

        let docker = format!("SWMKEY-1-{}8", "/".repeat(42));
        assert_eq!(std::str::from_utf8(text.expose()), Ok(docker.as_str()));
        assert!(!format!("{key:?}").contains("255"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let good = "A".repeat(43);
        for text in [
            String::new(),
            "SWMKEY-1-".into(),
            good.clone(),
            format!("SWMKEY-2-{good}"),
            format!("SWMKEY-1-{good}A"),
            format!("SWMKEY-1-{good}="),
            format!("SWMKEY-1-{}B", "A".repeat(42)),
            format!("SWMKEY-1-{}-", "A".repeat(42)),
        ] {
            let read = UnlockKey::parse(&Sensitive::new(text.clone().into_bytes()));
            assert_eq!(read, Err(NoUnlockKey), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_key_survives_its_text(bytes: [u8; KEY_LEN], space in "[ \n]{0,2}") {
            let key = UnlockKey(Key::new(bytes));
            let mut text = key.text().expose().to_vec();
            text.extend(space.bytes());

            prop_assert_eq!(UnlockKey::parse(&Sensitive::new(text)), Ok(key));
        }
    }
}

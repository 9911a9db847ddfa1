//! Keys that leave a terminal: found in what is typed, and kept from the command.

/// The keys, in order; none means that there is no way to leave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Keys(Vec<u8>);

/// Reads `ctrl-p,ctrl-q`: each a character, or `ctrl-` and a letter or one of `@[\]^_`.
pub(super) fn keys(text: &str) -> Result<Keys, String> {
    if text.is_empty() {
        return Ok(Keys(Vec::new()));
    }
    let key = |word: &str| {
        let control = word.strip_prefix("ctrl-");
        match (control.unwrap_or(word).as_bytes(), control.is_some()) {
            ([byte @ b'a'..=b'z'], true) => Ok(byte - b'a' + 1),
            (b"@", true) => Ok(0),
            (b"[", true) => Ok(27),
            (b"\\", true) => Ok(28),
            (b"]", true) => Ok(29),
            (b"^", true) => Ok(30),
            (b"_", true) => Ok(31),
            ([byte], false) if byte.is_ascii() => Ok(*byte),
            _ => Err(format!("{word:?} is not a key such as ctrl-p or a")),
        }
    };
    text.split(',').map(key).collect::<Result<_, _>>().map(Keys)
}

/// Looks for the keys across reads.
pub(super) struct Detach {
    keys: Keys,
    /// How many of the keys were just typed.
    seen: usize,
}

impl Detach {
    pub(super) const fn new(keys: Keys) -> Self {
        Self { keys, seen: 0 }
    }

    /// What goes to the command, and whether the keys are complete.
    pub(super) fn feed(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let keys = &self.keys.0;
        let mut passed = Vec::with_capacity(typed.len() + self.seen);
        for byte in typed {
            if keys.get(self.seen) != Some(byte) {
                // What was held back was no start of the keys after all.
                passed.extend(&keys[..self.seen]);
                self.seen = 0;
            }
            if keys.get(self.seen) == Some(byte) {
                self.seen += 1;
            } else {
                passed.push(*byte);
            }
            if self.seen == keys.len() && self.seen > 0 {
                self.seen = 0;
                return (passed, true);
            }
        }
        (passed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read() {
        assert_eq!(keys("ctrl-p,ctrl-q"), Ok(Keys(vec![16, 17])));
        assert_eq!(keys("a,ctrl-[,ctrl-@"), Ok(Keys(vec![b'a', 27, 0])));
        assert_eq!(keys(""), Ok(Keys(Vec::new())));
        for text in ["ctrl-", "ctrl-P", "ab", "a,,b", "é"] {
            assert!(keys(text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_are_kept_from_the_command_unless_they_stay_incomplete() {
        let mut detach = Detach::new(keys("ctrl-p,ctrl-q").unwrap());
        assert_eq!(detach.feed(b"ab"), (b"ab".to_vec(), false));
        assert_eq!(detach.feed(b"c\x10"), (b"c".to_vec(), false));
        assert_eq!(detach.feed(b"d"), (b"\x10d".to_vec(), false));
        assert_eq!(detach.feed(b"\x10\x10"), (b"\x10".to_vec(), false));
        assert_eq!(detach.feed(b"\x11rest"), (Vec::new(), true));
        let mut none = Detach::new(keys("").unwrap());
        assert_eq!(none.feed(b"\x10\x11"), (b"\x10\x11".to_vec(), false));
    }
}

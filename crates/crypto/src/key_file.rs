//! The file that holds the key of a sealed store.
//!
//! Text, one fact a line, so that it can be looked at and never needs a guess:
//!
//! ```text
//! swarm-key-file 1
//! key 1 clear 6f0a..           id, form, 64 hex digits
//! pending 2 clear 91c4..       only while a rotation runs; the same form
//! sum 3be0..                   SHA-256 of the lines before, in hex
//! ```
//!
//! Under an unlock key the form is `wrapped MARK HEX` in place of `clear HEX`: MARK tells one
//! unlock key from another without giving anything of it away, HEX is the sealed key. All keys of
//! a file have the same form. Anything else is refused: a key that is guessed or made anew over
//! a damaged one would lose the store it belongs to.
//!
//! A file changes by being replaced whole, so after a crash it opens with the unlock key before
//! or with the one after, and never with neither.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::files;
use crate::seal::{KEY_LEN, Key, Kind, Place, Sealer};
use crate::unlock::UnlockKey;
use Unreadable::{Damaged, Locked, Newer, WrongKey};

const FORMAT: u32 = 1;
const MAGIC: &str = "swarm-key-file";
/// Bytes of a sealed key.
const WRAPPED_LEN: usize = KEY_LEN + Sealer::OVERHEAD;

/// Why a key file cannot be used. Each names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is none where a store already exists.
    #[error(
        "key file {} is missing; bring it back from a backup, or leave the cluster and join again",
        path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Cut, changed, or not a key file.
    #[error(
        "key file {} is damaged ({why}); bring it back from a backup, or leave the cluster and \
         join again",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; never any of its content.
        why: &'static str,
    },
    /// Written by a newer version.
    #[error(
        "key file {} has format {found}, this version reads up to {FORMAT}; install the newer \
         version again",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The keys in it are under an unlock key.
    #[error("key file {} is locked; run `swarm unlock` with the unlock key", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The keys in it are under another unlock key.
    #[error("invalid key: key file {} was locked with another one", path.display())]
    WrongKey {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("{action} key file {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// The keys of one store.
#[derive(Debug)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub struct KeyFile {
    current: Numbered,
    pending: Option<Numbered>,
    /// What the file is under; `None` leaves its keys in clear.
    lock: Option<UnlockKey>,
}

#[derive(Debug)]
#[cfg_attr(test, derive(PartialEq, Eq))]
struct Numbered {
    id: u32,
    key: Key,
}

impl KeyFile {
    /// Reads the key of a store that exists.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`]; do not start, and do not make a new key in its place.
    /// [`KeyFileError::Locked`] when it takes [`KeyFile::unlock`].
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        Self::read(path, None)
    }

    /// Reads a file with the unlock key it was locked with; one in clear opens with any.
    ///
    /// # Errors
    ///
    /// As [`KeyFile::load`], and [`KeyFileError::WrongKey`].
    pub fn unlock(path: &Path, with: &UnlockKey) -> Result<Self, KeyFileError> {
        Self::read(path, Some(with))
    }

    fn read(path: &Path, with: Option<&UnlockKey>) -> Result<Self, KeyFileError> {
        match std::fs::read(path) {
            Ok(bytes) => parse(&Zeroizing::new(bytes), with).map_err(|it| it.about(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(KeyFileError::Missing { path: path.into() })
            }
            Err(source) => Err(KeyFileError::Io { action: "read", path: path.into(), source }),
        }
    }

    /// Reads the key of a store that may not exist yet; makes one when there is no file.
    ///
    /// # Errors
    ///
    /// As [`KeyFile::load`], and when the new file cannot be written durably.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyFileError> {
        match Self::load(path) {
            Err(KeyFileError::Missing { .. }) => {}
            found => return found,
        }
        let current = Numbered { id: 1, key: Key::generate() };
        let fresh = Self { current, pending: None, lock: None };
        fresh.write(path)?;
        Ok(fresh)
    }

    /// Puts the file at `path` under another unlock key, or under none. Durable when it returns.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::Io`]; the file is then under the key before or the key after, and a
    /// further call settles which.
    pub fn relock(&mut self, path: &Path, lock: Option<UnlockKey>) -> Result<(), KeyFileError> {
        let before = std::mem::replace(&mut self.lock, lock);
        self.write(path).inspect_err(|_| self.lock = before)
    }

    /// Puts the file at `path` under another unlock key and begins a rotation: whoever knows the
    /// keys that were in it before knows nothing of what is sealed from here on. A rotation that
    /// runs goes on with the key it has. Durable when it returns; only then may
    /// [`KeyFile::sealer`] be used.
    ///
    /// # Errors
    ///
    /// As [`KeyFile::relock`].
    pub fn rotate(&mut self, path: &Path, lock: UnlockKey) -> Result<(), KeyFileError> {
        let next = Numbered { id: self.current.id.wrapping_add(1), key: Key::generate() };
        let begins = self.pending.is_none();
        self.pending.get_or_insert(next);
        self.relock(path, Some(lock)).inspect_err(|_| {
            if begins {
                self.pending = None;
            }
        })
    }

    /// Whether a rotation has begun: what the older key sealed has to be sealed anew.
    #[must_use]
    pub const fn is_rotating(&self) -> bool {
        self.pending.is_some()
    }

    /// Ends a rotation: drops the older key. Nothing may be left that needs it. Durable when it
    /// returns.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::Io`]; the file then has the older key or not, and a further call settles it.
    pub fn finish(&mut self, path: &Path) -> Result<(), KeyFileError> {
        let Some(next) = self.pending.take() else { return Ok(()) };
        let older = std::mem::replace(&mut self.current, next);
        let written = self.write(path);
        if written.is_err() {
            self.pending = Some(std::mem::replace(&mut self.current, older));
        }
        written
    }

    /// Whether the file is under this unlock key; with `None`, whether its keys are in clear.
    #[must_use]
    pub fn is_under(&self, lock: Option<&UnlockKey>) -> bool {
        self.lock.as_ref().map(UnlockKey::mark) == lock.map(UnlockKey::mark)
    }

    fn write(&self, path: &Path) -> Result<(), KeyFileError> {
        let written = files::replace(path, self.render().as_bytes(), files::SECRET);
        written.map_err(|source| KeyFileError::Io { action: "write", path: path.into(), source })
    }

    /// The sealer for the store: seals with the newest key, opens with either.
    #[must_use]
    pub fn sealer(&self) -> Sealer {
        let Numbered { id, key } = &self.current;
        match &self.pending {
            Some(pending) => Sealer::new(&pending.key, pending.id).also_opening(key, *id),
            None => Sealer::new(key, *id),
        }
    }

    fn render(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(format!("{MAGIC} {FORMAT}\n"));
        // Room for every line, so that no copy of a key is left behind by growing.
        text.reserve(1024);
        let named = std::iter::once(("key", &self.current));
        for (name, numbered) in named.chain(self.pending.iter().map(|key| ("pending", key))) {
            match &self.lock {
                None => {
                    text.push_str(&format!("{name} {} clear ", numbered.id));
                    push_hex(&mut text, numbered.key.expose());
                }
                Some(lock) => {
                    text.push_str(&format!("{name} {} wrapped ", numbered.id));
                    push_hex(&mut text, &lock.mark());
                    text.push(' ');
                    push_hex(&mut text, &lock.sealer().seal(&place(), numbered.key.expose()));
                }
            }
            text.push('\n');
        }
        let sum = Sha256::digest(text.as_bytes());
        text.push_str("sum ");
        push_hex(&mut text, &sum);
        text.push('\n');
        text
    }
}

/// A [`KeyFileError`] before it is known which file it is about.
#[derive(Debug, PartialEq, Eq)]
enum Unreadable {
    Damaged(&'static str),
    Newer(u32),
    Locked,
    WrongKey,
}

impl Unreadable {
    fn about(self, path: &Path) -> KeyFileError {
        let path = path.into();
        match self {
            Self::Damaged(why) => KeyFileError::Damaged { path, why },
            Self::Newer(found) => KeyFileError::Newer { path, found },
            Self::Locked => KeyFileError::Locked { path },
            Self::WrongKey => KeyFileError::WrongKey { path },
        }
    }
}

fn parse(bytes: &[u8], with: Option<&UnlockKey>) -> Result<KeyFile, Unreadable> {
    let text = std::str::from_utf8(bytes).map_err(|_| Damaged("it is not text"))?;
    let (first, _) = text.split_once('\n').ok_or(Damaged("it is cut short"))?;
    let format = first.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix(' '));
    match format.and_then(number) {
        None => return Err(Damaged("it does not begin like a key file")),
        Some(FORMAT) => {}
        Some(newer) if newer > FORMAT => return Err(Newer(newer)),
        Some(_) => return Err(Damaged("its format never was")),
    }
    let lines = summed(text)?;
    let mut lines = lines.lines().skip(1);
    let current = lines.next().and_then(|line| line.strip_prefix("key "));
    let (current, lock) = numbered(current.ok_or(Damaged("it has no key"))?, with)?;
    let pending = match lines.next().map(|line| line.strip_prefix("pending ")) {
        None => None,
        Some(Some(rest)) => match numbered(rest, with)? {
            (pending, same) if same.is_some() == lock.is_some() => Some(pending),
            _ => return Err(Damaged("one key is locked and the other is not")),
        },
        Some(None) => return Err(Damaged("it has an unknown line")),
    };
    if lines.next().is_some() {
        return Err(Damaged("it has an unknown line"));
    }
    if pending.as_ref().is_some_and(|pending| pending.id == current.id) {
        return Err(Damaged("two keys have one id"));
    }
    Ok(KeyFile { current, pending, lock: lock.cloned() })
}

/// The lines before the sum, once the sum is right.
fn summed(text: &str) -> Result<&str, Unreadable> {
    let body = text.strip_suffix('\n').ok_or(Damaged("it is cut short"))?;
    let (_, last) = body.rsplit_once('\n').ok_or(Damaged("it is cut short"))?;
    let lines = &body[..body.len() - last.len()];
    let sum = last
        .strip_prefix("sum ")
        .and_then(unhex::<KEY_LEN>)
        .ok_or(Damaged("its sum is missing"))?;
    let right = Sha256::digest(lines.as_bytes())[..] == sum[..];
    right.then_some(lines).ok_or(Damaged("its sum does not match"))
}

/// `ID clear HEX` or `ID wrapped MARK HEX`, with the unlock key that it was under.
fn numbered<'a>(
    text: &str,
    with: Option<&'a UnlockKey>,
) -> Result<(Numbered, Option<&'a UnlockKey>), Unreadable> {
    let mut words = text.split(' ');
    let id = words.next().and_then(number).ok_or(Damaged("a key has no id"))?;
    let length = Damaged("a key has the wrong length");
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some("clear"), Some(hex), None, None) => {
            let key = unhex::<KEY_LEN>(hex).ok_or(length)?;
            Ok((Numbered { id, key: Key::new(*key) }, None))
        }
        (Some("wrapped"), Some(mark), Some(hex), None) => {
            let mark = unhex(mark).ok_or(Damaged("its lock has no mark"))?;
            let sealed = unhex::<WRAPPED_LEN>(hex).ok_or(length)?;
            let lock = with.ok_or(Locked)?;
            if lock.mark() != *mark {
                return Err(WrongKey);
            }
            let opened = lock.sealer().open(&place(), &*sealed).map(Zeroizing::new);
            let opened = opened.map_err(|_| Damaged("a key does not open with its unlock key"))?;
            let key = <[u8; KEY_LEN]>::try_from(opened.as_slice());
            let key = Key::new(key.map_err(|_| Damaged("a key has the wrong length"))?);
            Ok((Numbered { id, key }, Some(lock)))
        }
        _ => Err(Damaged("a key has an unknown form")),
    }
}

/// Where a wrapped key stands: it opens as nothing else.
const fn place() -> Place {
    Place { store: [0; 16], kind: Kind::WrappedKey, index: 0, term: 0, chunk: 0, chunks: 1 }
}

/// A number written the one way there is: no sign, no leading zero.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number: &u32| number.to_string() == text)
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.push(char::from_digit(digit.into(), 16).unwrap_or_default());
        }
    }
}

fn unhex<const N: usize>(text: &str) -> Option<Zeroizing<[u8; N]>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut out = Zeroizing::new([0; N]);
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

#[cfg(test)]
mod tests;

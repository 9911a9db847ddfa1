//! The key of a join that is under way, on disk before anybody is asked.
//!
//! The cluster knows a joiner by its key: one that was cut off and asks again with the same key is
//! the same node, and not a second one. Asking for something else is another join.

use std::fs;
use std::io;
use std::path::Path;

use swarm_types::Sensitive;

use super::store::failed;
use super::{FilesError, Fingerprint, JoinToken, NodeKey};
use crate::files;

/// The key for a join with that token that wishes for that; the one in the file when this is of
/// such a join that did not come to its end, else a new one, which is in the file then.
///
/// # Errors
///
/// [`FilesError::Io`], also when the system has no randomness.
pub fn joining_key(path: &Path, token: &JoinToken, wish: &str) -> Result<NodeKey, FilesError> {
    let mut asked = token.text().expose().to_vec();
    asked.extend_from_slice(wish.as_bytes());
    // Half of a token is a secret of 128 bits: the hash says nothing of it.
    let mark = format!("{}\n", Fingerprint::of(&asked));
    // What cannot be read is as good as nothing: the join it was of never ended.
    let kept = fs::read_to_string(path).ok();
    let kept = kept.as_deref().and_then(|text| text.strip_prefix(&mark));
    let kept = kept.map(|pem| NodeKey::from_pem(&Sensitive::new(pem.as_bytes().to_vec())));
    if let Some(Ok(key)) = kept {
        return Ok(key);
    }
    let key = NodeKey::generate().map_err(|error| failed("make", path)(io::Error::other(error)))?;
    let text = [mark.as_bytes(), key.to_pem().expose()].concat();
    let written = files::replace(path, &text, files::SECRET);
    written.map_err(failed("write", path)).map(|()| key)
}

/// Forgets the key of a join that came to its end, or must not go on.
///
/// # Errors
///
/// [`FilesError::Io`].
pub fn forget_joining_key(path: &Path) -> Result<(), FilesError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::root;

    #[test]
    fn the_same_join_has_the_same_key_until_it_is_forgotten() {
        let (dir, token) = (tempfile::tempdir().unwrap(), || JoinToken::generate(&root().digest()));
        let (path, one, other) = (dir.path().join("key"), token().unwrap(), token().unwrap());
        let key = |token: &JoinToken, wish| joining_key(&path, token, wish).unwrap().fingerprint();

        let first = key(&one, "active");
        assert_eq!(key(&one, "active"), first);
        assert!(!fs::read_to_string(&path).unwrap().contains("SWMTKN"));
        let wishes = key(&one, "drain");
        assert_ne!(wishes, first);
        let others = key(&other, "drain");
        assert_ne!(others, wishes);

        fs::write(&path, &fs::read(&path).unwrap()[..90]).unwrap();
        let after_damage = key(&other, "drain");
        assert_ne!(after_damage, others);
        forget_joining_key(&path).unwrap();
        forget_joining_key(&path).unwrap();
        assert_ne!(key(&other, "drain"), after_damage);
    }
}

//! One command at a time: a lock on a directory, which the kernel drops with its holder.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use crate::DevError;
use crate::wait::until;

/// How long another command is waited for. As long as the slowest may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A held lock.
#[derive(Debug)]
pub(crate) struct Lock {
    _dir: Flock<File>,
}

impl Lock {
    /// Waits until no other command holds the directory; `None` when there is none.
    pub(crate) fn of(dir: &Path) -> Result<Option<Self>, DevError> {
        let taken = until("", PATIENCE, || match attempt(dir) {
            Ok(Attempt::Held(lock)) => Ok(Ok(Some(lock))),
            Ok(Attempt::Taken) => Ok(Err(String::new())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Ok(None)),
            Err(error) => Err(DevError::io("lock", dir)(error)),
        });
        taken.map_err(|error| match error {
            DevError::TooLate { seconds, .. } => DevError::Busy { path: dir.to_owned(), seconds },
            other => other,
        })
    }

    /// As [`Lock::of`], making the directory where it is missing.
    pub(crate) fn of_new(dir: &Path) -> Result<Self, DevError> {
        // Others may remove it, or the one above, as soon as it is made.
        until(&format!("a directory {}", dir.display()), PATIENCE, || {
            match fs::create_dir_all(dir) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(DevError::io("make", dir)(error))
                }
                _ => Ok(Self::of(dir)?.ok_or_else(|| "none".to_owned())),
            }
        })
    }
}

enum Attempt {
    Held(Lock),
    Taken,
}

fn attempt(path: &Path) -> io::Result<Attempt> {
    // A link leads to what is somebody else's.
    let follow = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let dir = File::options().read(true).custom_flags(follow.bits()).open(path)?;
    let dir = match Flock::lock(dir, FlockArg::LockExclusiveNonblock) {
        Ok(dir) => dir,
        Err((_, Errno::EWOULDBLOCK)) => return Ok(Attempt::Taken),
        Err((_, error)) => return Err(error.into()),
    };
    // Whoever held it may have removed the directory, and another may have made it anew.
    if dir.metadata()?.ino() == fs::metadata(path)?.ino() {
        Ok(Attempt::Held(Lock { _dir: dir }))
    } else {
        Ok(Attempt::Taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_held_once_and_free_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        assert!(Lock::of(&path).unwrap().is_none());

        let held = Lock::of_new(&path).unwrap();

        assert!(matches!(attempt(&path), Ok(Attempt::Taken)));
        drop(held);
        assert!(matches!(attempt(&path), Ok(Attempt::Held(_))));
    }

    #[test]
    fn a_link_is_never_taken_for_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        for (name, target) in [("foreign", dir.path()), ("nowhere", Path::new("/absent"))] {
            let link = dir.path().join(name);
            std::os::unix::fs::symlink(target, &link).unwrap();

            assert!(matches!(Lock::of(&link), Err(DevError::Io { .. })), "{name}");
            assert!(matches!(Lock::of_new(&link), Err(DevError::Io { .. })), "{name}");
        }
    }
}

//! Removes a directory of any depth.
//!
//! Containers make directories within each other without end, and whoever takes those apart from
//! within runs out of stack or descriptors. Here what is below the second level is moved up to the
//! first, so two descriptors do. Links are removed, never followed.

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;

/// Removes a directory and all that is in it. One that was cut off may be made again.
pub(super) fn remove(top: &Path) -> io::Result<()> {
    let at = openat(CWD, top, DIRECTORY, Mode::empty())?;
    loop {
        let mut is_empty = true;
        for entry in Dir::read_from(&at)? {
            let entry = entry?;
            let name = entry.file_name();
            if !is_dots(name) {
                is_empty = false;
                if !is_gone(&at, name)? {
                    raise(&at, name)?;
                }
            }
        }
        if is_empty {
            return std::fs::remove_dir(top);
        }
    }
}

const DIRECTORY: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);

/// Empties the directory `name` of `top`; what of it is not empty moves up beside it.
fn raise(top: &OwnedFd, name: &CStr) -> io::Result<()> {
    let dir = openat(top, name, DIRECTORY, Mode::empty())?;
    for entry in Dir::read_from(&dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if !is_dots(name) && !is_gone(&dir, name)? {
            renameat(&dir, name, top, format!(".{:032x}", rand::random::<u128>()))?;
        }
    }
    Ok(())
}

/// Removes what is no directory, or an empty one; false for others.
fn is_gone(at: &OwnedFd, name: &CStr) -> io::Result<bool> {
    let removed = match unlinkat(at, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => unlinkat(at, name, AtFlags::REMOVEDIR),
        unlinked => unlinked,
    };
    match removed {
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(Errno::NOENT) => Ok(true),
        removed => Ok(removed.map(|()| true)?),
    }
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::mkdirat;

    use super::*;

    #[test]
    fn directories_without_end_go() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        fs::create_dir_all(top.join("a/b/c")).unwrap();
        fs::write(top.join("a/b/file"), "x").unwrap();
        fs::write(dir.path().join("outside"), "x").unwrap();
        std::os::unix::fs::symlink(dir.path(), top.join("a/link")).unwrap();
        let mut at = openat(CWD, &top, DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..3000 {
            mkdirat(&at, c"d", Mode::RWXU).unwrap();
            at = openat(&at, c"d", DIRECTORY, Mode::empty()).unwrap();
        }

        // Little room: how deep it is must not matter.
        let small = std::thread::Builder::new().stack_size(128 << 10);
        let removed = small.spawn(move || remove(&top)).unwrap().join();

        removed.unwrap().unwrap();
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].file_name(), "outside");
    }
}

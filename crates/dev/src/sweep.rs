//! Removing what processes left that were killed: observed, never remembered.
//!
//! Nothing may run in the node or cluster any more. What containerd's shims leave outside of
//! the directory is named by the bundles inside it.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};

use crate::DevError;
use crate::place::NodePlace;

const MOUNTS: &str = "/proc/self/mountinfo";
/// Where shims put their sockets and runc its state, whatever containerd's own directories.
const SHIM_SOCKETS: &str = "/run/containerd/s";
const RUNC: &str = "/run/containerd/runc";
/// containerd's directory of bundles: one below it per namespace, and one in that per task.
const BUNDLES: &str = "io.containerd.runtime.v2.task";

/// Forgets what a node forgets when its power is cut: mounts, shims, run directories.
pub(crate) fn forget_boot(place: &NodePlace) -> Result<(), DevError> {
    unmount_below(&place.dir)?;
    remove_shims(&place.containerd_state())?;
    for path in [place.containerd_state(), place.run()] {
        remove_all(&path)?;
    }
    for name in ["containerd.sock", "containerd.sock.ttrpc", "daemon.pid", "containerd.pid"] {
        remove_file(&place.dir.join(name))?;
    }
    Ok(())
}

/// Removes a file; none is fine.
pub(crate) fn remove_file(path: &Path) -> Result<(), DevError> {
    absent_is_fine(fs::remove_file(path)).map_err(DevError::io("remove", path))
}

/// Removes what is in a directory, as [`remove_all`] does.
pub(crate) fn empty(dir: &Path) -> Result<(), DevError> {
    entries(dir).iter().try_for_each(|path| match path.is_dir() {
        true => remove_all(path),
        false => remove_file(path),
    })
}

/// Removes a directory with all there is in it, but nothing behind a mount.
pub(crate) fn remove_all(dir: &Path) -> Result<(), DevError> {
    if let Some(mount) = mounts_below(dir)?.into_iter().next() {
        return Err(DevError::Mounted(mount));
    }
    absent_is_fine(fs::remove_dir_all(dir)).map_err(DevError::io("remove", dir))
}

/// Unmounts everything in a directory, the innermost and latest first.
pub(crate) fn unmount_below(dir: &Path) -> Result<(), DevError> {
    for mount in mounts_below(dir)?.into_iter().rev() {
        // One that stays is seen by `remove_all`.
        let _ = umount2(&mount, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
    }
    Ok(())
}

/// Sockets of shims and state of runc that the bundles in containerd's state directory name.
pub(crate) fn remove_shims(state: &Path) -> Result<(), DevError> {
    for namespace in entries(&state.join(BUNDLES)) {
        for bundle in entries(&namespace) {
            let socket = fs::read_to_string(bundle.join("address")).unwrap_or_default();
            if let Some(socket) = shim_socket(&socket) {
                remove_file(&socket)?;
            }
            if let (Some(namespace), Some(id)) = (namespace.file_name(), bundle.file_name()) {
                remove_all(&Path::new(RUNC).join(namespace).join(id))?;
            }
        }
    }
    Ok(())
}

/// The path in `unix:///run/containerd/s/DIGITS`; nothing else is ever removed.
fn shim_socket(address: &str) -> Option<PathBuf> {
    let path = Path::new(address.trim().strip_prefix("unix://")?);
    let name = path.file_name()?.to_str()?;
    let plain = name.bytes().all(|byte| byte.is_ascii_hexdigit());
    (path.parent() == Some(Path::new(SHIM_SOCKETS)) && plain).then(|| path.to_owned())
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn absent_is_fine(done: io::Result<()>) -> io::Result<()> {
    done.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Mounts at a directory or below it, in the order they were made.
fn mounts_below(dir: &Path) -> Result<Vec<PathBuf>, DevError> {
    let table = fs::read_to_string(MOUNTS).map_err(DevError::io("read", Path::new(MOUNTS)))?;
    // The kernel lists places without links on the way, such as a /var on another disk.
    let real = match dir.parent().map(Path::canonicalize).transpose() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(DevError::io("find", dir))?,
    };
    let (Some(real), Some(name)) = (real, dir.file_name()) else { return Ok(Vec::new()) };
    Ok(read_mounts(&table, &real.join(name)))
}

fn read_mounts(table: &str, dir: &Path) -> Vec<PathBuf> {
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(unescaped);
    points.filter(|point| point.starts_with(dir)).collect()
}

/// The kernel writes blanks and the like as a backslash and three octal digits.
fn unescaped(word: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if first == b'\\' => {
                bytes.push(byte);
                rest = &after[3..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found_by_their_place_whatever_their_names() {
        let table = "\
1 0 8:1 / / rw - ext4 a rw
2 1 8:1 / /d/one/netns rw - nsfs nsfs rw
3 1 8:1 / /d/onemore rw - nsfs nsfs rw
4 1 8:1 / /d/one/a\\040b\\134c rw - tmpfs t rw
";
        let found = read_mounts(table, Path::new("/d/one"));

        assert_eq!(found, [Path::new("/d/one/netns"), Path::new("/d/one/a b\\c")]);
    }

    #[test]
    fn a_mount_is_found_through_a_link_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/proc", &link).unwrap();
        let real = |path: &Path| mounts_below(path).unwrap().contains(&PathBuf::from("/proc"));

        assert!(real(Path::new("/proc")));
        // Below a link is what it leads to; the link itself is no mount.
        std::os::unix::fs::symlink("/", dir.path().join("top")).unwrap();
        assert!(real(&dir.path().join("top/proc")));
        assert!(!real(&link));
    }

    #[test]
    fn only_sockets_of_shims_are_taken_for_such() {
        let good = "unix:///run/containerd/s/00ffab\n";
        assert_eq!(shim_socket(good), Some("/run/containerd/s/00ffab".into()));
        for bad in
            ["", "unix:///etc/passwd", "unix:///run/containerd/s/../s", "/run/containerd/s/0"]
        {
            assert_eq!(shim_socket(bad), None, "{bad}");
        }
    }
}

//! Network namespaces that live as long as a file is bound to them.
//!
//! A thread enters a namespace for good: whatever works inside one runs on a thread of its own
//! ([`on_thread`]) that ends afterwards, never on one that is used again.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::statfs::{FsType, fstatfs};

use crate::error::NetError;

const NSFS: FsType = FsType(0x6e73_6673);
/// Name of the threads that work here; the kernel tells it with each change of a table.
pub(crate) const THREAD: &str = "swarm-net";
const OWN: &str = "/proc/thread-self/ns/net";

/// Runs `work` on a thread of its own, which starts in the namespace of the caller.
pub(crate) async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NetError> + Send + 'static,
) -> Result<T, NetError> {
    let (send, receive) = tokio::sync::oneshot::channel();
    let run = move || drop(send.send(work()));
    std::thread::Builder::new()
        .name(THREAD.to_owned())
        .spawn(run)
        .map_err(|source| NetError::kernel("start a thread", source))?;
    let lost = |_| NetError::kernel("wait for a thread", io::ErrorKind::BrokenPipe.into());
    receive.await.map_err(lost)?
}

/// Makes a namespace, moves the calling thread into it, and binds it to `path`.
///
/// # Errors
///
/// What the kernel says; the thread may be in the namespace then.
pub fn make(path: &Path) -> io::Result<File> {
    remove(path)?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    File::create(path)?;
    mount(Some(OWN), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    File::open(path)
}

/// Opens the namespace bound to `path`; `None` if there is none, as after a reboot.
///
/// # Errors
///
/// When the file cannot be read.
pub fn find(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok((fstatfs(&file)?.filesystem_type() == NSFS).then_some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Moves the calling thread into a namespace.
///
/// # Errors
///
/// When the kernel does not let it.
pub fn enter(netns: &File) -> io::Result<()> {
    Ok(setns(netns, CloneFlags::CLONE_NEWNET)?)
}

/// Unbinds and removes `path`. The namespace ends with its last process.
///
/// # Errors
///
/// When the file cannot be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    while umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW).is_ok() {}
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The names of the files in `dir`; none if there is no such directory.
pub(crate) fn list(dir: &Path) -> Result<Vec<String>, NetError> {
    let failed = |source| NetError::file("read", dir, source);
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let names = entries.map(|entry| Ok(entry.map_err(failed)?.file_name().into_string().ok()));
    Ok(names.collect::<Result<Vec<_>, NetError>>()?.into_iter().flatten().collect())
}

/// Makes the directory of namespace files, on a mount whose bindings containerd sees too.
///
/// Bindings made in a mount namespace of this process alone would vanish with it, and nobody else
/// would see them, so that is refused. Elsewhere the directory becomes a shared mount of its own
/// where it is not on one yet.
pub(crate) fn prepare(dir: &Path) -> Result<(), NetError> {
    fs::create_dir_all(dir).map_err(|source| NetError::file("make", dir, source))?;
    let table = Path::new("/proc/self/mountinfo");
    let mounts =
        fs::read_to_string(table).map_err(|source| NetError::file("read", table, source))?;
    let real = dir.canonicalize().map_err(|source| NetError::file("find", dir, source))?;
    match propagation(&mounts, &real) {
        Propagation::Shared => Ok(()),
        _ if !is_lasting() => Err(NetError::PrivateMount { path: dir.to_owned() }),
        Propagation::Follower | Propagation::Private => {
            share(dir).map_err(|source| NetError::file("make a shared mount of", dir, source))
        }
    }
}

/// Undoes [`prepare`]: removes the directory, which must be empty.
pub(crate) fn unprepare(dir: &Path) -> Result<(), NetError> {
    while umount2(dir, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW).is_ok() {}
    match fs::remove_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(NetError::file("remove", dir, error))
        }
        _ => Ok(()),
    }
}

fn share(dir: &Path) -> io::Result<()> {
    mount(Some(dir), dir, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    Ok(mount(None::<&str>, dir, None::<&str>, MsFlags::MS_SHARED, None::<&str>)?)
}

/// Whether this mount namespace outlives this process: the first process is in it, or anyone else.
pub(crate) fn is_lasting() -> bool {
    let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    let Some(own) = of("self") else { return false };
    if of("1").as_ref() == Some(&own) {
        return true;
    }
    let me = std::process::id().to_string();
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    let names = processes.flatten().filter_map(|process| process.file_name().into_string().ok());
    let mut others = names.filter(|name| name.parse::<u32>().is_ok() && *name != me);
    others.any(|process| of(&process).as_ref() == Some(&own))
}

/// Who sees what is mounted at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    /// Every mount namespace that shares it.
    Shared,
    /// Only this one and its copies, though it sees what its original mounts.
    Follower,
    /// Only this one.
    Private,
}

/// How the mount that holds `path` spreads, from `/proc/self/mountinfo`.
pub(crate) fn propagation(mountinfo: &str, path: &Path) -> Propagation {
    let mut best = (0, Propagation::Private);
    for line in mountinfo.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let Some(point) = words.get(4).map(|point| point.replace("\\040", " ")) else { continue };
        if !path.starts_with(&point) || point.len() < best.0 {
            continue;
        }
        let tags = words.iter().skip(6).take_while(|word| **word != "-");
        let has = |tag: &str| tags.clone().any(|word| word.starts_with(tag));
        let spreads = match (has("shared:"), has("master:")) {
            (true, false) => Propagation::Shared,
            (_, true) => Propagation::Follower,
            (false, false) => Propagation::Private,
        };
        best = (point.len(), spreads);
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
28 27 0:25 / /run rw shared:5 master:1 - tmpfs tmpfs rw
29 28 0:26 / /run/own rw - tmpfs tmpfs rw
";

    #[test]
    fn the_innermost_mount_decides() {
        let of = |path| propagation(MOUNTS, Path::new(path));

        assert_eq!(of("/var/lib"), Propagation::Shared);
        assert_eq!(of("/run/swarm"), Propagation::Follower);
        assert_eq!(of("/run/own/netns"), Propagation::Private);
    }
}

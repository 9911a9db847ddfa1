//! Copies a directory with everything that makes it what it is: owners, modes, times, extended
//! attributes, links of both kinds, holes, devices.
//!
//! Directories are walked by their descriptors and links never followed, so nothing outside is
//! read or written, whoever writes there meanwhile. What is there already stays; files appear
//! whole, by a rename, so that a copy cut off may simply be made again.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, SeekFrom, Stat, Timespec, Timestamps,
    Uid, chmod, chownat, fchmod, fchown, fgetxattr, flistxattr, fsetxattr, fstat, ftruncate,
    futimens, linkat, mkdirat, mknodat, openat, openat2, readlinkat, renameat, seek, statat,
    symlinkat, unlinkat,
};
use rustix::io::Errno;

/// Name of a file until it is whole.
const UNFINISHED: &CStr = c".swarm-unfinished";
/// Directories within each other: each costs a stack frame and three descriptors.
const DEPTH: usize = 256;
/// Largest extended attribute of Linux.
const ATTRIBUTE: usize = 64 << 10;

/// One copy under way.
struct Copy<'a> {
    to: BorrowedFd<'a>,
    /// Where the first of several names of a file went, from the top.
    linked: HashMap<(u64, u64), CString>,
}

/// Copies the contents of `from` into `to`, and then what `from` itself is like.
pub(super) fn copy(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    let mut copy = Copy { to: to.as_fd(), linked: HashMap::new() };
    copy.directory(from.as_fd(), to.as_fd(), &[])
}

impl Copy<'_> {
    fn directory(&mut self, from: BorrowedFd, to: BorrowedFd, path: &[u8]) -> io::Result<()> {
        if path.iter().filter(|byte| **byte == b'/').count() >= DEPTH {
            let why = format!("more than {DEPTH} directories within each other");
            return Err(io::Error::other(why));
        }
        match unlinkat(to, UNFINISHED, AtFlags::empty()) {
            Err(Errno::NOENT) => {}
            other => other?,
        }
        for entry in Dir::read_from(from)? {
            let entry = entry?;
            let name = entry.file_name();
            if !matches!(name.to_bytes(), b"." | b"..") {
                self.entry(from, to, name, &join(path, name))?;
            }
        }
        attributes(from, to)
    }

    fn entry(
        &mut self,
        from: BorrowedFd,
        to: BorrowedFd,
        name: &CStr,
        path: &[u8],
    ) -> io::Result<()> {
        let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let there = match statat(to, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => None,
            found => Some(FileType::from_raw_mode(found?.st_mode)),
        };
        match (kind, there) {
            (FileType::Directory, None | Some(FileType::Directory)) => {
                if there.is_none() {
                    mkdirat(to, name, Mode::RWXU)?;
                }
                let (below, target) = (open_directory(from, name)?, open_directory(to, name)?);
                self.directory(below.as_fd(), target.as_fd(), path)
            }
            (FileType::RegularFile, there) => {
                let first = self.first_name(&stat, path)?;
                match (first, there) {
                    (_, Some(_)) => Ok(()),
                    (Some(first), None) => self.link(&first, to, name),
                    (None, None) => file(from, to, name),
                }
            }
            (_, Some(_)) => Ok(()),
            (FileType::Symlink, None) => {
                symlinkat(readlinkat(from, name, Vec::new())?, to, name)?;
                own(to, name, &stat)
            }
            (kind, None) => special(kind, &stat, to, name),
        }
    }

    /// The name a file of several has already; `None` for the first, which is kept in mind.
    fn first_name(&mut self, stat: &Stat, path: &[u8]) -> io::Result<Option<CString>> {
        if stat.st_nlink < 2 {
            return Ok(None);
        }
        let file = (stat.st_dev, stat.st_ino);
        if let Some(first) = self.linked.get(&file) {
            return Ok(Some(first.clone()));
        }
        self.linked.insert(file, CString::new(path)?);
        Ok(None)
    }

    fn link(&self, first: &CStr, to: BorrowedFd, name: &CStr) -> io::Result<()> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let first = openat2(self.to, first, flags, Mode::empty(), resolve)?;
        Ok(linkat(first, c"", to, name, AtFlags::EMPTY_PATH)?)
    }
}

fn join(path: &[u8], name: &CStr) -> Vec<u8> {
    let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
    [path, slash, name.to_bytes()].concat()
}

fn open_directory(at: BorrowedFd, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    Ok(openat(at, name, flags, Mode::empty())?)
}

fn file(from: BorrowedFd, to: BorrowedFd, name: &CStr) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let source = File::from(openat(from, name, flags, Mode::empty())?);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let copy = File::from(openat(to, UNFINISHED, flags, Mode::RUSR | Mode::WUSR)?);
    contents(&source, &copy)?;
    attributes(source.as_fd(), copy.as_fd())?;
    Ok(renameat(to, UNFINISHED, to, name)?)
}

/// Holes stay holes.
fn contents(mut source: &File, mut copy: &File) -> io::Result<()> {
    let size = source.metadata()?.len();
    ftruncate(copy, size)?;
    let mut at = 0;
    while at < size {
        let begin = match seek(source, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => break,
            // No holes known to this file system.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => at,
            begin => begin?,
        };
        let end = match seek(source, SeekFrom::Hole(begin)) {
            Err(Errno::INVAL | Errno::OPNOTSUPP) => size,
            end => end?,
        };
        source.seek(io::SeekFrom::Start(begin))?;
        copy.seek(io::SeekFrom::Start(begin))?;
        let length = end.saturating_sub(begin);
        if io::copy(&mut source.take(length), &mut copy)? < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        at = end;
    }
    Ok(())
}

/// Owner before mode: a change of owner takes set-uid bits away.
fn attributes(from: BorrowedFd, to: BorrowedFd) -> io::Result<()> {
    let stat = fstat(from)?;
    fchown(to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    fchmod(to, mode(&stat))?;
    extended(from, to)?;
    Ok(futimens(to, &times(&stat))?)
}

fn extended(from: BorrowedFd, to: BorrowedFd) -> io::Result<()> {
    let mut names = Vec::with_capacity(ATTRIBUTE);
    match flistxattr(from, rustix::buffer::spare_capacity(&mut names)) {
        Err(Errno::OPNOTSUPP) => return Ok(()),
        listed => listed?,
    };
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        // Those tell the layers of an image from each other.
        if name.starts_with(b"trusted.overlay.") {
            continue;
        }
        let name = CString::new(name)?;
        let mut value = Vec::with_capacity(ATTRIBUTE);
        fgetxattr(from, name.as_c_str(), rustix::buffer::spare_capacity(&mut value))?;
        match fsetxattr(to, name.as_c_str(), &value, rustix::fs::XattrFlags::empty()) {
            // A file system without them is the volume's to have.
            Err(Errno::OPNOTSUPP) => {}
            set => set?,
        }
    }
    Ok(())
}

fn special(kind: FileType, stat: &Stat, to: BorrowedFd, name: &CStr) -> io::Result<()> {
    // A character device 0:0 hides what is below it in an image: nothing is there.
    if kind == FileType::CharacterDevice && stat.st_rdev == 0 {
        return Ok(());
    }
    mknodat(to, name, kind, mode(stat), stat.st_rdev)?;
    settle(kind, stat, to, name)
}

/// Gives a node its owner and mode, by a descriptor of it: who writes here too may put a link to
/// anywhere in its place, which is then left alone.
fn settle(kind: FileType, stat: &Stat, to: BorrowedFd, name: &CStr) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let node = openat(to, name, flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&node)?.st_mode) != kind {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    chownat(&node, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
    Ok(chmod(format!("/proc/self/fd/{}", node.as_raw_fd()), mode(stat))?)
}

fn own(to: BorrowedFd, name: &CStr, stat: &Stat) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    Ok(chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn mode(stat: &Stat) -> Mode {
    Mode::from_raw_mode(stat.st_mode)
}

fn times(stat: &Stat) -> Timestamps {
    let time = |seconds, nanos: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanos).unwrap_or(0),
    };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

#[cfg(test)]
mod tests;

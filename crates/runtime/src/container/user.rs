//! Finds users and groups as the image's `/etc/passwd` and `/etc/group` name them.
//!
//! The files are read from the directories of the snapshot, topmost first, without mounting it:
//! a whiteout hides what is below, links are not followed. A directory that an upper layer made
//! opaque is not told from one it merely touched.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use containerd_client::types::Mount;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::io::Errno;

use crate::Error;

/// Largest user database read.
const MOST: u64 = 1 << 20;

/// Who the process is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The primary one among them: a process that drops it must not gain by that.
    pub(crate) groups: Vec<u32>,
}

/// Reads `USER[:GROUP]` as Docker does: without a group, the user's own and all it is listed in.
/// `more` are groups on top, by name or number.
pub(crate) fn resolve(wanted: &str, more: &[String], mounts: &[Mount]) -> Result<Identity, Error> {
    let layers = layers(mounts);
    let read = |path| read(&layers, Path::new(path)).map_err(Error::io("read the image's users"));
    let group = read("group")?;
    let mut identity = identity(wanted, &read("passwd")?, &group)?;
    for name in more {
        let gid = gid(name, &group).ok_or_else(|| missing("groups", "group", name))?;
        if !identity.groups.contains(&gid) {
            identity.groups.push(gid);
        }
    }
    Ok(identity)
}

fn gid(name: &str, group: &str) -> Option<u32> {
    let found = lines(group).find(|line| named(line, name));
    found.and_then(|line| number(&line, 2)).or_else(|| name.parse().ok())
}

fn number(line: &[&str], at: usize) -> Option<u32> {
    line.get(at).and_then(|field| field.parse().ok())
}

fn missing(field: &'static str, what: &str, name: &str) -> Error {
    Error::BadConfig { field, why: format!("no {what} {name:?} in the image") }
}

fn identity(wanted: &str, passwd: &str, group: &str) -> Result<Identity, Error> {
    let (user, wanted_group) = wanted.split_once(':').unwrap_or((wanted, ""));
    let user = if user.is_empty() { "0" } else { user };
    let found = lines(passwd).find(|line| named(line, user));
    let uid = found.as_ref().and_then(|line| number(line, 2)).or_else(|| user.parse().ok());
    let uid = uid.ok_or_else(|| missing("user", "user", user))?;
    if !wanted_group.is_empty() {
        let gid = gid(wanted_group, group).ok_or_else(|| missing("user", "group", wanted_group))?;
        return Ok(Identity { uid, gid, groups: vec![gid] });
    }
    let gid = found.as_ref().and_then(|line| number(line, 3)).unwrap_or(0);
    let name = found.as_ref().and_then(|line| line.first().copied()).unwrap_or(user);
    let member = |line: &Vec<&str>| {
        line.get(3).is_some_and(|members| members.split(',').any(|member| member == name))
    };
    let others = lines(group).filter(member).filter_map(|line| number(&line, 2));
    let groups = std::iter::once(gid).chain(others.filter(|other| *other != gid)).collect();
    Ok(Identity { uid, gid, groups })
}

fn lines(database: &str) -> impl Iterator<Item = Vec<&str>> {
    database.lines().map(|line| line.trim().split(':').collect())
}

/// By name first; a number also names itself.
fn named(line: &[&str], wanted: &str) -> bool {
    let number = wanted.parse::<u32>().is_ok() && line.get(2) == Some(&wanted);
    line.first() == Some(&wanted) || number
}

/// Directories of a snapshot, topmost first.
fn layers(mounts: &[Mount]) -> Vec<PathBuf> {
    let Some(mount) = mounts.first() else { return Vec::new() };
    if mount.r#type != "overlay" {
        return vec![mount.source.clone().into()];
    }
    let option = |key: &str| mount.options.iter().find_map(|option| option.strip_prefix(key));
    let upper = option("upperdir=").into_iter();
    let lower = option("lowerdir=").unwrap_or_default().split(':').filter(|dir| !dir.is_empty());
    upper.chain(lower).map(PathBuf::from).collect()
}

/// A file of `/etc`; empty when the image has none.
fn read(layers: &[PathBuf], file: &Path) -> std::io::Result<String> {
    for layer in layers {
        let layer = match open(layer, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::NOENT) => continue,
            layer => layer?,
        };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match openat2(&layer, Path::new("etc").join(file), flags, Mode::empty(), resolve) {
            Err(Errno::NOENT) => {}
            // A link, or hidden with all of `/etc`.
            Err(Errno::LOOP | Errno::NOTDIR) => break,
            found => return contents(&found?),
        }
    }
    Ok(String::new())
}

/// Of a file. Looked at before it is opened, which may wait for ever: a container that runs may
/// have put a pipe in its place.
fn contents(found: &OwnedFd) -> std::io::Result<String> {
    if FileType::from_raw_mode(fstat(found)?.st_mode) != FileType::RegularFile {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    File::open(format!("/proc/self/fd/{}", found.as_raw_fd()))?
        .take(MOST)
        .read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/srv:/bin/false\n";
    const GROUP: &str = "root:x:0:\nwww:x:34:\nlogs:x:40:other,web\nssl:x:41:web\n";

    fn found(wanted: &str) -> Option<(u32, u32, Vec<u32>)> {
        let identity = identity(wanted, PASSWD, GROUP).ok()?;
        Some((identity.uid, identity.gid, identity.groups))
    }

    #[test]
    fn users_are_found_as_docker_finds_them() {
        assert_eq!(found(""), Some((0, 0, vec![0])));
        assert_eq!(found("web"), Some((33, 34, vec![34, 40, 41])));
        assert_eq!(found("33"), Some((33, 34, vec![34, 40, 41])));
        assert_eq!(found("web:ssl"), Some((33, 41, vec![41])));
        assert_eq!(found("1000"), Some((1000, 0, vec![0])));
        assert_eq!(found("1000:1001"), Some((1000, 1001, vec![1001])));
        assert_eq!(found("nobody"), None);
        assert_eq!(found("web:nogroup"), None);
        assert_eq!(found("-1"), None);
        assert_eq!(found("4294967296"), None);
    }

    #[test]
    fn more_groups_are_found_by_name_or_number() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("etc/passwd"), PASSWD).unwrap();
        std::fs::write(dir.path().join("etc/group"), GROUP).unwrap();
        let source = dir.path().display().to_string();
        let rootfs = [Mount { r#type: "bind".into(), source, ..Mount::default() }];
        let groups = |more: &[&str]| {
            let more: Vec<String> = more.iter().map(|name| (*name).to_owned()).collect();
            resolve("web", &more, &rootfs).map(|identity| identity.groups).ok()
        };

        assert_eq!(groups(&[]), Some(vec![34, 40, 41]));
        assert_eq!(groups(&["root", "777", "logs"]), Some(vec![34, 40, 41, 0, 777]));
        assert_eq!(groups(&["nothing"]), None);
    }

    #[test]
    fn upper_layers_hide_lower_ones_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let [top, bottom] = ["top", "bottom"].map(|name| dir.path().join(name));
        for layer in [&top, &bottom] {
            std::fs::create_dir_all(layer.join("etc")).unwrap();
        }
        std::fs::write(bottom.join("etc/passwd"), "below").unwrap();
        std::fs::write(bottom.join("etc/group"), "below").unwrap();
        std::fs::write(top.join("etc/passwd"), "above").unwrap();
        std::os::unix::fs::symlink("/etc/group", top.join("etc/group")).unwrap();
        let option = format!("lowerdir={}:{}", top.display(), bottom.display());
        let overlay = Mount { r#type: "overlay".into(), options: vec![option], ..Mount::default() };

        let layers = layers(&[overlay]);

        assert_eq!(read(&layers, Path::new("passwd")).unwrap(), "above");
        assert_eq!(read(&layers, Path::new("group")).unwrap(), "");
        assert_eq!(read(&layers[1..], Path::new("group")).unwrap(), "below");
    }

    #[test]
    fn neither_a_pipe_nor_a_linked_directory_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let [top, bottom] = ["top", "bottom"].map(|name| dir.path().join(name));
        std::fs::create_dir_all(top.join("etc")).unwrap();
        std::fs::create_dir(&bottom).unwrap();
        nix::unistd::mkfifo(&top.join("etc/passwd"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        std::os::unix::fs::symlink("/etc", bottom.join("etc")).unwrap();

        let layers = [top, bottom];

        assert_eq!(read(&layers, Path::new("passwd")).unwrap(), "");
        assert_eq!(read(&layers[1..], Path::new("passwd")).unwrap(), "");
        assert_eq!(read(&layers, Path::new("group")).unwrap(), "");
    }
}

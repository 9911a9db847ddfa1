//! Everything that is mounted into a container, in the order it is.
//!
//! Docker's own mounts come first, less those that the configuration replaces; what it asks for
//! and its files follow, outer paths before those within them. runc follows links in the image within its root
//! file system and makes the mount points that are missing.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Mount, MountBuilder};

use super::process::INIT;
use super::{Host, Parts, bad, built};
use crate::Error;
use crate::container::{BindOptions, Network, Propagation, TmpfsOptions};
use crate::mountinfo;

/// Destination, type, source, options.
const DEFAULT: [(&str, &str, &str, &[&str]); 7] = [
    ("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
    ("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
    (
        "/dev/pts",
        "devpts",
        "devpts",
        &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    ),
    ("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ("/sys/fs/cgroup", "cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]),
    ("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
];
/// Files that a container may write though they are not its image's, as in Docker.
const WRITABLE: [&str; 3] = ["/etc/hosts", "/etc/resolv.conf", "/etc/hostname"];
/// Flags of a tmpfs, and keys of those options that carry a value.
const TMPFS: [&str; 27] = [
    "async",
    "atime",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "gid",
    "lazytime",
    "mode",
    "mpol",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "nolazytime",
    "norelatime",
    "nosuid",
    "nr_blocks",
    "nr_inodes",
    "relatime",
    "ro",
    "rw",
    "size",
    "strictatime",
    "suid",
    "uid",
];
/// The first kernel that makes a whole tree of mounts read-only.
const RECURSIVE_READ_ONLY: (u32, u32) = (5, 12);

/// A mount of the configuration, with the place it comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::container) struct Planned {
    /// Absolute and without dots.
    pub(in crate::container) target: String,
    pub(in crate::container) source: Source,
    pub(in crate::container) read_only: bool,
}

/// Where a mount comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::container) enum Source {
    Bind(PathBuf, BindOptions),
    Volume(PathBuf),
    Tmpfs(TmpfsOptions),
}

pub(super) fn mounts(parts: &Parts<'_>) -> Result<Vec<Mount>, Error> {
    let planned = |to: &str| parts.mounts.iter().any(|mount| mount.target == to);
    let replaced = |to: &str| planned(to) || (planned("/dev") && to.starts_with("/dev/"));
    let default = DEFAULT.iter().filter(|(to, ..)| !replaced(to));
    let mut all: Vec<Mount> = default
        .map(|(to, kind, from, options)| mount(to, kind, Path::new(from), words(options)))
        .collect::<Result<_, _>>()?;
    let mut wanted: Vec<(&str, Mount)> = Vec::new();
    let files = files(parts);
    for (target, source, options) in files.iter().filter(|(target, ..)| !planned(target)) {
        wanted.push((target, mount(target, "bind", source, options.clone())?));
    }
    if parts.config.init {
        wanted.push((INIT, init(parts.init)?));
    }
    for planned in parts.mounts {
        wanted.push((&planned.target, one(planned, parts.host)?));
    }
    wanted.sort_by_key(|(target, _)| target.matches('/').count());
    all.extend(wanted.into_iter().map(|(_, mount)| mount));
    Ok(all)
}

/// How mounts of the whole container travel, when one of them shall.
pub(super) fn root_propagation(mounts: &[Planned]) -> Option<String> {
    let bind = |mount: &Planned| match &mount.source {
        Source::Bind(_, options) => Some(options.propagation),
        Source::Volume(_) | Source::Tmpfs(_) => None,
    };
    let any = |one, other| {
        mounts.iter().filter_map(bind).any(|propagation| propagation == one || propagation == other)
    };
    if any(Propagation::Shared, Propagation::RShared) {
        Some("shared".into())
    } else if any(Propagation::Slave, Propagation::RSlave) {
        Some("rslave".into())
    } else {
        None
    }
}

fn files(parts: &Parts<'_>) -> Vec<(String, PathBuf, Vec<String>)> {
    let config = parts.config;
    let given = config.files.iter().map(|file| {
        let writable = WRITABLE.contains(&file.target.as_str()) && !config.read_only;
        let access: &[&str] = if writable { &[] } else { &["ro"] };
        let options = words(&[&["rbind", "rprivate"], access].concat());
        (file.target.clone(), file.source.clone(), options)
    });
    let shared = match config.network {
        Network::Host => &parts.host.shared_files[..],
        Network::Netns(_) => &[],
    };
    let shared = shared.iter().filter(|path| !config.files.iter().any(|it| it.target == **path));
    let shared =
        shared.map(|path| ((*path).to_owned(), path.into(), words(&["rbind", "rprivate", "ro"])));
    given.chain(shared).collect()
}

fn init(program: &Path) -> Result<Mount, Error> {
    if !program.is_file() {
        let why = format!("there is no {}: install the package tini", program.display());
        return Err(bad("init", why));
    }
    mount(INIT, "bind", program, words(&["bind", "rprivate", "ro"]))
}

fn one(planned: &Planned, host: &Host) -> Result<Mount, Error> {
    let to = &planned.target;
    match &planned.source {
        Source::Bind(from, options) => {
            check_propagation(from, options.propagation, host)?;
            mount(to, "bind", from, bind(planned, options, host)?)
        }
        Source::Volume(from) => {
            mount(to, "bind", from, bind(planned, &BindOptions::default(), host)?)
        }
        Source::Tmpfs(options) => mount(to, "tmpfs", Path::new("tmpfs"), tmpfs(planned, options)?),
    }
}

fn bind(planned: &Planned, bind: &BindOptions, host: &Host) -> Result<Vec<String>, Error> {
    let recursive = host.kernel >= RECURSIVE_READ_ONLY;
    if bind.read_only_force_recursive && !recursive {
        return Err(bad("mounts", "recursive read-only needs Linux 5.12"));
    }
    let mut options = vec![if bind.non_recursive { "bind" } else { "rbind" }];
    if planned.read_only {
        options.push(if recursive && !bind.read_only_non_recursive { "rro" } else { "ro" });
    }
    options.push(match bind.propagation {
        Propagation::RPrivate => "rprivate",
        Propagation::Private => "private",
        Propagation::RShared => "rshared",
        Propagation::Shared => "shared",
        Propagation::RSlave => "rslave",
        Propagation::Slave => "slave",
    });
    Ok(words(&options))
}

/// Mounts travel only from and to where the host lets them.
fn check_propagation(from: &Path, wanted: Propagation, host: &Host) -> Result<(), Error> {
    let found = mountinfo::mounts(&host.mountinfo).filter(|mount| from.starts_with(&mount.point));
    let found = found.max_by_key(|mount| mount.point.as_os_str().len());
    let (shared, slave) = found.map_or((false, false), |mount| (mount.shared, mount.slave));
    let good = match wanted {
        Propagation::Shared | Propagation::RShared => shared,
        Propagation::Slave | Propagation::RSlave => shared || slave,
        Propagation::Private | Propagation::RPrivate => true,
    };
    if good {
        return Ok(());
    }
    Err(bad("mounts", format!("{} is not on a shared mount of this host", from.display())))
}

fn tmpfs(planned: &Planned, tmpfs: &TmpfsOptions) -> Result<Vec<String>, Error> {
    let mut options = words(&["noexec", "nosuid", "nodev", "rprivate"]);
    if planned.read_only {
        options.push("ro".into());
    }
    let mode = if tmpfs.mode == 0 { 0o1777 } else { tmpfs.mode };
    options.push(format!("mode={mode:o}"));
    if tmpfs.size_bytes > 0 {
        options.push(format!("size={}", tmpfs.size_bytes));
    }
    for option in &tmpfs.options {
        let known = option.first().is_some_and(|key| TMPFS.contains(&key.as_str()));
        let plain = option.iter().all(|part| !part.contains([',', '\0']));
        if !known || !plain || option.len() > 2 {
            let why = format!("{}: no option of a tmpfs: {:?}", planned.target, option.join("="));
            return Err(bad("mounts", why));
        }
        options.push(option.join("="));
    }
    Ok(options)
}

fn mount(to: &str, kind: &str, from: &Path, options: Vec<String>) -> Result<Mount, Error> {
    let mount = MountBuilder::default().destination(PathBuf::from(to)).typ(kind).source(from);
    mount.options(options).build().map_err(built)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests;

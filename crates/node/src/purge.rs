//! Removing everything a node ever made on this host, and nothing else.
//!
//! What others refer to goes first: containers, then volumes and images, then networks, then
//! files. A purge that fails half-way is simply made again.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::net::if_::if_nametoindex;
use swarm_net::Net;
use swarm_runtime::{Purged, Runtime};

use crate::only::OnlyOne;
use crate::{NodeError, Options, member, membership, runtime_options, socket};

const CGROUPS: &str = "/sys/fs/cgroup";
/// What the run directory holds beside the socket.
const RUN: [&str; 3] = ["tasks", "exec", "netns"];

/// What a purge came upon.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Purge {
    /// It was removed.
    Removed(String),
    /// A directory that stays, as it holds what is not ours.
    Left(String),
}

/// Removes everything that nodes with these options made; `told` hears what went, also when the
/// purge fails in the end. On a host where there is nothing it hears nothing.
///
/// # Errors
///
/// [`NodeError::Taken`] while a daemon runs, [`NodeError::Containerd`] when containerd cannot be
/// asked for the containers; else what could not be removed.
pub async fn purge(options: &Options, mut told: impl FnMut(Purge)) -> Result<(), NodeError> {
    let _only = OnlyOne::claim()?;
    let path = socket::path(options);
    if UnixStream::connect(&path).is_ok() {
        return Err(NodeError::Taken { first: format!("a daemon answers at {}", path.display()) });
    }
    contained(options, &mut told).await?;
    networks(options, &mut told).await?;

    let mut state: Vec<&str> = member::STATE.to_vec();
    state.extend(membership::FILES);
    state.extend(crate::STATE);
    clear(&options.state_dir, &state, &mut told)?;
    let mut run = RUN.to_vec();
    run.push(socket::SOCKET);
    clear(&options.run_dir, &run, &mut told)?;
    cgroups(&options.cgroup_parent, &mut told);
    Ok(())
}

/// What is in containerd, and volumes.
async fn contained(options: &Options, told: &mut impl FnMut(Purge)) -> Result<(), NodeError> {
    let source = |source| NodeError::Containerd { socket: options.containerd.clone(), source };
    let runtime = Runtime::open(runtime_options(options)?).await.map_err(source)?;
    let mut purged = Purged::default();
    let outcome = runtime.purge(&mut purged).await;
    let Purged { containers, volumes, images, namespace } = purged;
    for (kind, names) in [("container", containers), ("volume", volumes), ("image", images)] {
        names.into_iter().for_each(|name| told(Purge::Removed(format!("{kind} {name}"))));
    }
    let of = || options.containerd_namespace.clone();
    outcome.map_err(|source| NodeError::Purge { namespace: of(), source })?;
    if let Some(namespace) = namespace {
        told(Purge::Removed(format!("containerd's namespace {namespace}")));
    }
    Ok(())
}

async fn networks(options: &Options, told: &mut impl FnMut(Purge)) -> Result<(), NodeError> {
    let net = member::net_options(options);
    let traces = [net.state_dir.join("net"), net.run_dir.join("netns")];
    let there = if_nametoindex(net.bridge.as_str()).is_ok()
        || traces.iter().any(|path| fs::symlink_metadata(path).is_ok());
    let bridge = net.bridge.clone();
    // Also where there is no trace: a rule may be all that a purge before this one left.
    Net::purge(net).await?;
    if there {
        told(Purge::Removed(format!("networks: {bridge}, its rules and namespaces")));
    }
    Ok(())
}

/// Removes `names` in `dir`, and `dir` when nothing else is in it.
fn clear(dir: &Path, names: &[&str], told: &mut impl FnMut(Purge)) -> Result<(), NodeError> {
    let mounts = fs::read_to_string("/proc/self/mountinfo");
    let mounts = mounts.map_err(NodeError::io("read", Path::new("/proc/self/mountinfo")))?;
    let mut ours = false;
    for name in names {
        let path = dir.join(name);
        // Behind a mount are the files of somebody else.
        if let Some(point) = mounted(&mounts, &path) {
            let busy = io::Error::new(ErrorKind::ResourceBusy, "something is mounted there");
            return Err(NodeError::io("remove", Path::new(point))(busy));
        }
        let removed = match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&path),
            Ok(_) => fs::remove_file(&path),
            Err(why) => Err(why),
        };
        match removed {
            Ok(()) => {
                ours = true;
                told(Purge::Removed(path.display().to_string()));
            }
            Err(why) if why.kind() == ErrorKind::NotFound => {}
            Err(why) => return Err(NodeError::io("remove", &path)(why)),
        }
    }
    match fs::remove_dir(dir) {
        Ok(()) => told(Purge::Removed(dir.display().to_string())),
        Err(_) if ours => told(Purge::Left(dir.display().to_string())),
        // Nothing of ours was in it: it may be anybody's.
        Err(_) => {}
    }
    Ok(())
}

/// A mount at `path` or below it.
fn mounted<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    points.into_iter().find(|point| Path::new(point).starts_with(path))
}

/// Removes the parent of the containers' cgroups, in every hierarchy where nothing is in it.
fn cgroups(parent: &str, told: &mut impl FnMut(Purge)) {
    let parent = parent.trim_matches('/');
    if parent.is_empty() {
        return;
    }
    let mut roots = vec![CGROUPS.into()];
    let below = fs::read_dir(CGROUPS).into_iter().flatten().flatten();
    roots.extend(below.map(|entry| entry.path()));
    for group in roots.into_iter().map(|root: std::path::PathBuf| root.join(parent)) {
        // The kernel removes none that is in use.
        if fs::remove_dir(&group).is_ok() {
            told(Purge::Removed(group.display().to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_goes() {
        let dir = tempfile::tempdir().unwrap();
        let (dir, mut told) = (dir.path().join("state"), Vec::new());
        fs::create_dir_all(dir.join("raft/deep")).unwrap();
        fs::write(dir.join("node.toml"), "").unwrap();
        fs::write(dir.join("theirs"), "").unwrap();
        let names = ["raft", "node.toml", "absent"];

        clear(&dir, &names, &mut |line| told.push(line)).unwrap();

        let removed = |name: &str| Purge::Removed(dir.join(name).display().to_string());
        let left = Purge::Left(dir.display().to_string());
        assert_eq!(told, [removed("raft"), removed("node.toml"), left]);
        let left: Vec<_> = fs::read_dir(&dir).unwrap().flatten().map(|it| it.file_name()).collect();
        assert_eq!(left, ["theirs"]);
        fs::remove_file(dir.join("theirs")).unwrap();
        clear(&dir, &names, &mut drop).unwrap();
        assert!(!dir.exists());
        clear(&dir, &names, &mut drop).unwrap();
    }

    #[test]
    fn a_mount_below_is_seen() {
        let mounts = "22 1 8:1 / / rw - ext4 a rw\n23 22 0:5 / /s/volumes/x/_data rw - nfs a rw\n";
        assert_eq!(mounted(mounts, Path::new("/s/volumes")), Some("/s/volumes/x/_data"));
        assert_eq!(mounted(mounts, Path::new("/s/raft")), None);
    }
}

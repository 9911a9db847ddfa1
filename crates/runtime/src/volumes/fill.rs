//! Puts what an image has at a path into an empty volume, as Docker does.
//!
//! The image is mounted in a mount namespace of a thread, which takes everything with it when it
//! ends, also when the daemon is killed. A mark in the volume says that filling began: filling
//! that was cut off goes on where it was, leaving alone what is there.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use containerd_client::types::Mount;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2, syncfs};

use super::{store, tree};

const MARK: &str = "filling";
/// Where the image appears, for the thread that mounted it alone.
const IMAGE: &str = ".image";

/// For directories within each other.
const STACK: usize = 8 << 20;

/// A volume and the path in the image that fills it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Filling {
    pub(crate) volume: String,
    pub(crate) target: String,
}

/// Fills those that are empty, or were not filled to the end.
pub(crate) fn fill(dir: &Path, rootfs: &[Mount], all: &[Filling]) -> io::Result<()> {
    let mut open = Vec::new();
    for filling in all {
        if is_open(dir, filling)? {
            open.push(filling.clone());
        }
    }
    let Some(layers) = layers(rootfs).filter(|_| !open.is_empty()) else { return Ok(()) };
    let dir = dir.to_owned();
    // A thread of its own: a namespace once left behind is not to be entered again.
    let filled =
        std::thread::Builder::new().name("fill".into()).stack_size(STACK).spawn(move || {
            let image = mount_image(&dir, &layers)?;
            open.iter().try_for_each(|filling| one(&dir, &image, filling))
        });
    filled?.join().map_err(|_| io::Error::other("filling a volume broke off"))?
}

fn is_open(dir: &Path, filling: &Filling) -> io::Result<bool> {
    let marked = dir.join(&filling.volume).join(MARK).try_exists()?;
    Ok(marked || fs::read_dir(store::data(dir, &filling.volume))?.next().is_none())
}

/// The image's directories, topmost first, without the container's own.
fn layers(rootfs: &[Mount]) -> Option<Vec<PathBuf>> {
    let rootfs = rootfs.first()?;
    if rootfs.r#type != "overlay" {
        return Some(vec![rootfs.source.clone().into()]);
    }
    let lower = rootfs.options.iter().find_map(|option| option.strip_prefix("lowerdir="))?;
    Some(lower.split(':').filter(|dir| !dir.is_empty()).map(PathBuf::from).collect())
}

fn mount_image(dir: &Path, layers: &[PathBuf]) -> io::Result<OwnedFd> {
    let place = dir.join(IMAGE);
    fs::create_dir_all(&place)?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_FS)?;
    let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    if let [only] = layers {
        mount(Some(only), &place, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    } else {
        let (base, names) = relative(layers);
        // The kernel takes a page of options: names are told from where most of them are.
        std::env::set_current_dir(base)?;
        let options = format!("lowerdir={}", names.join(":"));
        let flags = MsFlags::MS_RDONLY;
        mount(Some("overlay"), &place, Some("overlay"), flags, Some(options.as_str()))?;
    }
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::PATH;
    Ok(open(&place, flags, Mode::empty())?)
}

/// A common parent, and the paths from there.
fn relative(layers: &[PathBuf]) -> (PathBuf, Vec<String>) {
    let first = layers.first().map(PathBuf::as_path).unwrap_or(Path::new("/"));
    let shared = |base: &&Path| layers.iter().all(|layer| layer.starts_with(base));
    let base = first.ancestors().skip(1).find(shared).unwrap_or(Path::new("/"));
    let name =
        |layer: &PathBuf| layer.strip_prefix(base).unwrap_or(layer).to_string_lossy().into_owned();
    (base.to_owned(), layers.iter().map(name).collect())
}

fn one(dir: &Path, image: &OwnedFd, filling: &Filling) -> io::Result<()> {
    let Some(from) = directory(image, &filling.target)? else { return Ok(()) };
    let volume = dir.join(&filling.volume);
    let mark = volume.join(MARK);
    File::create(&mark)?.sync_all()?;
    File::open(&volume)?.sync_all()?;
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
    let to = open(store::data(dir, &filling.volume), flags, Mode::empty())?;
    tree::copy(&from, &to)?;
    syncfs(to.as_fd())?;
    fs::remove_file(&mark)?;
    File::open(&volume)?.sync_all()
}

/// A directory of the image; links are followed within it. `None` when there is none.
fn directory(image: &OwnedFd, target: &str) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    match openat2(image, target, flags, Mode::empty(), resolve) {
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
            Ok(None)
        }
        found => Ok(Some(found?)),
    }
}

#[cfg(test)]
mod tests;

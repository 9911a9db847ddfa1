//! Shows a part of a volume to a container.
//!
//! Containers write into volumes, and a path in one may become a link to anywhere between the
//! moment it is looked at and the moment it is mounted. So the part is opened once, never leaving
//! the volume, and that opened file is bound at a place of ours, which runc binds in turn. The
//! place is needed only until runc has done so.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::mount::{MsFlags, mount};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, open, openat2};

use super::options;

const PLACES: &str = ".subpaths";

/// Where the `index`th volume of a container shows its part.
pub(crate) fn place(dir: &Path, container: &str, index: usize) -> PathBuf {
    places(dir, container).join(index.to_string())
}

fn places(dir: &Path, container: &str) -> PathBuf {
    dir.join(PLACES).join(container)
}

/// Relative, and never up.
pub(crate) fn is_inside(subpath: &str) -> bool {
    let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    !subpath.contains('\0') && Path::new(subpath).components().all(plain)
}

/// Binds what is at `subpath` in `data` to `place`.
pub(crate) fn show(data: &Path, subpath: &str, place: &Path) -> io::Result<()> {
    let part = beneath(data, subpath)?;
    options::unmount(place)?;
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    let opened = format!("/proc/self/fd/{}", part.as_raw_fd());
    if fs::metadata(&opened)?.is_dir() {
        fs::create_dir_all(place)?;
    } else {
        File::create(place)?;
    }
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    Ok(mount(Some(opened.as_str()), place, None::<&str>, flags, None::<&str>)?)
}

fn beneath(data: &Path, subpath: &str) -> io::Result<OwnedFd> {
    let data = open(data, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(data, subpath, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)?)
}

/// Takes the places of a container away; none is fine.
pub(crate) fn hide(dir: &Path, container: &str) -> io::Result<()> {
    let places = places(dir, container);
    let entries = match fs::read_dir(&places) {
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let place = entry?.path();
        options::unmount(&place)?;
        // Never what was mounted there: a directory that is not empty stays.
        let kind = rustix::fs::statat(CWD, &place, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
        match rustix::fs::FileType::from_raw_mode(kind.st_mode) {
            rustix::fs::FileType::Directory => fs::remove_dir(&place)?,
            _ => fs::remove_file(&place)?,
        }
    }
    fs::remove_dir(&places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_never_leaves_its_volume() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir_all(data.join("in/side")).unwrap();
        fs::create_dir(dir.path().join("secret")).unwrap();
        let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, data.join(at)).unwrap();
        link("../secret", "out");
        link("/etc", "host");
        link("in/side", "near");

        for good in ["in", "in/side", "near"] {
            assert!(beneath(&data, good).is_ok(), "{good}");
        }
        for bad in ["out", "host", "out/x", "../secret", "/etc", "none"] {
            assert!(beneath(&data, bad).is_err(), "{bad}");
        }
        assert!(is_inside("a/./b") && !is_inside("a/../b") && !is_inside("/a"));
    }

    #[test]
    fn places_come_and_go_without_what_they_showed() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir_all(data.join("part")).unwrap();
        fs::write(data.join("part/file"), "x").unwrap();
        fs::write(data.join("single"), "y").unwrap();
        let places = [place(dir.path(), "c1", 0), place(dir.path(), "c1", 1)];

        show(&data, "part", &places[0]).unwrap();
        show(&data, "part", &places[0]).unwrap();
        show(&data, "single", &places[1]).unwrap();
        assert_eq!(fs::read_to_string(places[0].join("file")).unwrap(), "x");
        assert_eq!(fs::read_to_string(&places[1]).unwrap(), "y");
        hide(dir.path(), "c1").unwrap();
        hide(dir.path(), "c1").unwrap();

        assert!(data.join("part/file").exists());
        assert!(!places[0].parent().unwrap().exists());
    }
}

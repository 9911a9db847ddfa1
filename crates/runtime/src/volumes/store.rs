//! Volumes on disk. Each step leaves a volume whole or none at all.
//!
//! A volume is made beside its place and renamed into it, and renamed away before it is taken
//! apart. What a crash leaves of either begins with a dot, as no volume does, and goes with the
//! next change. The caller holds the lock.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{ANONYMOUS, NewVolume, Volume, clear, options};
use crate::{Error, mountinfo};

const DRIVER: &str = "local";
const META: &str = "volume.json";
const DATA: &str = "_data";
const MAKING: &str = ".new-";
const GOING: &str = ".gone-";
/// Version of the metadata's form.
const FORM: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Meta {
    form: u32,
    labels: BTreeMap<String, String>,
    options: BTreeMap<String, String>,
    /// Since the Unix epoch.
    created_at_ns: u64,
}

/// Where a volume's files are.
pub(crate) fn data(dir: &Path, name: &str) -> PathBuf {
    dir.join(name).join(DATA)
}

pub(crate) fn create(dir: &Path, wanted: &NewVolume) -> Result<Volume, Error> {
    let drawn = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
    let name = if wanted.name.is_empty() { &drawn } else { &wanted.name };
    check_name(name)?;
    if !matches!(wanted.driver.as_str(), "" | DRIVER) {
        return Err(bad(name, format!("there is no driver {:?}, only local", wanted.driver)));
    }
    options::check(&wanted.options).map_err(|why| bad(name, why))?;
    if let Some(found) = read(dir, name)? {
        return Ok(found);
    }
    if let Err(failure) = sweep(dir) {
        tracing::warn!(%failure, "what is left of a removed volume stays");
    }
    let mut wanted = wanted.clone();
    if wanted.name.is_empty() {
        wanted.labels.insert(ANONYMOUS.to_owned(), String::new());
    }
    make(dir, name, &wanted).map_err(Error::io("make a volume"))?;
    read(dir, name)?.ok_or_else(|| Error::VolumeMissing { name: name.clone() })
}

fn make(dir: &Path, name: &str, wanted: &NewVolume) -> std::io::Result<()> {
    let private = |path: &Path| DirBuilder::new().recursive(true).mode(0o700).create(path);
    private(dir)?;
    let making = dir.join(format!("{MAKING}{:016x}", rand::random::<u64>()));
    private(&making.join(DATA))?;
    fs::set_permissions(making.join(DATA), fs::Permissions::from_mode(0o755))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let meta = Meta {
        form: FORM,
        labels: wanted.labels.clone(),
        options: wanted.options.clone(),
        created_at_ns: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
    };
    let mut file = File::create(making.join(META))?;
    file.write_all(&serde_json::to_vec(&meta)?)?;
    file.sync_all()?;
    File::open(&making)?.sync_all()?;
    fs::rename(&making, dir.join(name))?;
    File::open(dir)?.sync_all()
}

pub(crate) fn read(dir: &Path, name: &str) -> Result<Option<Volume>, Error> {
    check_name(name)?;
    let text = match fs::read(dir.join(name).join(META)) {
        Err(absent) if absent.kind() == ErrorKind::NotFound => return Ok(None),
        text => text.map_err(Error::io("read a volume"))?,
    };
    let meta: Meta = serde_json::from_slice(&text)
        .map_err(|why| bad(name, format!("its {META} is damaged: {why}")))?;
    if meta.form > FORM {
        let why = format!("written by a newer version: form {}, not {FORM}", meta.form);
        return Err(bad(name, why));
    }
    Ok(Some(Volume {
        name: name.into(),
        driver: DRIVER.into(),
        mountpoint: data(dir, name),
        labels: meta.labels,
        options: meta.options,
        created_at: UNIX_EPOCH + Duration::from_nanos(meta.created_at_ns),
    }))
}

pub(crate) fn list(dir: &Path) -> Result<Vec<Volume>, Error> {
    let mut volumes = Vec::new();
    for name in names(dir).map_err(Error::io("list volumes"))? {
        match read(dir, &name) {
            Ok(found) => volumes.extend(found),
            Err(failure) => tracing::warn!(name, %failure, "a volume is left out"),
        }
    }
    volumes.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(volumes)
}

/// Names of volumes, in no order.
pub(crate) fn names(dir: &Path) -> std::io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(absent) if absent.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().into_string().unwrap_or_default();
        if check_name(&name).is_ok() {
            names.push(name);
        }
    }
    Ok(names)
}

/// Removes a volume; one that is not there is fine. What is mounted on it goes first.
pub(crate) fn remove(dir: &Path, name: &str) -> Result<(), Error> {
    check_name(name)?;
    let place = dir.join(name);
    options::unmount(&data(dir, name)).map_err(Error::io("unmount a volume"))?;
    // Else its files would be removed from what is mounted there.
    if let Some(point) = mounted_below(&place).map_err(Error::io("read the mounts"))? {
        return Err(bad(name, format!("something is mounted at {}", point.display())));
    }
    let going = dir.join(format!("{GOING}{:016x}", rand::random::<u64>()));
    match fs::rename(&place, &going) {
        Err(absent) if absent.kind() == ErrorKind::NotFound => return Ok(()),
        renamed => renamed.map_err(Error::io("remove a volume"))?,
    }
    let swept = File::open(dir).and_then(|dir| dir.sync_all()).and_then(|()| sweep(dir));
    swept.map_err(Error::io("remove a volume"))
}

/// Takes apart what an earlier step left half-done.
fn sweep(dir: &Path) -> std::io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(absent) if absent.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(MAKING) || name.starts_with(GOING) {
            clear::remove(&entry.path())?;
        }
    }
    Ok(())
}

fn mounted_below(place: &Path) -> std::io::Result<Option<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let found = mountinfo::mounts(&mounts).find(|mount| mount.point.starts_with(place));
    Ok(found.map(|mount| mount.point))
}

/// As Docker, and so that no name is a path or begins with a dot.
fn check_name(name: &str) -> Result<(), Error> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let begins_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if begins_well && (2..=255).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    let why =
        "a name has 2 to 255 letters, digits, `_`, `.` or `-`, beginning with a letter or digit";
    Err(bad(name, why))
}

pub(super) fn bad(name: &str, why: impl Into<String>) -> Error {
    Error::BadVolume { name: name.into(), why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str) -> NewVolume {
        let labels = [("tier".to_owned(), "back".to_owned())].into();
        NewVolume { name: name.into(), labels, ..NewVolume::default() }
    }

    #[test]
    fn a_volume_is_found_as_it_was_made_and_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let dir = &dir.path().join("volumes");

        let made = create(dir, &wanted("data")).unwrap();
        fs::write(made.mountpoint.join("kept"), "x").unwrap();
        let again =
            create(dir, &NewVolume { name: "data".into(), ..NewVolume::default() }).unwrap();

        assert_eq!(again, made);
        assert_eq!(read(dir, "data").unwrap(), Some(made.clone()));
        assert!(made.mountpoint.join("kept").exists());
        assert_eq!(made.mountpoint.metadata().unwrap().permissions().mode() & 0o7777, 0o755);
        let drawn = create(dir, &NewVolume::default()).unwrap();
        assert_eq!(drawn.name.len(), 64);
        assert!(drawn.labels.contains_key(ANONYMOUS));
        assert_eq!(list(dir).unwrap().len(), 2);
    }

    #[test]
    fn what_a_crash_left_is_no_volume_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        for left in [".new-1/_data", ".gone-2/_data"] {
            fs::create_dir_all(dir.join(left)).unwrap();
            fs::write(dir.join(left).join("file"), "x").unwrap();
        }
        assert_eq!(list(dir).unwrap(), []);

        create(dir, &wanted("data")).unwrap();

        let left: Vec<_> = fs::read_dir(dir).unwrap().flatten().map(|it| it.file_name()).collect();
        assert_eq!(left, ["data"]);
    }

    #[test]
    fn removing_takes_all_of_it_and_may_be_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let made = create(dir, &wanted("data")).unwrap();
        let outside = dir.join("outside");
        fs::write(&outside, "x").unwrap();
        std::os::unix::fs::symlink(&outside, made.mountpoint.join("link")).unwrap();

        remove(dir, "data").unwrap();
        remove(dir, "data").unwrap();

        assert!(read(dir, "data").unwrap().is_none());
        assert!(outside.exists());
        assert_eq!(fs::read_dir(dir).unwrap().count(), 1);
    }

    #[test]
    fn names_are_no_paths() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", ".", "..", "../x", ".new-1", "a/b", "-a", "a b", &"a".repeat(256)] {
            let refused = create(dir.path(), &wanted(name)).unwrap_err().to_string();
            assert!(refused.contains("a name has"), "{refused}");
            assert!(read(dir.path(), name).is_err() && remove(dir.path(), name).is_err());
        }
        let other = NewVolume { driver: "nfs".into(), ..wanted("data") };
        assert!(create(dir.path(), &other).unwrap_err().to_string().contains("only local"));
    }

    #[test]
    fn metadata_of_later_versions_is_refused_and_damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let made = create(dir.path(), &wanted("data")).unwrap();
        let meta = made.mountpoint.with_file_name(META);
        let text = fs::read_to_string(&meta).unwrap();
        fs::write(&meta, text.replace("\"form\":1", "\"form\":2")).unwrap();
        assert!(read(dir.path(), "data").unwrap_err().to_string().contains("newer version"));
        fs::write(&meta, "{").unwrap();
        assert!(read(dir.path(), "data").unwrap_err().to_string().contains("damaged"));
        assert_eq!(list(dir.path()).unwrap(), []);
    }
}

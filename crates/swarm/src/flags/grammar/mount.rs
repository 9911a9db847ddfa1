//! Mounts: `type=bind,source=/data,target=/data,readonly` and its many options.

use std::path::Path;

use swarm_types::spec::Driver;
use swarm_types::spec::mount::{
    BindOptions, Consistency, Mount, MountKind, Propagation, TmpfsOptions,
};

use super::{bytes, fields, word};

const KINDS: [(&str, MountKind); 6] = [
    ("volume", MountKind::Volume),
    ("bind", MountKind::Bind),
    ("tmpfs", MountKind::Tmpfs),
    ("npipe", MountKind::NamedPipe),
    ("cluster", MountKind::Cluster),
    ("image", MountKind::Image),
];
const CONSISTENCIES: [(&str, Consistency); 4] = [
    ("default", Consistency::Default),
    ("consistent", Consistency::Full),
    ("cached", Consistency::Cached),
    ("delegated", Consistency::Delegated),
];
const PROPAGATIONS: [(&str, Propagation); 6] = [
    ("rprivate", Propagation::RPrivate),
    ("private", Propagation::Private),
    ("rshared", Propagation::RShared),
    ("shared", Propagation::Shared),
    ("rslave", Propagation::RSlave),
    ("slave", Propagation::Slave),
];

/// Reads one mount.
pub(crate) fn mount(text: &str) -> Result<Mount, String> {
    let mut draft = Draft::default();
    for field in fields(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), value),
            None => match field.to_lowercase().as_str() {
                flag @ ("readonly" | "ro" | "volume-nocopy" | "bind-create-src") => {
                    (flag.to_owned(), "true")
                }
                "bind-nonrecursive" => return Err(NON_RECURSIVE.to_owned()),
                _ => return Err(format!("invalid field '{field}' must be a key=value pair")),
            },
        };
        draft.set(&key, value)?;
    }
    draft.finish()
}

const NON_RECURSIVE: &str = "bind-nonrecursive is gone: use bind-recursive=disabled";

/// A mount whose options are not yet known to fit its type.
#[derive(Default)]
struct Draft {
    mount: Mount,
    propagation: Option<Propagation>,
    image: bool,
}

impl Draft {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "type" => {
                self.mount.kind = word(value, &KINDS)
                    .map_err(|known| format!("invalid mount type '{value}': {known}"))?;
            }
            "source" | "src" => self.mount.source = absolute(value)?,
            "target" | "dst" | "destination" => value.clone_into(&mut self.mount.target),
            "readonly" | "ro" => self.mount.read_only = flag(key, value)?,
            "consistency" => self.mount.consistency = word(value, &CONSISTENCIES)?,
            "image-subpath" => {
                value.clone_into(&mut self.mount.image_subpath);
                self.image = true;
            }
            "bind-nonrecursive" => return Err(NON_RECURSIVE.to_owned()),
            _ => match key.split_once('-') {
                Some(("bind", _)) => return self.set_bind(key, value),
                Some(("volume", _)) => return self.set_volume(key, value),
                Some(("tmpfs", _)) => return self.set_tmpfs(key, value),
                _ => return Err(unexpected(key, value)),
            },
        }
        Ok(())
    }

    fn set_bind(&mut self, key: &str, value: &str) -> Result<(), String> {
        let bind = self.mount.bind.get_or_insert_default();
        match key {
            "bind-propagation" => {
                bind.propagation = word(value, &PROPAGATIONS)?;
                self.propagation = Some(bind.propagation);
            }
            "bind-create-src" => bind.create_mountpoint = flag(key, value)?,
            "bind-recursive" => match value {
                "enabled" => {}
                "disabled" => bind.non_recursive = true,
                "writable" => bind.read_only_non_recursive = true,
                "readonly" => bind.read_only_force_recursive = true,
                _ => {
                    return Err(
                        "bind-recursive is one of enabled, disabled, writable, readonly".into()
                    );
                }
            },
            _ => return Err(unexpected(key, value)),
        }
        Ok(())
    }

    fn set_volume(&mut self, key: &str, value: &str) -> Result<(), String> {
        let volume = self.mount.volume.get_or_insert_default();
        let pair = || value.split_once('=').unwrap_or((value, ""));
        match key {
            "volume-nocopy" => volume.no_copy = flag(key, value)?,
            "volume-subpath" => value.clone_into(&mut volume.subpath),
            "volume-label" => {
                let (key, value) = pair();
                volume.labels.insert(key.to_owned(), value.to_owned());
            }
            "volume-driver" => {
                value.clone_into(&mut volume.driver.get_or_insert_with(Driver::default).name);
            }
            "volume-opt" => {
                let (key, value) = pair();
                let driver = volume.driver.get_or_insert_with(Driver::default);
                driver.options.insert(key.to_owned(), value.to_owned());
            }
            _ => return Err(unexpected(key, value)),
        }
        Ok(())
    }

    fn set_tmpfs(&mut self, key: &str, value: &str) -> Result<(), String> {
        let tmpfs = self.mount.tmpfs.get_or_insert_with(TmpfsOptions::default);
        match key {
            "tmpfs-size" => tmpfs.size_bytes = bytes(value)?,
            "tmpfs-mode" => {
                let mode = u32::from_str_radix(value, 8).ok().filter(|mode| *mode <= 0o7777);
                tmpfs.mode = mode.ok_or_else(|| format!("{value:?} is not a mode such as 1770"))?;
            }
            _ => return Err(unexpected(key, value)),
        }
        Ok(())
    }

    /// Options of one type must not stand beside another.
    fn finish(self) -> Result<Mount, String> {
        let mount = self.mount;
        if mount.target.is_empty() {
            return Err("target is required".to_owned());
        }
        for (family, used, kind) in [
            ("bind", mount.bind.is_some(), MountKind::Bind),
            ("volume", mount.volume.is_some(), MountKind::Volume),
            ("tmpfs", mount.tmpfs.is_some(), MountKind::Tmpfs),
            ("image", self.image, MountKind::Image),
        ] {
            if used && mount.kind != kind {
                let found =
                    KINDS.iter().find(|(_, it)| *it == mount.kind).map_or("", |(word, _)| word);
                return Err(format!("cannot mix '{family}-*' options with mount type '{found}'"));
            }
        }
        if let Some(bind) = &mount.bind {
            read_only_forms(bind, mount.read_only, self.propagation)?;
        }
        Ok(mount)
    }
}

fn read_only_forms(
    bind: &BindOptions,
    read_only: bool,
    propagation: Option<Propagation>,
) -> Result<(), String> {
    if (bind.read_only_non_recursive || bind.read_only_force_recursive) && !read_only {
        return Err("bind-recursive=writable and =readonly need readonly".to_owned());
    }
    if bind.read_only_force_recursive && propagation != Some(Propagation::RPrivate) {
        return Err("bind-recursive=readonly needs bind-propagation=rprivate".to_owned());
    }
    Ok(())
}

/// A path that starts with a dot is one of this host, seen from here.
fn absolute(source: &str) -> Result<String, String> {
    if !source.starts_with('.') {
        return Ok(source.to_owned());
    }
    let path = std::path::absolute(Path::new(source)).map_err(|error| error.to_string())?;
    let mut clean = std::path::PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                clean.pop();
            }
            std::path::Component::CurDir => {}
            other => clean.push(other),
        }
    }
    Ok(clean.to_string_lossy().into_owned())
}

fn flag(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(format!("invalid value for {key}: {value:?} is not true or false")),
    }
}

fn unexpected(key: &str, value: &str) -> String {
    format!("unexpected key '{key}' in '{key}={value}'")
}

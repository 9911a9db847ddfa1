//! What a volume's options mount, as Docker's `local` driver reads them.

use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::io;
use std::net::ToSocketAddrs;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount as mount_at, umount2};

use crate::mountinfo;

/// What to mount.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wish {
    kind: String,
    device: String,
    flags: MsFlags,
    propagation: MsFlags,
    /// For the file system itself.
    data: String,
}

/// Refuses what [`wish`] could not read.
pub(super) fn check(options: &BTreeMap<String, String>) -> Result<(), String> {
    wish(options).map(drop)
}

/// `None` for a volume that is a plain directory.
pub(crate) fn wish(options: &BTreeMap<String, String>) -> Result<Option<Wish>, String> {
    for key in options.keys() {
        match key.as_str() {
            "type" | "device" | "o" => {}
            "size" => return Err("size needs quotas; mount a file system of that size".into()),
            other => return Err(format!("invalid option: {other:?}")),
        }
    }
    if options.is_empty() {
        return Ok(None);
    }
    let needed = |key: &str| {
        let value = options.get(key).filter(|value| !value.is_empty());
        value.cloned().ok_or_else(|| format!("missing required option: {key:?}"))
    };
    let (kind, device) = (needed("type")?, needed("device")?);
    if [&kind, &device].iter().any(|text| text.contains('\0')) {
        return Err("an option holds a NUL".into());
    }
    let mut wish = Wish {
        kind,
        device,
        flags: MsFlags::empty(),
        propagation: MsFlags::empty(),
        data: String::new(),
    };
    let words = options.get("o").map(String::as_str).unwrap_or_default();
    for word in words.split(',').filter(|word| !word.is_empty()) {
        wish.take(word);
    }
    Ok(Some(wish))
}

impl Wish {
    fn take(&mut self, word: &str) {
        if let Some((_, flag, set)) = FLAGS.iter().find(|(name, ..)| *name == word) {
            self.flags.set(*flag, *set == Set::On);
        } else if let Some((_, flags)) = PROPAGATION.iter().find(|(name, _)| *name == word) {
            self.propagation = *flags;
        } else if word != "defaults" {
            let comma = if self.data.is_empty() { "" } else { "," };
            self.data = format!("{}{comma}{word}", self.data);
        }
    }
}

/// Whether a word sets a flag or takes it away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Set {
    On,
    Off,
}

const FLAGS: [(&str, MsFlags, Set); 23] = [
    ("async", MsFlags::MS_SYNCHRONOUS, Set::Off),
    ("atime", MsFlags::MS_NOATIME, Set::Off),
    ("bind", MsFlags::MS_BIND, Set::On),
    ("dev", MsFlags::MS_NODEV, Set::Off),
    ("diratime", MsFlags::MS_NODIRATIME, Set::Off),
    ("dirsync", MsFlags::MS_DIRSYNC, Set::On),
    ("exec", MsFlags::MS_NOEXEC, Set::Off),
    ("mand", MsFlags::MS_MANDLOCK, Set::On),
    ("noatime", MsFlags::MS_NOATIME, Set::On),
    ("nodev", MsFlags::MS_NODEV, Set::On),
    ("nodiratime", MsFlags::MS_NODIRATIME, Set::On),
    ("noexec", MsFlags::MS_NOEXEC, Set::On),
    ("nomand", MsFlags::MS_MANDLOCK, Set::Off),
    ("norelatime", MsFlags::MS_RELATIME, Set::Off),
    ("nostrictatime", MsFlags::MS_STRICTATIME, Set::Off),
    ("nosuid", MsFlags::MS_NOSUID, Set::On),
    ("rbind", MsFlags::MS_BIND.union(MsFlags::MS_REC), Set::On),
    ("relatime", MsFlags::MS_RELATIME, Set::On),
    ("ro", MsFlags::MS_RDONLY, Set::On),
    ("rw", MsFlags::MS_RDONLY, Set::Off),
    ("strictatime", MsFlags::MS_STRICTATIME, Set::On),
    ("suid", MsFlags::MS_NOSUID, Set::Off),
    ("sync", MsFlags::MS_SYNCHRONOUS, Set::On),
];

const PROPAGATION: [(&str, MsFlags); 8] = [
    ("private", MsFlags::MS_PRIVATE),
    ("rprivate", MsFlags::MS_PRIVATE.union(MsFlags::MS_REC)),
    ("rshared", MsFlags::MS_SHARED.union(MsFlags::MS_REC)),
    ("rslave", MsFlags::MS_SLAVE.union(MsFlags::MS_REC)),
    ("runbindable", MsFlags::MS_UNBINDABLE.union(MsFlags::MS_REC)),
    ("shared", MsFlags::MS_SHARED),
    ("slave", MsFlags::MS_SLAVE),
    ("unbindable", MsFlags::MS_UNBINDABLE),
];

/// Mounts it unless something is mounted there already.
pub(crate) fn mount(wish: &Wish, place: &Path) -> io::Result<()> {
    if is_mounted(place)? {
        return Ok(());
    }
    let data = addressed(wish)?;
    let Wish { kind, device, flags, propagation, .. } = wish;
    mount_at(Some(device.as_str()), place, Some(kind.as_str()), *flags, Some(data.as_str()))?;
    let plain = MsFlags::MS_BIND | MsFlags::MS_REC;
    let rest = || -> io::Result<()> {
        // A bind takes its other flags in a second step only.
        if flags.contains(MsFlags::MS_BIND) && !plain.contains(*flags) {
            let again = *flags | MsFlags::MS_REMOUNT;
            mount_at(None::<&str>, place, None::<&str>, again, None::<&str>)?;
        }
        if !propagation.is_empty() {
            mount_at(None::<&str>, place, None::<&str>, *propagation, None::<&str>)?;
        }
        Ok(())
    };
    rest().inspect_err(|_| {
        let _ = umount2(place, MntFlags::MNT_DETACH);
    })
}

/// Takes away all that is mounted at a place, also over another.
pub(crate) fn unmount(place: &Path) -> io::Result<()> {
    while is_mounted(place)? {
        umount2(place, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)?;
    }
    Ok(())
}

fn is_mounted(place: &Path) -> io::Result<bool> {
    let mounts = read_to_string("/proc/self/mountinfo")?;
    Ok(mountinfo::mounts(&mounts).any(|mount| mount.point == place))
}

/// The kernel knows servers by address, people by name.
fn addressed(wish: &Wish) -> io::Result<String> {
    if !["nfs", "nfs4", "cifs", "smb3"].contains(&wish.kind.as_str()) {
        return Ok(wish.data.clone());
    }
    let word = |word: &str| match word.strip_prefix("addr=") {
        None => Ok(word.to_owned()),
        Some(host) => {
            let found = (host, 0).to_socket_addrs()?.next();
            let none = || io::Error::new(io::ErrorKind::NotFound, format!("no address of {host}"));
            Ok(format!("addr={}", found.ok_or_else(none)?.ip()))
        }
    };
    let words: io::Result<Vec<String>> = wish.data.split(',').map(word).collect();
    Ok(words?.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &[(&str, &str)]) -> Result<Option<Wish>, String> {
        wish(&options.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect())
    }

    #[test]
    fn options_are_read_as_docker_s_driver_does() {
        assert_eq!(read(&[]), Ok(None));
        let o = "rw,nosuid,noexec,exec,size=1m,rshared,uid=7,defaults";
        let found = read(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", o)]).unwrap().unwrap();
        assert_eq!(found.flags, MsFlags::MS_NOSUID);
        assert_eq!(found.propagation, MsFlags::MS_SHARED | MsFlags::MS_REC);
        assert_eq!(found.data, "size=1m,uid=7");
        let bind = read(&[("type", "none"), ("device", "/srv"), ("o", "rbind,ro")]).unwrap();
        assert_eq!(bind.unwrap().flags, MsFlags::MS_BIND | MsFlags::MS_REC | MsFlags::MS_RDONLY);
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        assert!(read(&[("type", "nfs")]).unwrap_err().contains("\"device\""));
        assert!(read(&[("device", "x")]).unwrap_err().contains("\"type\""));
        assert!(read(&[("o", "ro")]).unwrap_err().contains("\"type\""));
        assert!(read(&[("size", "1g")]).unwrap_err().contains("size"));
        assert!(read(&[("color", "red")]).unwrap_err().contains("color"));
    }

    #[test]
    fn servers_are_found_by_name() {
        let server = [("type", "nfs"), ("device", ":/x"), ("o", "addr=127.0.0.1,vers=4")];
        let found = read(&server).unwrap().unwrap();
        assert_eq!(addressed(&found).unwrap(), "addr=127.0.0.1,vers=4");
    }
}

//! Reads `/proc/self/mountinfo`. Pure.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// A mount of this host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HostMount {
    pub(crate) point: PathBuf,
    /// Type of its file system.
    pub(crate) kind: String,
    /// Options of the file system itself, such as a hierarchy's controllers.
    pub(crate) options: String,
    /// Mounts below it are seen by its peers.
    pub(crate) shared: bool,
    /// Mounts below its master are seen by it.
    pub(crate) slave: bool,
}

/// The mounts, in their order; a line that is none is passed over.
pub(crate) fn mounts(text: &str) -> impl Iterator<Item = HostMount> + '_ {
    text.lines().filter_map(line)
}

fn line(line: &str) -> Option<HostMount> {
    let (own, system) = line.split_once(" - ")?;
    let own: Vec<&str> = own.split(' ').collect();
    let mut system = system.split(' ');
    let (kind, _device, options) = (system.next()?, system.next()?, system.next()?);
    let tags = own.get(6..).unwrap_or_default();
    Some(HostMount {
        point: PathBuf::from(OsString::from_vec(plain(own.get(4)?))),
        kind: kind.into(),
        options: options.into(),
        shared: tags.iter().any(|tag| tag.starts_with("shared:")),
        slave: tags.iter().any(|tag| tag.starts_with("master:")),
    })
}

/// Blanks and the like are written as `\040`.
fn plain(text: &str) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..3).and_then(|code| std::str::from_utf8(code).ok());
        let code = code.and_then(|code| u8::from_str_radix(code, 8).ok());
        match (first, code) {
            (b'\\', Some(byte)) => {
                plain.push(byte);
                rest = &after[3..];
            }
            _ => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_with_their_odd_names() {
        let text = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:7 - ext3 /dev/root rw\n\
                    junk\n\
                    25 30 0:22 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n";

        let found: Vec<HostMount> = mounts(text).collect();

        assert_eq!(found.len(), 2);
        assert_eq!(found[0].point, PathBuf::from("/mnt 2"));
        assert!(found[0].shared && found[0].slave);
        assert_eq!(
            (found[1].kind.as_str(), found[1].options.as_str()),
            ("cgroup", "rw,cpu,cpuacct")
        );
        assert!(!found[1].shared);
    }
}

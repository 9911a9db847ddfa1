//! File systems mounted into a container.

use swarm_types::spec::mount::{
    BindOptions, Consistency, Mount, MountKind, Propagation, TmpfsOptions, VolumeOptions,
};

use crate::DecodeError;
use crate::codec::{mirror, words};
use crate::v1::tmpfs_options;

words! {
    MountKind { Bind, Volume, Tmpfs, NamedPipe, Cluster, Image }
    Consistency { Default, Full, Cached, Delegated }
    Propagation { RPrivate, Private, RShared, Shared, RSlave, Slave }
}

mirror!(Mount {
    kind: word,
    source: same,
    target: same,
    read_only: same,
    consistency: word,
    bind: maybe,
    volume: maybe,
    image_subpath: same,
    tmpfs: maybe,
});
mirror!(BindOptions {
    propagation: word,
    non_recursive: same,
    create_mountpoint: same,
    read_only_non_recursive: same,
    read_only_force_recursive: same,
});
mirror!(VolumeOptions { no_copy: same, labels: same, subpath: same, driver: maybe });
mirror!(TmpfsOptions { size_bytes: same, mode: same, options: list });

impl From<&Vec<String>> for tmpfs_options::Option {
    fn from(words: &Vec<String>) -> Self {
        Self { words: words.clone() }
    }
}

impl TryFrom<tmpfs_options::Option> for Vec<String> {
    type Error = DecodeError;
    fn try_from(it: tmpfs_options::Option) -> Result<Self, DecodeError> {
        Ok(it.words)
    }
}

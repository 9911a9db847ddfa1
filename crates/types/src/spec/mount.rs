//! File systems mounted into a container.

use std::collections::BTreeMap;

use super::Driver;

/// One mount of a container.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mount {
    /// What is mounted.
    pub kind: MountKind,
    /// Host path, volume name or image; may be a template.
    pub source: String,
    /// Path in the container; may be a template.
    pub target: String,
    /// Mounts it read-only.
    pub read_only: bool,
    /// Accepted because clients send it; means nothing on Linux.
    pub consistency: Consistency,
    /// Only for binds.
    pub bind: Option<BindOptions>,
    /// Only for volumes.
    pub volume: Option<VolumeOptions>,
    /// Only for images: a path inside the image.
    pub image_subpath: String,
    /// Only for tmpfs.
    pub tmpfs: Option<TmpfsOptions>,
}

/// What is mounted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MountKind {
    /// A path of the host.
    Bind,
    /// A volume of the node.
    #[default]
    Volume,
    /// Memory.
    Tmpfs,
    /// A Windows named pipe.
    NamedPipe,
    /// A cluster volume.
    Cluster,
    /// The files of an image.
    Image,
}

/// A hint of other platforms.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Consistency {
    /// Unspecified.
    #[default]
    Default,
    /// Host and container always agree.
    Full,
    /// The container may lag.
    Cached,
    /// The host may lag.
    Delegated,
}

/// Options of a bind mount.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BindOptions {
    /// Mount propagation.
    pub propagation: Propagation,
    /// Leaves mounts below the source out.
    pub non_recursive: bool,
    /// Makes the source when it is missing.
    pub create_mountpoint: bool,
    /// Read-only applies to the top mount only.
    pub read_only_non_recursive: bool,
    /// Fails when not all mounts below can be read-only.
    pub read_only_force_recursive: bool,
}

/// How mounts below a bind travel between host and container.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Propagation {
    /// Recursive private.
    #[default]
    RPrivate,
    /// Private.
    Private,
    /// Recursive shared.
    RShared,
    /// Shared.
    Shared,
    /// Recursive slave.
    RSlave,
    /// Slave.
    Slave,
}

/// Options of a volume mount.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VolumeOptions {
    /// Does not copy the image's files into a fresh volume.
    pub no_copy: bool,
    /// Labels of a volume made on first use.
    pub labels: BTreeMap<String, String>,
    /// Path inside the volume.
    pub subpath: String,
    /// Driver of a volume made on first use.
    pub driver: Option<Driver>,
}

/// Options of a tmpfs mount.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TmpfsOptions {
    /// Size in bytes; 0 means the kernel's default.
    pub size_bytes: i64,
    /// File mode of its root; 0 means 01777.
    pub mode: u32,
    /// Raw options, each a flag or a key and a value.
    pub options: Vec<Vec<String>>,
}

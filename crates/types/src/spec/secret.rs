//! Secrets and configs, and how a container refers to them.

use super::{Annotations, Driver};
use crate::{ConfigId, SecretId, Sensitive};

/// A secret; only its labels may change.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SecretSpec {
    /// Name and labels.
    pub annotations: Annotations,
    /// The value; empty when a driver provides it.
    pub data: Sensitive,
    /// Template engine applied to the value; an empty name means none.
    pub templating: Option<Driver>,
    /// Provides the value instead of `data`.
    pub driver: Option<Driver>,
}

/// A config; only its labels may change.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConfigSpec {
    /// Name and labels.
    pub annotations: Annotations,
    /// The contents.
    pub data: Vec<u8>,
    /// Template engine applied to the contents; an empty name means none.
    pub templating: Option<Driver>,
}

/// A secret mounted into a container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecretReference {
    /// Which secret.
    pub id: SecretId,
    /// Its name when the reference was made; must still match.
    pub name: String,
    /// The file it appears as.
    pub target: FileTarget,
}

/// A config used by a container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigReference {
    /// Which config.
    pub id: ConfigId,
    /// Its name when the reference was made; must still match.
    pub name: String,
    /// The file it appears as; `None` when only the runtime reads it.
    pub target: Option<FileTarget>,
}

/// A file in the container.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FileTarget {
    /// Absolute, or relative to the default directory of its kind.
    pub name: String,
    /// Owner, a number.
    pub uid: String,
    /// Group, a number.
    pub gid: String,
    /// Permission bits.
    pub mode: u32,
}

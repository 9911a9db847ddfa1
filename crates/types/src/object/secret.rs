//! Secrets and configs.

use super::Meta;
use crate::spec::secret::{ConfigSpec, SecretSpec};
use crate::{ConfigId, SecretId};

/// A secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Secret {
    /// Its id.
    pub id: SecretId,
    /// Versions and times.
    pub meta: Meta,
    /// Its value and labels.
    pub spec: SecretSpec,
    /// Made by the system, hidden from users.
    pub internal: bool,
}

/// A config.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Its id.
    pub id: ConfigId,
    /// Versions and times.
    pub meta: Meta,
    /// Its contents and labels.
    pub spec: ConfigSpec,
}

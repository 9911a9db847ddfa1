//! Named directories of this node that outlive containers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::{Error, Runtime};

/// A volume that is to be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NewVolume {
    /// Its name, at least two letters, digits, `_`, `.` and `-`; empty means one is drawn.
    pub name: String,
    /// `local`, the only one, or empty.
    pub driver: String,
    /// Labels, for people.
    pub labels: BTreeMap<String, String>,
    /// `type`, `device` and `o`: what is mounted there while a container uses it.
    pub options: BTreeMap<String, String>,
}

/// A volume as found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Always `local`.
    pub driver: String,
    /// Directory on this host.
    pub mountpoint: PathBuf,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its options.
    pub options: BTreeMap<String, String>,
    /// When it was made, on this host's clock.
    pub created_at: SystemTime,
}

impl Runtime {
    /// Makes a volume. One of that name is answered as it is, whatever labels and options it has.
    ///
    /// # Errors
    ///
    /// [`Error::BadVolume`] when name, driver or options are none.
    pub async fn create_volume(&self, wanted: &NewVolume) -> Result<Volume, Error> {
        let _ = wanted;
        Err(Error::Unsupported { field: "volumes" })
    }

    /// All volumes, by name.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when they cannot be read.
    pub async fn volumes(&self) -> Result<Vec<Volume>, Error> {
        Err(Error::Unsupported { field: "volumes" })
    }

    /// The volume of that name; `None` when there is none.
    ///
    /// # Errors
    ///
    /// As [`Runtime::volumes`].
    pub async fn volume(&self, name: &str) -> Result<Option<Volume>, Error> {
        let _ = name;
        Err(Error::Unsupported { field: "volumes" })
    }

    /// Removes a volume and all that is in it.
    ///
    /// # Errors
    ///
    /// [`Error::VolumeMissing`] when there is none, [`Error::VolumeInUse`] while a container,
    /// running or not, has it.
    pub async fn remove_volume(&self, name: &str) -> Result<(), Error> {
        let _ = name;
        Err(Error::Unsupported { field: "volumes" })
    }
}

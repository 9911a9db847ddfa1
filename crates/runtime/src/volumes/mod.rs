//! Named directories of this node that outlive containers.
//!
//! A volume is `<volume_dir>/<name>`: its files in `_data`, what it is in `volume.json`. [`store`]
//! makes and removes it, whole or not at all ([`clear`] however deep it is); [`options`] mounts what its options name while
//! containers use it; [`fill`] puts an image's files into an empty one; [`subpath`] shows a part
//! of one. All of that blocks, and runs where it may.
//!
//! Who uses a volume is written on the records of containers and nowhere else. One lock per
//! [`Runtime`] keeps a volume from being removed while a container with it is made.

mod clear;
pub(crate) mod fill;
pub(crate) mod options;
pub(crate) mod store;
pub(crate) mod subpath;
mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::OwnedMutexGuard;

use crate::{Error, Runtime};

/// As Docker marks volumes that nobody named.
pub(crate) const ANONYMOUS: &str = "com.docker.volume.anonymous";
/// Longest wait for disks and for the servers of mounted volumes.
const PATIENCE: Duration = Duration::from_secs(300);

/// The right to change volumes, and to make or remove containers that use some.
pub(crate) type Held = Arc<OwnedMutexGuard<()>>;

/// A volume that is to be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NewVolume {
    /// Its name, two or more letters, digits, `_`, `.` and `-`; empty means one is drawn.
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
        let held = self.hold_volumes().await;
        let wanted = wanted.clone();
        self.change(&held, "create a volume", move |dir| store::create(dir, &wanted)).await
    }

    /// All volumes, by name. One that cannot be read is left out, with a warning.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when they cannot be read.
    pub async fn volumes(&self) -> Result<Vec<Volume>, Error> {
        self.on_disk("list volumes", store::list).await
    }

    /// The volume of that name; `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] and [`Error::BadVolume`] when it cannot be read.
    pub async fn volume(&self, name: &str) -> Result<Option<Volume>, Error> {
        let name = name.to_owned();
        self.on_disk("read a volume", move |dir| store::read(dir, &name)).await
    }

    /// Removes a volume and all that is in it.
    ///
    /// # Errors
    ///
    /// [`Error::VolumeMissing`] when there is none, [`Error::VolumeInUse`] while a container,
    /// running or not, has it.
    pub async fn remove_volume(&self, name: &str) -> Result<(), Error> {
        let held = self.hold_volumes().await;
        if self.volume(name).await?.is_none() {
            return Err(Error::VolumeMissing { name: name.into() });
        }
        if let Some(container) = self.users(name).await?.into_iter().next() {
            return Err(Error::VolumeInUse { name: name.into(), container });
        }
        let name = name.to_owned();
        self.change(&held, "remove a volume", move |dir| store::remove(dir, &name)).await
    }

    /// Waits for the right to change volumes.
    pub(crate) async fn hold_volumes(&self) -> Held {
        Arc::new(Arc::clone(&self.volumes).lock_owned().await)
    }

    /// Changes volumes; for as long as that takes nobody else does, also when nobody waits for
    /// it any more.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        held: &Held,
        call: &'static str,
        work: impl FnOnce(&Path) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let held = Arc::clone(held);
        self.on_disk(call, move |dir| {
            let done = work(dir);
            drop(held);
            done
        })
        .await
    }

    /// Runs blocking work on the volumes' directory and waits for it, for a bounded time.
    pub(crate) async fn on_disk<T: Send + 'static>(
        &self,
        call: &'static str,
        work: impl FnOnce(&Path) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let dir = self.options.volume_dir.clone();
        let work = tokio::task::spawn_blocking(move || work(&dir));
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(Ok(done)) => done,
            Ok(Err(lost)) => Err(Error::io(call)(std::io::Error::other(lost))),
            Err(_) => Err(Error::TimedOut { call, waited: PATIENCE }),
        }
    }
}

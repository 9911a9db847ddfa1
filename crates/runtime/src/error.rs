//! Why a call did not do what it should.

use std::time::Duration;

use crate::archive::BadArchive;
use crate::registry::RegistryError;

/// A variant per thing the caller does differently.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such container.
    #[error("no container {id}")]
    NotFound {
        /// The container.
        id: String,
    },
    /// The container has no process: it never started, or its end was lost with its shim.
    /// [`crate::Runtime::containers`] tells which.
    #[error("container {id} has no process")]
    NoProcess {
        /// The container.
        id: String,
    },
    /// The container ran before; a container runs once. Remove it and make another.
    #[error("container {id} ran already")]
    AlreadyRan {
        /// The container.
        id: String,
    },
    /// The process could not be started, and trying again will not help.
    #[error("start container {id}: {why}")]
    NotStarted {
        /// The container.
        id: String,
        /// What the OCI runtime said, such as a command that is not in the image.
        why: String,
    },
    /// A command could not be run beside the container.
    #[error("run a command in container {id}: {why}")]
    NotExecuted {
        /// The container.
        id: String,
        /// 127 when there is no such command, 126 when it cannot be run.
        code: u32,
        /// What the OCI runtime said.
        why: String,
    },
    /// No such image here, or one that was not unpacked. Load or pull it first.
    #[error("no image {reference}")]
    ImageMissing {
        /// The full name that was looked up.
        reference: String,
    },
    /// The image cannot be removed now.
    #[error("image {reference} is in use: {why}")]
    ImageUsed {
        /// What was given.
        reference: String,
        /// What uses it, or which images are meant.
        why: String,
    },
    /// The image does not come from its registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Not an image reference.
    #[error("image name {reference:?}: {why}")]
    BadReference {
        /// What was given.
        reference: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing that the container wrote is kept here.
    #[error("the output of container {id} is not kept on this node")]
    NoLogs {
        /// The container.
        id: String,
    },
    /// The configuration cannot be met with this image.
    #[error("{field}: {why}")]
    BadConfig {
        /// Field of [`crate::ContainerConfig`].
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such volume.
    #[error("no volume {name}")]
    VolumeMissing {
        /// The volume.
        name: String,
    },
    /// A container uses the volume; remove that one first.
    #[error("volume {name} is in use by container {container}")]
    VolumeInUse {
        /// The volume.
        name: String,
        /// One of those that use it.
        container: String,
    },
    /// A volume cannot be made, mounted or filled so.
    #[error("volume {name}: {why}")]
    BadVolume {
        /// The volume.
        name: String,
        /// What is wrong with its name, driver or options, or what the kernel said.
        why: String,
    },
    /// The archive was refused; nothing of it was kept.
    #[error("bad image archive")]
    BadArchive(#[from] BadArchive),
    /// containerd cannot be reached now. It may come back: try again later.
    #[error("containerd does not answer ({call})")]
    Unavailable {
        /// The call.
        call: &'static str,
    },
    /// No answer in time; the outcome is unknown. Every call may be made again.
    #[error("no answer to {call} within {} s", .waited.as_secs())]
    TimedOut {
        /// The call.
        call: &'static str,
        /// How long this side waited.
        waited: Duration,
    },
    /// containerd refused.
    #[error("{call}: {}", .status.message())]
    Containerd {
        /// The call.
        call: &'static str,
        /// What it said.
        status: Box<tonic::Status>,
    },
    /// This host refused.
    #[error("{doing}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }

    pub(crate) fn is(&self, code: tonic::Code) -> bool {
        matches!(self, Self::Containerd { status, .. } if status.code() == code)
    }
}

/// Reads the two refusals that mean "it is so already".
pub(crate) trait Tolerate<T>: Sized {
    /// `None` when the object is not there.
    fn or_absent(self) -> Result<Option<T>, Error>;
    /// `None` when the object is there already.
    fn or_present(self) -> Result<Option<T>, Error>;
}

impl<T> Tolerate<T> for Result<T, Error> {
    fn or_absent(self) -> Result<Option<T>, Error> {
        match self {
            Err(refusal) if refusal.is(tonic::Code::NotFound) => Ok(None),
            other => other.map(Some),
        }
    }

    fn or_present(self) -> Result<Option<T>, Error> {
        match self {
            Err(refusal) if refusal.is(tonic::Code::AlreadyExists) => Ok(None),
            other => other.map(Some),
        }
    }
}

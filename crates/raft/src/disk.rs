//! The only door to the files of the store.
//!
//! Each step that makes something durable, or that promises it is, passes a [`Witness`] first.
//! In production it does nothing; a test records the order of the steps, or makes one fail.
//! sled writes its file itself: its flush is announced here, its fdatasync is ours.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// What is about to happen to a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Bytes are written.
    Write,
    /// The content becomes durable.
    SyncData,
    /// Content, size and times become durable.
    SyncAll,
    /// The names in a directory become durable.
    SyncDir,
    /// A file takes its final name.
    Rename,
    /// A file goes away.
    Remove,
    /// Somebody is told that what was written before is durable.
    Acknowledge,
}

/// Sees every step before it happens and may make it fail.
pub(crate) trait Witness: fmt::Debug + Send + Sync + 'static {
    /// An error takes the place of the step.
    fn before(&self, step: Step, path: &Path) -> io::Result<()>;
}

#[derive(Debug)]
struct Silent;

impl Witness for Silent {
    fn before(&self, _: Step, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// File operations that the witness sees.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<dyn Witness>);

impl Default for Disk {
    fn default() -> Self {
        Self(Arc::new(Silent))
    }
}

impl Disk {
    #[cfg(test)]
    pub(crate) fn seen_by(witness: Arc<dyn Witness>) -> Self {
        Self(witness)
    }

    pub(crate) fn announce(&self, step: Step, path: &Path) -> io::Result<()> {
        self.0.before(step, path)
    }

    /// Makes a file only its owner can read; there must be none of that name.
    pub(crate) fn create(&self, path: &Path) -> io::Result<File> {
        self.announce(Step::Write, path)?;
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
    }

    pub(crate) fn append(&self, mut file: &File, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.announce(Step::Write, path)?;
        file.write_all(bytes)
    }

    pub(crate) fn write_at(
        &self,
        file: &File,
        path: &Path,
        bytes: &[u8],
        offset: u64,
    ) -> io::Result<()> {
        self.announce(Step::Write, path)?;
        file.write_all_at(bytes, offset)
    }

    pub(crate) fn sync_data(&self, file: &File, path: &Path) -> io::Result<()> {
        self.announce(Step::SyncData, path)?;
        file.sync_data()
    }

    pub(crate) fn sync_all(&self, file: &File, path: &Path) -> io::Result<()> {
        self.announce(Step::SyncAll, path)?;
        file.sync_all()
    }

    pub(crate) fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.announce(Step::SyncDir, path)?;
        File::open(path)?.sync_all()
    }

    /// Renames and makes the new name durable.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.announce(Step::Rename, to)?;
        fs::rename(from, to)?;
        self.sync_dir(parent(to))
    }

    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.announce(Step::Remove, path)?;
        fs::remove_file(path)
    }
}

/// The directory a file stands in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

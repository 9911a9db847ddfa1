//! Snapshots of the state: plain files of sealed chunks, and which of them is in use.
//!
//! A snapshot is written under a temporary name, synced, renamed and its directory synced; only
//! then does the mark name it, and only then may the log below it go. The one before is removed
//! after that. Files the mark does not name are leftovers of a crash.

mod file;
mod part;
mod store;
mod transfer;

pub(crate) use self::file::SnapshotFile;
pub(crate) use self::part::Part;
pub(crate) use self::store::Snapshots;
pub(crate) use self::transfer::{Intake, IntakeError};

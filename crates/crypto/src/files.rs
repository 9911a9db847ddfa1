//! Files that are either the old or the new one after a crash, never half of each.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Mode of a file that holds a secret.
pub(crate) const SECRET: u32 = 0o600;

/// Replaces `path` with `bytes`: written beside it, synced, renamed, and the folder synced.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let beside = beside(path);
    write_synced(&beside, bytes, mode)?;
    fs::rename(&beside, path)?;
    sync_folder(path)
}

/// Where the next content of `path` is written: `.NAME.tmp` in the same folder.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.tmp"))
}

/// Makes a file anew with this mode and syncs its content; what was there is removed first, so
/// that a left-over cannot lend it a laxer mode.
pub(crate) fn write_synced(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes renames in the folder of `path` survive a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

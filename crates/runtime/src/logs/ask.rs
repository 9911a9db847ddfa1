//! Asks a writer to write what it has.
//!
//! Its pipes stay open until the container's process is deleted, so that their end does not tell
//! when all is written. Instead it watches a FIFO: a byte in there is read once everything that
//! was in the pipes before is in the log.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::dir;

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(2);
/// Looks before a writer is taken for stuck.
const LOOKS: u32 = 500;

/// What became of the writer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Writer {
    /// It has written all there was, or does not answer.
    Runs,
    /// There is none.
    Gone,
}

/// Makes the FIFO.
pub(super) fn make(dir: &Path) -> io::Result<()> {
    match nix::unistd::mkfifo(&dir::ask(dir), Mode::S_IRUSR | Mode::S_IWUSR) {
        Err(errno) if errno != nix::errno::Errno::EEXIST => Err(errno.into()),
        _ => Ok(()),
    }
}

/// Returns when everything written so far can be read, within about a second.
pub(super) async fn writer(dir: &Path) -> Writer {
    let Some(mut fifo) = open(dir) else { return Writer::Gone };
    // A full FIFO asks already.
    let _ = fifo.write(&[0]);
    for _ in 0..LOOKS {
        match rustix::io::ioctl_fionread(&fifo) {
            Ok(waiting) if waiting > 0 => tokio::time::sleep(PAUSE).await,
            _ => return Writer::Runs,
        }
    }
    Writer::Runs
}

/// Whether there is a writer.
pub(super) fn runs(dir: &Path) -> Writer {
    open(dir).map_or(Writer::Gone, |_| Writer::Runs)
}

/// Opens only while somebody reads.
fn open(dir: &Path) -> Option<File> {
    let nonblock = OFlag::O_NONBLOCK.bits();
    File::options().write(true).custom_flags(nonblock).open(dir::ask(dir)).ok()
}

//! What containers write to their standard output and error.
//!
//! containerd starts a writer beside each container, which lives as long as its output and
//! depends on neither daemon: [`writer`] is its loop, [`lines`] cuts lines, [`store`] appends
//! them. The directory ([`dir`]) holds segments of records ([`frame`]), an index of each, the
//! bounds, and a FIFO to [`ask`] the writer.
//!
//! A reader needs nothing but the directory: [`query`] finds where to begin, [`cursor`] walks,
//! [`reading`] picks, [`follow`] waits for more. Only following asks containerd, for the end.

mod ask;
mod cursor;
mod dir;
mod ended;
mod follow;
mod frame;
mod lines;
mod place;
mod query;
mod reading;
mod store;
mod writer;

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use follow::LogReader;
pub use place::LogPlace;
pub use writer::write_logs;

use crate::{Error, Log, Runtime};

/// Which part of a container's output is wanted. The default is all there is now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogQuery {
    /// Which of its streams.
    pub streams: Streams,
    /// Whether to wait for more.
    pub follow: Follow,
    /// The last so many lines before now; `None` means all.
    pub tail: Option<u64>,
    /// Only lines written then or later.
    pub since: Option<SystemTime>,
    /// Ends at the first line written then or later.
    pub until: Option<SystemTime>,
    /// Goes on where another reader of the container came to, whatever `tail` says.
    pub after: Option<LogPlace>,
}

/// Which streams of a container.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Streams {
    /// Standard output and error.
    #[default]
    Both,
    /// Standard output.
    Stdout,
    /// Standard error, and what could not be logged.
    Stderr,
}

/// Whether a reader waits for what is not written yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Follow {
    /// It ends with what was written when it began.
    #[default]
    No,
    /// It ends when the container has ended.
    UntilEnd,
}

/// The stream a line was written to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogStream {
    /// Standard output; everything, with a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line a container wrote, or a part of one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    /// When it was written, on this host's clock.
    pub at: SystemTime,
    /// Where to.
    pub stream: LogStream,
    /// Any bytes, at most 16 KiB, without the newline.
    pub data: Vec<u8>,
    /// The line goes on with the next one of this stream.
    pub partial: bool,
}

impl Runtime {
    /// Reads what a container wrote. Needs neither containerd nor the container, only its
    /// directory, which stays until [`Runtime::remove`].
    ///
    /// Everything the container wrote before the call is read.
    ///
    /// # Errors
    ///
    /// [`Error::NoLogs`] when nothing of the container is kept here.
    pub async fn logs(&self, id: &str, query: &LogQuery) -> Result<LogReader, Error> {
        LogReader::open(self.clone(), id, query).await
    }

    /// Makes the directory a container's writer works in.
    pub(crate) fn prepare_logs(&self, id: &str, log: Log) -> Result<(), Error> {
        let Log::Files { max_bytes, max_files } = log else { return Ok(()) };
        let dir = self.log_path(id);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.and_then(|()| ask::make(&dir))
            .and_then(|()| dir::Bounds { max_bytes, max_files }.write(&dir))
            .map_err(Error::io("make the directory of a container's log"))
    }

    /// Where containerd sends a container's output.
    pub(crate) fn output(&self, id: &str) -> String {
        let dir = self.log_path(id);
        if !dir.exists() {
            return String::new();
        }
        // One key: containerd passes several in any order.
        let [program, dir] = [&self.options.log_writer, &dir].map(|path| escaped(path));
        format!("binary://{program}?log-writer={dir}")
    }

    pub(crate) async fn remove_logs(&self, id: &str) -> Result<(), Error> {
        match tokio::fs::remove_dir_all(self.log_path(id)).await {
            Err(failure) if failure.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("remove the log of a container")(failure))
            }
            _ => Ok(()),
        }
    }

    fn log_path(&self, id: &str) -> PathBuf {
        self.options.log_dir.join(id)
    }
}

/// A path within a URI.
fn escaped(path: &Path) -> String {
    use std::fmt::Write;
    use std::os::unix::ffi::OsStrExt;

    let mut text = String::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                text.push(char::from(*byte));
            }
            // Writing to a string cannot fail.
            _ => drop(write!(text, "%{byte:02X}")),
        }
    }
    text
}

/// Whether the directory of a log is there.
fn is_kept(dir: &Path) -> bool {
    fs::metadata(dir).is_ok_and(|found| found.is_dir())
}

#[cfg(test)]
mod tests;

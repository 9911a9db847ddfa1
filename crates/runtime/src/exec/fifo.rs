//! The pipes between a command and this process: FIFOs in a directory of its own.
//!
//! The shim opens its ends when the command starts. Ours are open before, so that nothing is lost
//! of a command that ends at once, and are read only after it has started, so that an end that
//! was never opened is not taken for one that was closed.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::Mode;
use tokio::net::unix::pipe::{OpenOptions, Receiver, Sender};

use super::{ExecConfig, Stdin, Terminal};

/// Opens both ends of all FIFOs there are.
pub(super) fn hold(dir: &Path) -> Vec<File> {
    let fifos = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut both = File::options();
    both.read(true).write(true).custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits());
    fifos.filter_map(|fifo| both.open(fifo.path()).ok()).collect()
}

#[derive(Debug)]
pub(super) struct Fifos {
    dir: PathBuf,
    /// Both ends, so that opening does not wait for the shim.
    pub(super) stdin: Option<Sender>,
    pub(super) stdout: Receiver,
    /// A terminal has none.
    pub(super) stderr: Option<Receiver>,
}

impl Fifos {
    pub(super) fn make(dir: &Path, config: &ExecConfig) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let make = |name| {
            let path = dir.join(name);
            nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
            io::Result::Ok(path)
        };
        let read = |name| OpenOptions::new().open_receiver(make(name)?);
        let stdin = match config.stdin {
            Stdin::Piped => Some(OpenOptions::new().read_write(true).open_sender(make("in")?)?),
            Stdin::Empty => None,
        };
        let stderr = match config.terminal {
            Terminal::None => Some(read("err")?),
            Terminal::Of(_) => None,
        };
        Ok(Self { dir: dir.to_owned(), stdin, stdout: read("out")?, stderr })
    }

    pub(super) fn stdin_path(&self) -> String {
        self.stdin.as_ref().map_or_else(String::new, |_| self.path("in"))
    }

    pub(super) fn stdout_path(&self) -> String {
        self.path("out")
    }

    pub(super) fn stderr_path(&self) -> String {
        self.stderr.as_ref().map_or_else(String::new, |_| self.path("err"))
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).to_string_lossy().into_owned()
    }
}

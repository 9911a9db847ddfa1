//! Stdout, whose reader may go away: `swarm ps | head -1` is nobody's failure.

use std::fmt;
use std::io::{self, ErrorKind, Write};

/// Stdout; tells apart that nobody reads it any more.
#[derive(Debug)]
pub(super) struct Stdout(pub(super) io::Stdout);

/// Nobody reads stdout any more.
#[derive(Debug)]
struct Unread;

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads the output")
    }
}

impl std::error::Error for Unread {}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(unread)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(unread)
    }
}

fn unread(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::BrokenPipe {
        return io::Error::new(ErrorKind::BrokenPipe, Unread);
    }
    error
}

/// True when a command ended since nobody reads what it prints.
pub(super) fn is_unread(error: &anyhow::Error) -> bool {
    let inner = |cause: &&(dyn std::error::Error + 'static)| {
        let io = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        io.is_some_and(|inner| inner.is::<Unread>())
    };
    error.chain().any(|cause| inner(&cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_closed_stdout_is_unread() {
        let closed = unread(ErrorKind::BrokenPipe.into());
        let socket: io::Error = ErrorKind::BrokenPipe.into();

        assert!(is_unread(&anyhow::Error::from(closed).context("show")));
        assert!(!is_unread(&socket.into()));
        assert!(!is_unread(&unread(ErrorKind::StorageFull.into()).into()));
    }
}

//! The user's terminal: its size, and raw mode that is undone on every way out.

use rustix::termios::{self, OptionalActions, Termios};
use swarm_client::TerminalSize;

/// Size of the terminal behind stdin, stdout or stderr; `None` when there is none.
pub(crate) fn size() -> Option<TerminalSize> {
    let sizes = [
        termios::tcgetwinsize(std::io::stderr()),
        termios::tcgetwinsize(std::io::stdout()),
        termios::tcgetwinsize(std::io::stdin()),
    ];
    let known = sizes.into_iter().flatten().find(|size| size.ws_col > 0)?;
    Some(TerminalSize { rows: known.ws_row, columns: known.ws_col })
}

/// Stdin without line editing, echo and signals; as it was again once this is dropped.
pub(crate) struct Raw(Termios);

impl Raw {
    /// Switches; an error when stdin is no terminal.
    pub(crate) fn enter() -> std::io::Result<Self> {
        let stdin = std::io::stdin();
        let before = termios::tcgetattr(&stdin)?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The terminal may be gone, and then there is nothing to restore.
        let _ = termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// A terminal that does not show what is typed, until this is dropped.
pub(crate) struct Hidden {
    // Put back when dropped.
    _before: Raw,
}

impl Hidden {
    /// Switches; an error when stdin is no terminal.
    pub(crate) fn enter() -> std::io::Result<Self> {
        let stdin = std::io::stdin();
        let before = termios::tcgetattr(&stdin)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(termios::LocalModes::ECHO);
        termios::tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
        Ok(Self { _before: Raw(before) })
    }
}

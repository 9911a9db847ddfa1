//! Who asks a log writer to end.
//!
//! The shim does, by SIGTERM, when it has done with the container's output, and waits for that
//! with its locks held: nobody learns anything of the container until then. The output need not
//! have ended: a process whose start was cut off holds it. Whoever else sends SIGTERM stops
//! services, and the container goes on.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getppid};

/// SIGTERM, which this process blocks, as something to wait for.
#[derive(Debug)]
pub(super) struct Ended {
    /// `None` when it cannot be had: then the output has to end.
    signals: Option<SignalFd>,
    shim: Pid,
}

impl Ended {
    /// To be called while the parent is still who started this process.
    pub(super) fn watch() -> Self {
        let term: SigSet = [Signal::SIGTERM].into_iter().collect();
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Self { signals: SignalFd::with_flags(&term, flags).ok(), shim: getppid() }
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.signals.as_ref().map(AsFd::as_fd)
    }

    /// Whether the signal that came is the shim's.
    pub(super) fn by_shim(&self) -> bool {
        let sent = self.signals.as_ref().and_then(|signals| signals.read_signal().ok().flatten());
        let sender = sent.and_then(|signal| i32::try_from(signal.ssi_pid).ok());
        sender == Some(self.shim.as_raw())
    }
}

//! A command that runs, as its caller holds it.
//!
//! Whatever is not read waits in the pipes and then holds the command up; nothing is kept here.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use containerd_client::services::v1::{CloseIoRequest, ResizePtyRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::time::{Instant, sleep_until};

use super::TerminalSize;
use super::end::{Name, Running};
use super::fifo::Fifos;
use crate::error::Tolerate;
use crate::rpc::{QUICK, rpc};
use crate::{Error, Signal};

/// Most that is read at once.
const READ: usize = 32 << 10;
/// How long output may be silent after the exit; processes the command left may hold it open.
const SILENCE: Duration = Duration::from_secs(1);

/// A command beside a container's process. Dropping it kills the command.
pub struct Exec {
    pid: u32,
    input: Option<ExecInput>,
    control: ExecControl,
    stdout: Option<Receiver>,
    stderr: Option<Receiver>,
    exit: Pin<Box<dyn Future<Output = Result<u32, Error>> + Send>>,
    /// Exit code, and until when output may still come.
    ended: Option<(u32, Instant)>,
    // Dropped last: what it starts needs nothing of the others.
    running: Running,
}

impl std::fmt::Debug for Exec {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Exec").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// What comes of a command, in order per stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExecEvent {
    /// Bytes of its standard output, or of its terminal.
    Stdout(Bytes),
    /// Bytes of its standard error.
    Stderr(Bytes),
    /// It ended with this code, 128 + signal when a signal ended it. Nothing comes after that.
    Exit(u32),
}

/// Takes the input of a command.
#[derive(Debug)]
pub struct ExecInput {
    pipe: Sender,
    into: Into,
    control: ExecControl,
}

/// What the input of a command goes into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Into {
    Pipe,
    Terminal,
}

/// What ends the input of a terminal: Ctrl-D.
const END_OF_TRANSMISSION: u8 = 4;

/// Acts on a command that runs.
#[derive(Clone, Debug)]
pub struct ExecControl(Name);

impl Exec {
    pub(super) fn new(running: Running, name: &Name, fifos: Fifos, pid: u32) -> Self {
        let control = ExecControl(name.clone());
        let into = if fifos.stderr.is_some() { Into::Pipe } else { Into::Terminal };
        let input = fifos.stdin.map(|pipe| ExecInput { pipe, into, control: control.clone() });
        Self {
            pid,
            input,
            stdout: Some(fifos.stdout),
            stderr: fifos.stderr,
            exit: Box::pin(name.clone().exit()),
            control,
            ended: None,
            running,
        }
    }

    /// Its process id on this host.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its input, once; `None` when it has none.
    #[must_use]
    pub fn take_input(&mut self) -> Option<ExecInput> {
        self.input.take()
    }

    /// A handle to act on it.
    #[must_use]
    pub fn control(&self) -> ExecControl {
        self.control.clone()
    }

    /// What comes next. Safe to drop and call again.
    ///
    /// # Errors
    ///
    /// [`Error::NoProcess`] when the container was removed, or lost with its shim.
    pub async fn next(&mut self) -> Result<ExecEvent, Error> {
        loop {
            let Self { stdout, stderr, exit, ended, running, .. } = self;
            if let (None, None, Some((code, _))) = (&stdout, &stderr, &ended) {
                let code = *code;
                running.over().await;
                return Ok(ExecEvent::Exit(code));
            }
            let silence = ended.map(|(_, until)| until);
            let event = tokio::select! {
                biased;
                bytes = read(stdout) => bytes.map(ExecEvent::Stdout),
                bytes = read(stderr) => bytes.map(ExecEvent::Stderr),
                code = exit, if ended.is_none() => {
                    *ended = Some((code?, Instant::now() + SILENCE));
                    continue;
                }
                () = sleep_until(silence.unwrap_or_else(Instant::now)), if silence.is_some() => {
                    (*stdout, *stderr) = (None, None);
                    None
                }
            };
            if let Some(event) = event {
                if let Some((_, until)) = ended {
                    *until = Instant::now() + SILENCE;
                }
                return Ok(event);
            }
        }
    }
}

/// Reads from an open pipe; `None` when it has ended just now.
async fn read(pipe: &mut Option<Receiver>) -> Option<Bytes> {
    let Some(open) = pipe else { return std::future::pending().await };
    let mut bytes = BytesMut::with_capacity(READ);
    match open.read_buf(&mut bytes).await {
        Ok(count) if count > 0 => Some(bytes.freeze()),
        _ => {
            *pipe = None;
            None
        }
    }
}

impl ExecInput {
    /// Writes all of it; waits while the command does not read. Give it up when the command has
    /// ended.
    ///
    /// # Errors
    ///
    /// When the pipe is broken.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.pipe.write_all(bytes).await.map_err(Error::io("write to a command"))
    }

    /// Ends the input, after all that was written. To a terminal it is a Ctrl-D: the shim would
    /// hang it up, and the rest of its output would be lost.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] and the like.
    pub async fn close(mut self) -> Result<(), Error> {
        if self.into == Into::Terminal {
            return self.write(&[END_OF_TRANSMISSION]).await;
        }
        let Self { pipe, into: _, control: ExecControl(name) } = self;
        drop(pipe);
        // The shim holds the other end open until it is told.
        let (container_id, exec_id) = (name.id, name.exec);
        let request = CloseIoRequest { container_id, exec_id, stdin: true };
        let mut tasks = name.runtime.link.tasks();
        let closed = rpc("close the input", QUICK, tasks.close_io(request));
        closed.await.or_absent().map(drop)
    }
}

impl ExecControl {
    /// Tells the terminal its size. Does nothing once the command has ended.
    ///
    /// # Errors
    ///
    /// When the command has no terminal.
    pub async fn resize(&self, size: TerminalSize) -> Result<(), Error> {
        let Self(name) = self;
        let request = ResizePtyRequest {
            container_id: name.id.clone(),
            exec_id: name.exec.clone(),
            width: size.columns,
            height: size.rows,
        };
        let mut tasks = name.runtime.link.tasks();
        let resized = rpc("resize a terminal", QUICK, tasks.resize_pty(request));
        match resized.await.or_absent() {
            // It ended a moment ago, which whoever resizes it cannot know yet.
            Err(Error::Containerd { status, .. }) if status.message().contains("stopped") => Ok(()),
            resized => resized.map(drop),
        }
    }

    /// Sends a signal. Does nothing once the command has ended.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] and the like.
    pub async fn signal(&self, signal: Signal) -> Result<(), Error> {
        self.0.signal(signal).await
    }
}

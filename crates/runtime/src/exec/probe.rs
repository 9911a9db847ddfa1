//! A command that is only asked how it ends, as for a health check.

use std::time::Duration;

use super::{ExecConfig, ExecEvent};
use crate::{Error, Runtime, Signal};

/// Most output that is kept of a probe.
const OUTPUT: usize = 4096;

/// What a probe told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// How it ended.
    pub end: ProbeEnd,
    /// The first 4096 bytes of its output and error.
    pub output: Vec<u8>,
}

/// How a probe ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProbeEnd {
    /// With this code; 126 when it cannot be run, 127 when there is no such command.
    Exited(u32),
    /// It did not end in time, and was killed.
    TimedOut,
}

impl Runtime {
    /// Runs a command and waits for its end, at most for `patience` from when it has started.
    /// Its input is empty, whatever `config` says. Dropping the call ends the command.
    ///
    /// # Errors
    ///
    /// [`Error::NoProcess`] when the container does not run, or not any more.
    pub async fn probe(
        &self,
        id: &str,
        config: &ExecConfig,
        patience: Duration,
    ) -> Result<Probe, Error> {
        let config = ExecConfig { stdin: super::Stdin::Empty, ..config.clone() };
        let mut exec = match self.exec(id, &config).await {
            Err(Error::NotExecuted { code, why, .. }) => {
                let output = why.into_bytes().into_iter().take(OUTPUT).collect();
                return Ok(Probe { end: ProbeEnd::Exited(code), output });
            }
            started => started?,
        };
        let mut output = Vec::new();
        let ended = tokio::time::timeout(patience, async {
            loop {
                match exec.next().await? {
                    ExecEvent::Stdout(bytes) | ExecEvent::Stderr(bytes) => {
                        let room = OUTPUT - output.len();
                        output.extend(bytes.into_iter().take(room));
                    }
                    ExecEvent::Exit(code) => return Ok::<u32, Error>(code),
                }
            }
        });
        let end = match ended.await {
            Ok(code) => ProbeEnd::Exited(code?),
            Err(_) => {
                exec.control().signal(Signal::KILL).await?;
                ProbeEnd::TimedOut
            }
        };
        Ok(Probe { end, output })
    }
}

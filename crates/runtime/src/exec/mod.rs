//! Commands run beside a container's process.
//!
//! [`process`] derives what runs from the container's own specification, [`fifo`] makes the pipes
//! its shim opens, [`stream`] is the handle, [`probe`] the short form for health checks. One that
//! is not wanted any more is killed and cleaned up by [`end`]; what a killed daemon left behind
//! is ended when the next one connects.

mod end;
mod fifo;
mod probe;
mod process;
mod stream;

use std::path::PathBuf;

use containerd_client::services::v1::{ExecProcessRequest, StartRequest};

pub use probe::{Probe, ProbeEnd};
pub use stream::{Exec, ExecControl, ExecEvent, ExecInput};

use crate::container::check_id;
use crate::rpc::{PROCESS, QUICK, rpc};
use crate::{Error, Runtime, Status};
use end::{Name, Running};
use fifo::Fifos;

/// A command to run beside a container's process. What is empty is as that process has it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExecConfig {
    /// Program and arguments.
    pub args: Vec<String>,
    /// `KEY=VALUE` on top of the container's; `KEY` alone removes one.
    pub env: Vec<String>,
    /// Working directory.
    pub dir: String,
    /// `USER[:GROUP]`, names or numbers.
    pub user: String,
    /// What its streams are.
    pub terminal: Terminal,
    /// Its standard input.
    pub stdin: Stdin,
    /// What it may do.
    pub rights: Rights,
}

/// Whether a command gets a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Terminal {
    /// Three streams.
    #[default]
    None,
    /// A terminal, of that size at first when it is known.
    Of(Option<TerminalSize>),
}

/// Size of a terminal, in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u32,
    /// Characters per line.
    pub columns: u32,
}

/// The standard input of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stdin {
    /// It is empty.
    #[default]
    Empty,
    /// What [`ExecInput`] is given.
    Piped,
}

/// What a command may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Rights {
    /// What the container's process may.
    #[default]
    Container,
    /// All capabilities.
    All,
}

impl Runtime {
    /// Runs a command beside the process of a container. Dropping the result ends it.
    ///
    /// # Errors
    ///
    /// [`Error::NoProcess`] when the container does not run, [`Error::NotExecuted`] when there is
    /// no such command or it cannot be run.
    pub async fn exec(&self, id: &str, config: &ExecConfig) -> Result<Exec, Error> {
        check_id(id)?;
        if !matches!(self.status(id).await?, Status::Running { .. }) {
            return Err(Error::NoProcess { id: id.into() });
        }
        let spec = self.exec_process(id, config).await?;
        let exec = format!("{:016x}", rand::random::<u64>());
        let name = Name { runtime: self.clone(), id: id.into(), exec: exec.clone() };
        let running = Running::new(name.clone());
        let fifos = Fifos::make(&self.exec_path(id, &exec), config)
            .map_err(Error::io("make the pipes of a command"))?;
        let request = ExecProcessRequest {
            container_id: id.into(),
            stdin: fifos.stdin_path(),
            stdout: fifos.stdout_path(),
            stderr: fifos.stderr_path(),
            terminal: config.terminal != Terminal::None,
            spec: Some(spec),
            exec_id: exec.clone(),
        };
        rpc("add a command", QUICK, self.link.tasks().exec(request)).await?;
        let request = StartRequest { container_id: id.into(), exec_id: exec.clone() };
        let started = rpc("start a command", PROCESS, self.link.tasks().start(request)).await;
        let pid = started.map_err(|refused| not_executed(id, refused))?.pid;
        let exec = Exec::new(running, &name, fifos, pid);
        if let Terminal::Of(Some(size)) = config.terminal {
            exec.control().resize(size).await?;
        }
        Ok(exec)
    }

    fn exec_path(&self, id: &str, exec: &str) -> PathBuf {
        self.options.exec_dir.join(id).join(exec)
    }
}

/// What the OCI runtime says of a command comes as text. As Docker reads it.
fn not_executed(id: &str, refused: Error) -> Error {
    let Error::Containerd { status, .. } = &refused else { return refused };
    if !matches!(status.code(), tonic::Code::Unknown | tonic::Code::InvalidArgument) {
        return refused;
    }
    let why = status.message();
    let missing = ["executable file not found", "no such file or directory"];
    let code = if missing.iter().any(|text| why.contains(text)) { 127 } else { 126 };
    Error::NotExecuted { id: id.into(), code, why: why.into() }
}

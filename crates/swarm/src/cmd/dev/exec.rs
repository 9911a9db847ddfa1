//! `swarm dev exec NODE -- COMMAND [ARG...]`
//!
//! The command takes the place of this process, with its terminal; `SWARM_SOCKET` and
//! `CONTAINERD_ADDRESS` name the node's daemon and containerd.

use std::ffi::OsString;
use std::io::ErrorKind;

use swarm_dev::{DevError, Rig};

use crate::output::Exit;

/// What shells say of a command that is not there, and of one that cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUNNABLE: u8 = 126;

#[derive(clap::Args, Debug)]
pub(crate) struct Exec {
    /// Node to run it in
    node: String,
    /// The command
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

pub(crate) fn run(args: &Exec, rig: &Rig) -> anyhow::Result<()> {
    let Err(error) = rig.exec(&args.node, &args.command);
    let code = match &error {
        DevError::Io { action: "run", source, .. } => match source.kind() {
            ErrorKind::NotFound => NOT_FOUND,
            _ => NOT_RUNNABLE,
        },
        _ => 1,
    };
    let why = format!("{:#}", anyhow::Error::from(error));
    Err(Exit { code, why }.into())
}

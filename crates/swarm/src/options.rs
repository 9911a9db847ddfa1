//! What can be typed. Each command's own options stand in its file below `cmd`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::cmd::Command;

/// Where a node's socket is unless told otherwise.
pub(crate) const DEFAULT_SOCKET: &str = "/run/swarm/swarm.sock";

/// Runs containers on a cluster of hosts
#[derive(Parser, Debug)]
#[command(name = "swarm", version, propagate_version = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(clap::Args, Debug)]
pub(crate) struct Global {
    /// Socket of the node to talk to
    #[arg(long, global = true, env = "SWARM_SOCKET", default_value = DEFAULT_SOCKET, value_name = "PATH")]
    pub(crate) socket: PathBuf,
    /// Shape of the output
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Print ids only
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// Shape of the output.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// Columns for people
    Table,
    /// One JSON object per line
    Json,
}

//! What can be typed. Each command's own options stand in its file below `cmd`.

use std::convert::Infallible;
use std::path::PathBuf;

use clap::Parser;

use crate::cmd::Command;
use crate::output::Format;

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
    /// Socket of the node to talk to [default: /run/swarm/swarm.sock]
    #[arg(long, global = true, env = "SWARM_SOCKET", value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// Shape of the output: table, `table TEMPLATE`, json, raw, or a Go template
    #[arg(long, global = true, value_name = "FORMAT", value_parser = parse_format)]
    pub(crate) format: Option<Format>,
    /// Print ids only, and no progress
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

impl Global {
    /// The socket to talk to.
    pub(crate) fn socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| DEFAULT_SOCKET.into())
    }
}

fn parse_format(text: &str) -> Result<Format, Infallible> {
    Ok(Format::parse(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}

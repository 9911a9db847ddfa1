//! What can be typed. Each command's own options stand in its file below `cmd`.

use std::path::PathBuf;

use clap::Parser;

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
    #[arg(long, global = true, value_name = "table|json", default_value = "table", value_parser = parse_format)]
    pub(crate) format: Format,
    /// Print ids only
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// Shape of the output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// Columns for people
    Table,
    /// One JSON object per line
    Json,
}

fn parse_format(text: &str) -> Result<Format, String> {
    match text {
        "" | "table" => Ok(Format::Table),
        "json" => Ok(Format::Json),
        _ => Err("not supported yet: --format TEMPLATE; pass `table` or `json`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn templates_are_refused_by_name() {
        let refusal = Cli::try_parse_from(["swarm", "ps", "--format", "{{.ID}}"]).unwrap_err();

        assert!(refusal.to_string().contains("not supported yet: --format TEMPLATE"));
    }
}

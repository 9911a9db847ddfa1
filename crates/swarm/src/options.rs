//! What can be typed. Each command's own options stand in its file below `cmd`.
//!
//! Options of every command are shown, and taken, only where they do something: [`UNUSED`] says
//! where they do not.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command as Words, CommandFactory, FromArgMatches, Parser};

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

/// The options of [`Global`] that these commands have no use for.
const UNUSED: [(&str, &[&str]); 49] = [
    ("completion", &["format", "quiet", "socket"]),
    ("daemon", &["format", "quiet"]),
    ("dev down", &["format", "socket"]),
    ("dev exec", &["format", "quiet", "socket"]),
    ("dev heal", &["format", "quiet", "socket"]),
    ("dev image load", &["format", "socket"]),
    ("dev kill", &["format", "quiet", "socket"]),
    ("dev logs", &["format", "quiet", "socket"]),
    ("dev partition", &["format", "quiet", "socket"]),
    ("dev pause", &["format", "quiet", "socket"]),
    ("dev resume", &["format", "quiet", "socket"]),
    ("dev start", &["format", "quiet", "socket"]),
    ("dev status", &["socket"]),
    ("dev up", &["socket"]),
    ("ca", &["format"]),
    ("events", &["quiet"]),
    ("exec", &["format", "quiet"]),
    ("help", &["format", "quiet", "socket"]),
    ("image inspect", &["quiet"]),
    ("image load", &["format"]),
    ("image prune", &["format", "quiet"]),
    ("image pull", &["format"]),
    ("image rm", &["format", "quiet"]),
    ("info", &["quiet"]),
    ("init", &["format"]),
    ("join", &["format"]),
    ("join-token", &["format"]),
    ("leave", &["format", "quiet"]),
    ("logs", &["format", "quiet"]),
    ("node demote", &["format", "quiet"]),
    ("node inspect", &["quiet"]),
    ("node promote", &["format", "quiet"]),
    ("node rm", &["format", "quiet"]),
    ("node update", &["format", "quiet"]),
    ("service create", &["format"]),
    ("service inspect", &["quiet"]),
    ("service logs", &["format", "quiet"]),
    ("service rm", &["format", "quiet"]),
    ("service rollback", &["format"]),
    ("service scale", &["format"]),
    ("service update", &["format"]),
    ("unlock", &["format", "quiet"]),
    ("unlock-key", &["format"]),
    ("update", &["format", "quiet"]),
    ("version", &["quiet"]),
    ("volume create", &["format", "quiet"]),
    ("volume inspect", &["quiet"]),
    ("volume prune", &["format", "quiet"]),
    ("volume rm", &["format", "quiet"]),
];

impl Cli {
    /// Reads a command line, the program's name first.
    pub(crate) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut command = Self::whole();
        let matches = command.try_get_matches_from_mut(words)?;
        if let Some(flag) = useless(&matches) {
            let mut unknown = clap::Error::new(ErrorKind::UnknownArgument).with_cmd(&command);
            unknown.insert(ContextKind::InvalidArg, ContextValue::String(format!("--{flag}")));
            return Err(unknown);
        }
        Self::from_arg_matches(&matches)
    }

    /// The command line with each option where it does something.
    pub(crate) fn whole() -> Words {
        let command = Self::command();
        let hidden: Vec<_> = command.get_arguments().map(|it| it.clone().hide(true)).collect();
        UNUSED.iter().fold(command, |command, (path, unused)| {
            let hidden = hidden.iter().filter(|it| unused.contains(&it.get_id().as_str()));
            let path: Vec<&str> = path.split(' ').collect();
            at(command, &path, |found| found.args(hidden.cloned()))
        })
    }
}

/// Changes the command at the end of `path`.
fn at(command: Words, path: &[&str], change: impl FnOnce(Words) -> Words) -> Words {
    match path.split_first() {
        None => change(command),
        Some((first, rest)) => {
            // Else each level would wrap the type of the one above, without end.
            let change: Box<dyn FnOnce(Words) -> Words> = Box::new(change);
            command.mut_subcommand(*first, |sub| at(sub, rest, change))
        }
    }
}

/// Which option was typed in vain, if one was.
fn useless(matches: &ArgMatches) -> Option<&'static str> {
    let (mut path, mut leaf) = (Vec::new(), matches);
    while let Some((name, below)) = leaf.subcommand() {
        path.push(name);
        leaf = below;
    }
    let path = path.join(" ");
    let (_, unused) = UNUSED.iter().find(|(of, _)| *of == path)?;
    let typed = |flag: &&&str| leaf.value_source(flag) == Some(ValueSource::CommandLine);
    unused.iter().find(typed).copied()
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

    fn read(words: &[&str]) -> Result<Cli, String> {
        let words = ["swarm"].iter().chain(words).map(OsString::from);
        Cli::read(words).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::whole().debug_assert();
    }

    #[test]
    fn options_are_shown_and_taken_where_they_do_something() {
        for (path, unused) in UNUSED {
            let mut words: Vec<&str> = path.split(' ').collect();
            words.push("--help");
            let help = read(&words).unwrap_err();
            for flag in unused {
                assert!(!help.contains(&format!("--{flag}")), "{path}: {help}");
            }
        }
        assert!(read(&["image", "ls", "--help"]).unwrap_err().contains("--quiet"));
        assert!(read(&["image", "ls", "-q", "--format", "json"]).unwrap().global.quiet);

        for words in [&["info", "-q"][..], &["-q", "info"], &["daemon", "--format", "json"]] {
            let refusal = read(words).unwrap_err();
            assert!(refusal.contains("unexpected argument '--"), "{refusal}");
        }
    }
}

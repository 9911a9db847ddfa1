//! `swarm join-token [--rotate] [-q] worker|manager`
//!
//! Prints the command that joins a node; with `-q` the token only.

use std::fmt;

use swarm_client::{Client, JoinToken};
use swarm_types::Sensitive;
use swarm_types::spec::node::NodeRole;

use crate::flags::grammar;
use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Token {
    /// Replace the token first; nodes that joined with it stay
    #[arg(long)]
    rotate: bool,
    /// worker or manager
    #[arg(value_name = "ROLE", value_parser = role)]
    role: NodeRole,
}

pub(crate) async fn run(args: Token, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let role = args.role;
    let token = match args.rotate {
        true => client.rotate_join_token(role).await?,
        false => client.join_token(role).await?,
    };
    if out.quiet() {
        return Ok(out.line(text(&token.token))?);
    }
    if args.rotate {
        out.line(format_args!("Successfully rotated {} join token.\n", role.as_str()))?;
    }
    Ok(out.line(Command { role, token: &token })?)
}

/// The command that joins a node, as Docker shows it.
pub(crate) struct Command<'a> {
    pub(crate) role: NodeRole,
    pub(crate) token: &'a JoinToken,
}

impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (role, token) = (self.role.as_str(), text(&self.token.token));
        writeln!(f, "To add a {role} to this swarm, run the following command:\n")?;
        writeln!(f, "    swarm join --token {token} {}", self.token.manager)
    }
}

/// Shown because it was asked for.
fn text(token: &Sensitive) -> &str {
    std::str::from_utf8(token.expose()).unwrap_or_default()
}

fn role(text: &str) -> Result<NodeRole, String> {
    grammar::word(text, &[("worker", NodeRole::Worker), ("manager", NodeRole::Manager)])
}

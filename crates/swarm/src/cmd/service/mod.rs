//! `swarm service`: services of the cluster.

mod create;
mod inspect;
mod ls;
mod ps;
mod rm;
mod scale;
mod settle;

use swarm_client::Client;

use crate::output::Printer;

#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Create a service
    Create(Box<create::Create>),
    /// List the services
    Ls(ls::Ls),
    /// List the tasks of services, also those that have ended
    Ps(ps::Ps),
    /// Show services in full, as JSON
    Inspect(inspect::Inspect),
    /// Change the number of replicas of services
    Scale(scale::Scale),
    /// Remove services
    Rm(rm::Rm),
}

pub(crate) async fn run(
    command: Command,
    client: &Client,
    out: &mut Printer,
) -> anyhow::Result<()> {
    match command {
        Command::Create(args) => create::run(*args, client, out).await,
        Command::Ls(args) => ls::run(args, client, out).await,
        Command::Ps(args) => ps::run(args, client, out).await,
        Command::Inspect(args) => inspect::run(args, client, out).await,
        Command::Scale(args) => scale::run(args, client, out).await,
        Command::Rm(args) => rm::run(args, client, out).await,
    }
}

/// Fails with every error on a line of its own, after what could be done was done.
fn all_done(failed: &[impl ToString]) -> anyhow::Result<()> {
    if failed.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = failed.iter().map(ToString::to_string).collect();
    anyhow::bail!(lines.join("\n"))
}

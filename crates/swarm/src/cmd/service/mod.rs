//! `swarm service`: services of the cluster.

mod create;
mod inspect;
mod logs;
mod ls;
mod ps;
mod rm;
mod rollback;
mod scale;
mod settle;
mod update;

use swarm_client::Client;

use crate::output::Printer;

#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Create a service
    Create(Box<create::Create>),
    /// List the services
    #[command(visible_alias = "list")]
    Ls(ls::Ls),
    /// List the tasks of services, also those that have ended
    Ps(ps::Ps),
    /// Show services in full
    Inspect(inspect::Inspect),
    /// Change the number of replicas of services
    Scale(scale::Scale),
    /// Change a service
    Update(Box<update::Update>),
    /// Return a service to the spec before its last update
    Rollback(rollback::Rollback),
    /// Show what a service's tasks wrote
    Logs(logs::Logs),
    /// Remove services
    #[command(visible_alias = "remove")]
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
        Command::Update(args) => update::run(*args, client, out).await,
        Command::Rollback(args) => rollback::run(args, client, out).await,
        Command::Logs(args) => logs::run(args, client, out).await,
        Command::Rm(args) => rm::run(args, client, out).await,
    }
}

//! `swarm node`: nodes of the cluster.

mod inspect;
mod ls;
mod ps;
mod rm;
mod role;
mod update;

use swarm_client::Client;
use swarm_types::spec::node::NodeRole;

use crate::output::Printer;

#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// List the nodes
    #[command(visible_alias = "list")]
    Ls(ls::Ls),
    /// Show nodes in full
    Inspect(inspect::Inspect),
    /// List the tasks of nodes
    Ps(ps::Ps),
    /// Remove nodes from the cluster
    #[command(visible_alias = "remove")]
    Rm(rm::Rm),
    /// Make workers managers
    Promote(role::Nodes),
    /// Make managers workers
    Demote(role::Nodes),
    /// Change a node's availability, role or labels
    Update(update::Update),
}

pub(crate) async fn run(
    command: Command,
    client: &Client,
    out: &mut Printer,
) -> anyhow::Result<()> {
    match command {
        Command::Ls(args) => ls::run(args, client, out).await,
        Command::Inspect(args) => inspect::run(args, client, out).await,
        Command::Ps(args) => ps::run(args, client, out).await,
        Command::Rm(args) => rm::run(args, client, out).await,
        Command::Promote(args) => role::run(args, NodeRole::Manager, client, out).await,
        Command::Demote(args) => role::run(args, NodeRole::Worker, client, out).await,
        Command::Update(args) => update::run(args, client, out).await,
    }
}

//! `swarm node`: nodes of the cluster.

mod ls;

use swarm_client::Client;

use crate::output::Printer;

#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// List the nodes
    Ls(ls::Ls),
}

pub(crate) async fn run(
    command: Command,
    client: &Client,
    out: &mut Printer,
) -> anyhow::Result<()> {
    match command {
        Command::Ls(args) => ls::run(args, client, out).await,
    }
}

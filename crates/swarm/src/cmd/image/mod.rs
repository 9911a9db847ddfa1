//! `swarm image`: images of this node.

mod filter;
mod inspect;
mod load;
mod ls;
mod prune;
mod pull;
mod rm;

use swarm_client::Client;

use crate::output::Printer;

#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Show images in full
    Inspect(inspect::Inspect),
    /// Load images from a docker-archive or OCI layout tar
    Load(load::Load),
    /// List the images
    #[command(visible_alias = "list")]
    Ls(ls::Ls),
    /// Remove images that nothing uses
    Prune(prune::Prune),
    /// Fetch an image from its registry
    Pull(pull::Pull),
    /// Remove images
    #[command(visible_alias = "remove")]
    Rm(rm::Rm),
}

pub(crate) async fn run(
    command: Command,
    client: &Client,
    out: &mut Printer,
) -> anyhow::Result<()> {
    match command {
        Command::Inspect(args) => inspect::run(args, client, out).await,
        Command::Load(args) => load::run(args, client, out).await,
        Command::Ls(args) => ls::run(args, client, out).await,
        Command::Prune(args) => prune::run(args, client, out).await,
        Command::Pull(args) => pull::run(args, client, out).await,
        Command::Rm(args) => rm::run(args, client, out).await,
    }
}

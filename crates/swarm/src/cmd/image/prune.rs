//! `swarm image prune [-a] [-f] [--filter KEY=VALUE]`
//!
//! Every image of a node has a name: without `--all` there is nothing that Docker would call
//! dangling, and nothing is removed.

use swarm_client::{Client, ImageRemoval};

use super::{filter, rm};
use crate::cmd::prune::{confirmed, outrun};
use crate::output::Printer;
use crate::view::filter::{FilterArgs, parse};

#[derive(clap::Args, Debug)]
pub(crate) struct Prune {
    /// Remove all images that no container was made of, not only those without a name
    #[arg(long, short)]
    all: bool,
    /// Do not ask
    #[arg(long, short)]
    force: bool,
    // Without -f, which is --force here.
    /// Remove only what matches KEY=VALUE; may be repeated
    #[arg(long = "filter", value_name = "KEY=VALUE", value_parser = parse)]
    filters: Vec<(String, String)>,
}

pub(crate) async fn run(args: Prune, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let filters = FilterArgs::new(args.filters).of(&["label", "label!"])?;
    if !args.force {
        let which = if args.all {
            "all images without at least one container associated to them"
        } else {
            "all dangling images"
        };
        confirmed(which, "image", out)?;
    }
    let mut images = client.images().await?;
    images.retain(|it| args.all && it.containers == 0 && filter::labelled(&filters, &it.labels));
    let mut failed = Vec::new();
    for image in &images {
        match client.remove_image(&image.name, ImageRemoval::Careful).await {
            Ok(removed) => rm::tell(&removed, out)?,
            Err(why) if outrun(&why) => {}
            Err(why) => failed.push(why),
        }
    }
    if images.is_empty() {
        out.note(if args.all {
            "no unused images"
        } else {
            "no images without a name; --all removes those that no container was made of"
        });
    }
    crate::cmd::all_done(&failed)
}

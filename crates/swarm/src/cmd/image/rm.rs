//! `swarm image rm [-f] IMAGE...`
//!
//! Prints what was dropped, as Docker does. One image that cannot be removed does not keep the
//! others; the command fails at the end.

use swarm_client::{Client, ImageRemoval, RemovedImage};

use crate::output::Printer;
use crate::view::short_name;

#[derive(clap::Args, Debug)]
pub(crate) struct Rm {
    /// Also images that ended containers were made of, every name behind an id; and no error for
    /// what is not there
    #[arg(long, short)]
    force: bool,
    /// Images, by name or by the beginning of their id
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

pub(crate) async fn run(args: Rm, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let removal = if args.force { ImageRemoval::Forced } else { ImageRemoval::Careful };
    let mut failed = Vec::new();
    for image in &args.images {
        match client.remove_image(image, removal).await {
            Ok(removed) => tell(&removed, out)?,
            Err(why) if args.force && why.is_missing() => out.warn(why),
            Err(why) => failed.push(why),
        }
    }
    crate::cmd::all_done(&failed)
}

pub(super) fn tell(removed: &RemovedImage, out: &mut Printer) -> std::io::Result<()> {
    for name in &removed.untagged {
        out.line(format_args!("Untagged: {}", short_name(name)))?;
    }
    for digest in &removed.deleted {
        out.line(format_args!("Deleted: {digest}"))?;
    }
    Ok(())
}

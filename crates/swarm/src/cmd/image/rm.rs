//! `swarm image rm IMAGE...`
//!
//! Prints what was dropped, as Docker does. One image that cannot be removed does not keep the
//! others; the command fails at the end.

use swarm_client::Client;

use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Rm {
    /// Images, by name or by the beginning of their id
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

pub(crate) async fn run(args: Rm, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let mut failed = 0;
    for image in &args.images {
        match client.remove_image(image).await {
            Ok(removed) => {
                for name in &removed.untagged {
                    out.line(format_args!("Untagged: {name}"))?;
                }
                for digest in &removed.deleted {
                    out.line(format_args!("Deleted: {digest}"))?;
                }
            }
            Err(why) if args.images.len() == 1 => return Err(why.into()),
            Err(why) => {
                failed += 1;
                out.warn(why);
            }
        }
    }
    anyhow::ensure!(failed == 0, "{failed} of {} images not removed", args.images.len());
    Ok(())
}

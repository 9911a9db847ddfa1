//! `swarm image load [-i FILE] [--name NAME]`
//!
//! Reads standard input when no file is given. Prints one line per image.

use std::path::PathBuf;

use anyhow::Context;
use swarm_client::Client;
use tokio::io::AsyncRead;

use crate::output::Printer;
use crate::view::short_name;

#[derive(clap::Args, Debug)]
pub(crate) struct Load {
    /// Read from this file instead of standard input
    #[arg(long, short, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Name of the image, for an archive that carries none
    #[arg(long)]
    name: Option<String>,
}

pub(crate) async fn run(args: Load, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let source: Box<dyn AsyncRead + Send + Unpin> = match &args.input {
        Some(path) => {
            let file = tokio::fs::File::open(path).await;
            Box::new(file.with_context(|| format!("open {}", path.display()))?)
        }
        None => Box::new(tokio::io::stdin()),
    };
    for image in client.load_images(source, args.name.as_deref()).await.context("load images")? {
        if out.quiet() {
            out.line(&image.digest)?;
        } else {
            out.line(format_args!("Loaded image: {}", short_name(&image.name)))?;
        }
    }
    Ok(())
}

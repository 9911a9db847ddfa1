//! `swarm dev image load FILE`
//!
//! Loads the images of an archive into every node. Prints one line per node and image.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use swarm_client::{Client, Image};
use swarm_dev::{NodeStatus, Rig};
use tokio::fs::File;
use tokio::task::JoinSet;

use crate::cmd::all_done;
use crate::output::Printer;

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Load images from an archive of `docker save` or of an OCI layout
    Load(Load),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Load {
    /// The archive
    file: PathBuf,
}

pub(crate) async fn run(command: Command, rig: &Rig, out: &mut Printer) -> anyhow::Result<()> {
    let Command::Load(Load { file }) = command;
    // Told once, and not by every node.
    open(&file).await?;
    let mut loads = JoinSet::new();
    for node in rig.status()? {
        loads.spawn(load(node, file.clone()));
    }
    let (mut loaded, mut failed) = (Vec::new(), Vec::new());
    while let Some(done) = loads.join_next().await {
        match done? {
            Ok(images) => loaded.extend(images),
            Err(error) => failed.push(format!("{error:#}")),
        }
    }
    loaded.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (node, image) in loaded {
        match out.quiet() {
            true => out.line(image.digest)?,
            false => out.line(format_args!("Loaded image on {node}: {}", image.name))?,
        }
    }
    failed.sort();
    all_done(&failed)
}

async fn load(node: NodeStatus, file: PathBuf) -> anyhow::Result<Vec<(String, Image)>> {
    let source = open(&file).await?;
    let images = Client::unix(&node.socket).load_images(source, None).await;
    let images = images.with_context(|| format!("load images on {}", node.name))?;
    Ok(images.into_iter().map(|image| (node.name.clone(), image)).collect())
}

async fn open(file: &Path) -> anyhow::Result<File> {
    let opened = File::open(file).await;
    opened.with_context(|| format!("open {}", file.display()))
}

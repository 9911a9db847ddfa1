//! `swarm node rm [--force] NODE...`
//!
//! Prints each node as it was typed.

use anyhow::Context;
use swarm_client::{Client, Consistency, Removal};

use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Rm {
    /// Remove also a node that is not down; its tasks there are given up
    #[arg(long, short)]
    force: bool,
    /// Nodes by id, name or unique start of the id
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,
}

pub(crate) async fn run(args: Rm, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let removal = if args.force { Removal::Forced } else { Removal::OfDown };
    let mut failed = Vec::new();
    for name in &args.nodes {
        match remove(name, removal, client).await {
            Ok(()) => out.line(name)?,
            Err(error) => failed.push(format!("{error:#}")),
        }
    }
    crate::cmd::all_done(&failed)
}

async fn remove(name: &str, removal: Removal, client: &Client) -> anyhow::Result<()> {
    let node = client.node(name, Consistency::Linearizable).await?;
    client.remove_node(node.id, removal).await.with_context(|| format!("remove node {name}"))
}

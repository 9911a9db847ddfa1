//! `swarm init [--advertise-addr IP|INTERFACE[:PORT]]`
//!
//! Prints the new node's id, and the command that joins a worker.

use anyhow::Context;
use swarm_client::Client;
use swarm_types::spec::node::NodeRole;

use crate::cmd::join_token::Command;
use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Init {
    /// Address the other nodes reach this one at; the only one of this host when left out
    #[arg(long, default_value = "", value_name = "IP|INTERFACE[:PORT]", hide_default_value = true)]
    advertise_addr: String,
}

pub(crate) async fn run(args: Init, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let founded = client.init(&args.advertise_addr).await.context("found a cluster")?;
    if out.quiet() {
        return Ok(out.line(founded.node)?);
    }
    out.line(format_args!(
        "Swarm initialized: current node ({}) is now a manager.\n",
        founded.node
    ))?;
    out.line(Command { role: NodeRole::Worker, token: &founded.worker })?;
    let next = "swarm join-token manager";
    out.line(format_args!("To add a manager to this swarm, run '{next}' and follow its words."))?;
    Ok(())
}

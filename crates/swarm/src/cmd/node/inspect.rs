//! `swarm node inspect [-f TEMPLATE] [--pretty] [--stale] self|NODE...`

use swarm_client::Client;

use crate::output::Printer;
use crate::view::{ReadArgs, json, pretty};

#[derive(clap::Args, Debug)]
pub(crate) struct Inspect {
    /// Go template for each node, as with --format
    #[arg(short = 'f', value_name = "TEMPLATE")]
    template: Option<String>,
    /// Print for people
    #[arg(long, conflicts_with = "template")]
    pretty: bool,
    #[command(flatten)]
    read: ReadArgs,
    /// Nodes by id, name or unique start of the id; `self` is this one
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,
}

pub(crate) async fn run(args: Inspect, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in &args.nodes {
        match client.node(name, args.read.consistency()).await {
            Ok(node) => found.push(node),
            Err(error) => missing.push(error),
        }
    }
    // Only now: the nodes may have waited for a new leader.
    let managers = client.managers().await?;
    if args.pretty {
        for node in &found {
            out.line(pretty::node(node, &managers))?;
        }
    } else {
        let shown: Vec<_> = found.iter().map(|node| json::node(node, &managers)).collect();
        out.inspect(&shown, args.template.as_deref())?;
    }
    crate::cmd::all_done(&missing)
}

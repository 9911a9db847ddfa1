//! `swarm node ps [--filter KEY=VALUE] [--no-trunc] [--no-resolve] [--stale] [NODE...]`

use swarm_client::{Client, TaskFilter};

use crate::cmd::ps::{self, Shown};
use crate::output::Printer;
use crate::view::task_filter::TaskFilters;

#[derive(clap::Args, Debug)]
pub(crate) struct Ps {
    #[command(flatten)]
    shown: Shown,
    /// Nodes by id, name or unique start of the id [default: self]
    #[arg(value_name = "NODE", default_value = "self", hide_default_value = true)]
    nodes: Vec<String>,
}

pub(crate) async fn run(args: Ps, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in &args.nodes {
        match client.node(name, args.shown.read.consistency()).await {
            Ok(node) => found.push(node.id),
            Err(error) => missing.push(error),
        }
    }
    if !found.is_empty() {
        let wanted = TaskFilter { nodes: found, ..TaskFilter::default() };
        ps::show(&args.shown, TaskFilters::OF_NODES, &wanted, |_| true, client, out).await?;
    }
    crate::cmd::all_done(&missing)
}

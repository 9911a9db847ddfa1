//! `swarm node ls [--filter KEY=VALUE] [--stale]`

use swarm_client::Client;
use swarm_types::Node;
use swarm_types::spec::node::Membership;

use crate::output::Printer;
use crate::view::filter::{FilterArgs, Filters};
use crate::view::{ReadArgs, node_list, task_table};

#[derive(clap::Args, Debug)]
pub(crate) struct Ls {
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    read: ReadArgs,
}

pub(crate) async fn run(args: Ls, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let filters = args.filter.of(&["id", "label", "membership", "name", "node.label", "role"])?;
    let info = client.info().await?;
    let mut kept = Vec::new();
    for node in args.read.unwrap(client.nodes(args.read.consistency()).await?, out) {
        if matches(&node, &filters)? {
            kept.push(node);
        }
    }
    // Only now: the nodes may have waited for a new leader.
    let managers = client.managers().await?;
    out.list(&node_list::list(kept, info.node, &managers))
}

fn matches(node: &Node, filters: &Filters) -> anyhow::Result<bool> {
    let membership = match node.spec.membership {
        Membership::Accepted => "accepted",
        Membership::Pending => "pending",
    };
    Ok(filters.word("membership", membership, &["accepted", "pending"])?
        && filters.word("role", node.role.as_str(), &["manager", "worker"])?
        && filters.any("id", |start| node.id.as_str().starts_with(start))
        && filters.any("name", |start| task_table::host(node).starts_with(start))
        && filters.labels("label", &node.description.engine_labels)
        && filters.labels("node.label", &node.spec.annotations.labels))
}

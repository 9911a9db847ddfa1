//! `swarm node ls [--stale]`

use swarm_client::Client;
use swarm_types::Node;
use swarm_types::text::natural_cmp;

use crate::output::{Printer, Table};
use crate::view::{ReadArgs, capitalized};

#[derive(clap::Args, Debug)]
pub(crate) struct Ls {
    #[command(flatten)]
    read: ReadArgs,
}

pub(crate) async fn run(args: Ls, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let info = client.info().await?;
    let mut nodes = args.read.unwrap(client.nodes(args.read.consistency()).await?, out);
    nodes.sort_by(|a, b| {
        natural_cmp(&a.description.hostname, &b.description.hostname).then(a.id.cmp(&b.id))
    });

    let mut table = Table::new(&[
        ("ID", "ID"),
        ("HOSTNAME", "Hostname"),
        ("STATUS", "Status"),
        ("AVAILABILITY", "Availability"),
        ("MANAGER STATUS", "ManagerStatus"),
        ("ENGINE VERSION", "EngineVersion"),
    ]);
    for node in &nodes {
        let mark = if info.node == Some(node.id) { "*" } else { " " };
        table.row(
            node.id,
            [
                id(node, mark, out),
                node.description.hostname.clone(),
                capitalized(node.status.state.as_str()),
                capitalized(node.spec.availability.as_str()),
                manager_status(node, info.leader == Some(node.id)).to_owned(),
                node.description.engine_version.clone(),
            ],
        );
    }
    Ok(out.table(&table)?)
}

/// The mark of the node that was asked belongs to the table only.
fn id(node: &Node, mark: &str, out: &Printer) -> String {
    if out.wants_json() { node.id.to_string() } else { format!("{} {mark}", node.id) }
}

fn manager_status(node: &Node, leads: bool) -> &'static str {
    use swarm_types::object::node::NodeState;
    use swarm_types::spec::node::NodeRole;
    match (node.role, leads, node.status.state) {
        (NodeRole::Worker, ..) => "",
        (NodeRole::Manager, true, _) => "Leader",
        (NodeRole::Manager, false, NodeState::Ready) => "Reachable",
        (NodeRole::Manager, false, _) => "Unreachable",
    }
}

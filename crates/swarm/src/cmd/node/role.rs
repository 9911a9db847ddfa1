//! `swarm node promote NODE...` and `swarm node demote NODE...`
//!
//! As Docker: a line for each node, also for one that has the role already, up to the first that
//! cannot be changed.

use anyhow::Context;
use swarm_client::{Client, Consistency};
use swarm_types::spec::node::{NodeRole, NodeSpec};

use crate::output::Printer;

#[derive(clap::Args, Debug)]
pub(crate) struct Nodes {
    /// Nodes by id, name or unique start of the id; `self` is this one
    #[arg(value_name = "NODE", required = true)]
    nodes: Vec<String>,
}

/// Gives the nodes that role, one after the other.
pub(crate) async fn run(
    args: Nodes,
    role: NodeRole,
    client: &Client,
    out: &mut Printer,
) -> anyhow::Result<()> {
    for name in &args.nodes {
        out.line(change(name, role, client).await?)?;
    }
    Ok(())
}

async fn change(name: &str, role: NodeRole, client: &Client) -> anyhow::Result<String> {
    let node = client.node(name, Consistency::Linearizable).await?;
    if node.spec.role == role {
        return Ok(format!("Node {name} is already a {}.", role.as_str()));
    }
    let spec = NodeSpec { role, ..node.spec.clone() };
    let updated = client.update_node(&node, &spec).await;
    updated.with_context(|| format!("update node {name}"))?;
    Ok(match role {
        NodeRole::Manager => format!("Node {name} promoted to a manager in the swarm."),
        NodeRole::Worker => format!("Manager {name} demoted in the swarm."),
    })
}

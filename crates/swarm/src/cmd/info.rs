//! `swarm info`
//!
//! Answers always: also without a cluster, and also without a leader.

use swarm_client::{Client, Info as NodeInfo};

use crate::output::Printer;
use crate::view::json;

#[derive(clap::Args, Debug)]
pub(crate) struct Info {}

pub(crate) async fn run(_: Info, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let info = client.info().await?;
    if out.object(&json::info(&info))? {
        return Ok(());
    }
    for (label, value) in rows(&info) {
        out.line(format_args!("{label}: {value}"))?;
    }
    Ok(())
}

fn rows(info: &NodeInfo) -> Vec<(&'static str, String)> {
    let id = |id: Option<String>| id.unwrap_or_else(|| "none".to_owned());
    let mut rows = vec![("Swarm", info.state.to_string())];
    if let Some(node) = &info.node {
        rows.push((" NodeID", node.to_string()));
    }
    if !info.error.is_empty() {
        rows.push((" Error", info.error.clone()));
    }
    if info.node.is_some() {
        rows.push((" Is Manager", info.is_manager.to_string()));
        rows.push((" Node Address", info.address.clone()));
    }
    if let Some(cluster) = &info.cluster {
        rows.extend([
            (" ClusterID", cluster.to_string()),
            (" Leader", id(info.leader.map(|id| id.to_string()))),
            (" Managers", info.managers.to_string()),
            (" Nodes", info.nodes.to_string()),
            (" Raft Index", info.applied_index.to_string()),
        ]);
    }
    rows.extend([
        ("Version", info.version.clone()),
        ("containerd Version", info.containerd_version.clone()),
    ]);
    rows
}

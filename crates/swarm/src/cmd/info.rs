//! `swarm info`
//!
//! Answers always: also without a cluster, and also without a leader.

use swarm_client::{Client, Info as NodeInfo};
use swarm_types::spec::cluster::ClusterSpec;
use swarm_types::text;

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
        let row = format!("{label}: {value}");
        out.line(row.trim_end())?;
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
        ]);
        if !info.reachable.is_empty() {
            let reachable: Vec<String> = info.reachable.iter().map(ToString::to_string).collect();
            rows.push((" Reachable Managers", reachable.join(", ")));
        }
        rows.extend([
            (" Nodes", info.nodes.to_string()),
            (" Raft Index", info.applied_index.to_string()),
        ]);
    }
    if let Some(spec) = &info.settings {
        rows.extend(settings(spec));
    }
    rows.extend([
        ("Version", info.version.clone()),
        ("containerd Version", info.containerd_version.clone()),
    ]);
    rows
}

/// Under Docker's labels. A heading has no value.
fn settings(spec: &ClusterSpec) -> [(&'static str, String); 11] {
    let human = text::human_duration;
    [
        (" Orchestration", String::new()),
        ("  Task History Retention Limit", spec.task_history_limit.to_string()),
        (" Raft", String::new()),
        ("  Snapshot Interval", spec.raft.snapshot_interval.to_string()),
        ("  Number of Old Snapshots to Retain", spec.raft.keep_old_snapshots.to_string()),
        (" Dispatcher", String::new()),
        ("  Heartbeat Period", human(spec.heartbeat_period)),
        (" CA Configuration", String::new()),
        ("  Expiry Duration", human(spec.ca.node_cert_expiry)),
        ("  Force Rotate", spec.ca.force_rotate.to_string()),
        (" Autolock Managers", spec.autolock.to_string()),
    ]
}

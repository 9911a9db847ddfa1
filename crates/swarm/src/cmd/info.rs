//! `swarm info`
//!
//! Answers always: also without a cluster, and also without a leader.

use swarm_client::{Client, Info as NodeInfo};
use swarm_types::Timestamp;
use swarm_types::spec::cluster::ClusterSpec;
use swarm_types::text;

use crate::output::Printer;
use crate::view::json;

#[derive(clap::Args, Debug)]
pub(crate) struct Info {}

pub(crate) async fn run(_: Info, client: &Client, out: &mut Printer) -> anyhow::Result<()> {
    let info = client.info().await?;
    let expires = client.figures().await?.certificate_expires_at;
    if out.object(&json::info(&info, expires))? {
        return Ok(());
    }
    for (label, value) in rows(&info, expires.map(|at| days_left(at, Timestamp::now()))) {
        let row = format!("{label}: {value}");
        out.line(row.trim_end())?;
    }
    Ok(())
}

/// Whole days; less than none for a certificate that has expired.
fn days_left(expires: Timestamp, now: Timestamp) -> i64 {
    const DAY: i64 = 24 * 3_600 * 1_000_000_000;
    expires.0.saturating_sub(now.0).div_euclid(DAY)
}

/// How many managers must answer, of how many, and whether they do.
fn quorum(info: &NodeInfo) -> String {
    let lost = if info.leader.is_none() { ", not reached" } else { "" };
    format!("{} of {}{lost}", info.managers / 2 + 1, info.managers)
}

fn rows(info: &NodeInfo, days_left: Option<i64>) -> Vec<(&'static str, String)> {
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
        rows.push((" Node Address", info.host()));
    }
    if let Some(days) = days_left {
        let days = if days < 0 { "expired".to_owned() } else { days.to_string() };
        rows.push((" Certificate Days Left", days));
    }
    if !info.manager_addresses.is_empty() {
        rows.push((" Manager Addresses", info.manager_addresses.join(", ")));
    }
    if let Some(cluster) = &info.cluster {
        rows.extend([
            (" ClusterID", cluster.to_string()),
            (" Leader", id(info.leader.map(|id| id.to_string()))),
            (" Managers", info.managers.to_string()),
            (" Quorum", quorum(info)),
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

#[cfg(test)]
mod tests {
    use swarm_client::LocalState;
    use swarm_types::IdSource;

    use super::*;

    fn manager(leader: bool) -> NodeInfo {
        let ids = &mut IdSource::seeded(1);
        let node = ids.draw();
        NodeInfo {
            node: Some(node),
            state: LocalState::Active,
            is_manager: true,
            cluster: Some(ids.draw()),
            leader: leader.then_some(node),
            reachable: if leader { Vec::new() } else { vec![node] },
            nodes: 5,
            managers: 3,
            settings: None,
            applied_index: 7,
            address: "10.0.0.1:2377".to_owned(),
            manager_addresses: vec!["10.0.0.1:2377".to_owned(), "10.0.0.2:2377".to_owned()],
            version: "0.1.0".to_owned(),
            containerd_version: "1.6.20".to_owned(),
            error: String::new(),
        }
    }

    #[test]
    fn quorum_and_certificate_are_told() {
        let told = |info: &NodeInfo, days, label| {
            let found = rows(info, days).into_iter().find(|(it, _)| *it == label);
            found.map(|(_, value)| value)
        };
        let (led, alone) = (manager(true), manager(false));

        assert_eq!(told(&led, None, " Quorum").unwrap(), "2 of 3");
        assert_eq!(told(&alone, None, " Quorum").unwrap(), "2 of 3, not reached");
        assert_eq!(told(&led, Some(89), " Certificate Days Left").unwrap(), "89");
        assert_eq!(told(&led, Some(-1), " Certificate Days Left").unwrap(), "expired");
        assert_eq!(told(&led, None, " Certificate Days Left"), None);
        let managers = told(&led, None, " Manager Addresses").unwrap();
        assert_eq!(managers, "10.0.0.1:2377, 10.0.0.2:2377");
        assert_eq!(told(&led, None, " Node Address").unwrap(), "10.0.0.1");
    }

    #[test]
    fn days_are_whole_and_negative_once_expired() {
        let hours = |hours: i64| Timestamp(hours * 3_600_000_000_000);

        let left = [71, 47, 24, 23, 0, -1].map(|it| days_left(hours(1000 + it), hours(1000)));

        assert_eq!(left, [2, 1, 1, 0, 0, -1]);
    }
}

//! Serves `/metrics` in Prometheus' text form.
//!
//! The facts are those any client of the node's own socket can ask for, from its replica: the
//! page answers without a leader too, and shows nothing a user could not see.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use swarm_client::{Client, Consistency, Figures, Info, LocalState, RaftFigures, TaskFilter};
use swarm_types::Task;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How long one request may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// What stands in the place of a page that would show less than there is.
const CHANGING: &str = "the node is changing its part in a cluster: ask again in some seconds\n";
/// Longest request that is read.
const MAX_REQUEST: usize = 8 << 10;

/// The page's address and where its facts come from.
pub(super) struct Metrics {
    listener: TcpListener,
    client: Client,
}

impl Metrics {
    /// Opens the port.
    pub(super) async fn bind(address: SocketAddr, socket: &Path) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("open {address} for /metrics"))?;
        Ok(Self { listener, client: Client::unix(socket) })
    }
}

/// Answers one request after the other; never returns.
pub(super) async fn serve(metrics: Option<&Metrics>) {
    let Some(metrics) = metrics else { return std::future::pending().await };
    loop {
        let Ok((stream, _)) = metrics.listener.accept().await else {
            // Out of descriptors, as a rule: others must end first.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        // One at a time is enough for a scraper, and bounds what strangers can make this do.
        let answered = tokio::time::timeout(DEADLINE, answer(stream, &metrics.client)).await;
        if let Ok(Err(error)) = answered {
            tracing::debug!(%error, "a request for metrics failed");
        }
    }
}

async fn answer(mut stream: TcpStream, client: &Client) -> anyhow::Result<()> {
    let mut request = Vec::new();
    let mut chunk = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut chunk).await?;
        anyhow::ensure!(read > 0 && request.len() < MAX_REQUEST, "no whole request came");
        request.extend(&chunk[..read]);
    }
    let (status, body) = if request.starts_with(b"GET /metrics ") {
        match facts(client).await? {
            Some(page) => ("200 OK", page),
            None => ("503 Service Unavailable", CHANGING.to_owned()),
        }
    } else {
        ("404 Not Found", "only /metrics is here\n".to_owned())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    Ok(stream.shutdown().await?)
}

/// The page; `None` while nobody can look at what the node is part of.
async fn facts(client: &Client) -> anyhow::Result<Option<String>> {
    let info = client.info().await?;
    if info.state == LocalState::Pending {
        return Ok(None);
    }
    let figures = client.figures().await?;
    // It began to change between the two.
    if info.is_manager && figures.raft.is_none() {
        return Ok(None);
    }
    // A node outside of a cluster, or a worker, has no replica to count in.
    let tasks = client.tasks(&TaskFilter::default(), Consistency::Stale).await;
    Ok(Some(page(&info, tasks.ok().map(|tasks| tasks.value).as_deref(), &figures)))
}

/// Adds one gauge with the values of its label sets.
fn gauge(page: &mut String, name: &str, help: &str, values: &[(String, u64)]) {
    let _ = write!(page, "# HELP swarm_{name} {help}\n# TYPE swarm_{name} gauge\n");
    for (labels, value) in values {
        let _ = writeln!(page, "swarm_{name}{labels} {value}");
    }
}

fn one(value: u64) -> [(String, u64); 1] {
    [(String::new(), value)]
}

fn page(info: &Info, tasks: Option<&[Task]>, figures: &Figures) -> String {
    let mut page = String::new();
    let mut gauge = |name: &str, help: &str, values: &[(String, u64)]| {
        gauge(&mut page, name, help, values);
    };
    let leads = info.node.is_some() && info.node == info.leader;
    gauge("info", "Version of the daemon.", &[(format!("{{version=\"{}\"}}", info.version), 1)]);
    gauge("manager", "1 on a manager.", &one(info.is_manager.into()));
    gauge("leader", "1 on the manager that leads.", &one(leads.into()));
    gauge("nodes", "Nodes of the cluster.", &one(info.nodes.into()));
    gauge("managers", "Managers of the cluster.", &one(info.managers.into()));
    gauge("raft_applied_index", "Last log entry that was applied.", &one(info.applied_index));
    if let Some(tasks) = tasks {
        let mut states = BTreeMap::<&str, u64>::new();
        for task in tasks {
            *states.entry(task.status.state.as_str()).or_default() += 1;
        }
        let label = |(state, count): (&str, u64)| (format!("{{state=\"{state}\"}}"), count);
        let counts: Vec<_> = states.into_iter().map(label).collect();
        gauge("tasks", "Tasks of the cluster by observed state.", &counts);
    }
    let locked = info.state == LocalState::Locked;
    gauge("locked", "1 on a manager that waits for the unlock key.", &one(locked.into()));
    if let Some(expires) = figures.certificate_expires_at {
        let seconds = u64::try_from(expires.0 / 1_000_000_000).unwrap_or_default();
        let help = "When the node's certificate expires, in seconds since the epoch.";
        gauge("certificate_expiry_seconds", help, &one(seconds));
    }
    if let Some(raft) = &figures.raft {
        let label = |(kind, count): (&String, &u64)| (format!("{{kind=\"{kind}\"}}"), *count);
        let counts: Vec<_> = figures.objects.iter().map(label).collect();
        gauge("objects", "Objects of the cluster by kind.", &counts);
        let pending = one(figures.pending_tasks);
        gauge("tasks_pending", "Tasks that no node was found for yet.", &pending);
        store(&mut page, raft);
    }
    page + &figures.counted
}

/// Figures of the replicated store.
fn store(page: &mut String, raft: &RaftFigures) {
    let figures = [
        ("leader", "1 while this store leads with a quorum.", raft.leads.into()),
        ("term", "The term.", raft.term),
        ("members", "Managers in the membership.", raft.members),
        ("voters", "Managers that vote.", raft.voters),
        ("reachable", "Managers that answered lately, with this one.", raft.reachable),
        ("last_index", "Last entry in the log.", raft.last_index),
        ("snapshot_index", "How far the snapshot reaches.", raft.snapshot_index.unwrap_or(0)),
        ("log_bytes", "Bytes of all entries in the log.", raft.log_bytes),
        ("epoch", "Grows with every forced new cluster.", raft.epoch),
    ];
    for (name, help, value) in figures {
        gauge(page, &format!("raft_{name}"), help, &one(value));
    }
}

#[cfg(test)]
mod tests {
    use swarm_types::IdSource;

    use super::*;
    use crate::view::fixture;

    #[test]
    fn the_page_counts_tasks_by_state() {
        let node = IdSource::seeded(1).draw();
        let info = Info {
            node: Some(node),
            state: LocalState::Active,
            is_manager: true,
            cluster: None,
            leader: Some(node),
            reachable: Vec::new(),
            nodes: 1,
            managers: 1,
            settings: None,
            applied_index: 42,
            address: String::new(),
            manager_addresses: Vec::new(),
            version: "0.1.0".into(),
            containerd_version: String::new(),
            error: String::new(),
        };
        let web = fixture::service("web", 1);
        let tasks = [fixture::task(&web, 1, 1), fixture::task(&web, 2, 2)];

        let raft = RaftFigures { leads: true, term: 7, log_bytes: 512, ..RaftFigures::default() };
        let figures = Figures {
            raft: Some(raft),
            objects: [("service".to_owned(), 3)].into(),
            certificate_expires_at: Some(swarm_types::Timestamp(90_000_000_000)),
            ..Figures::default()
        };

        let page = page(&info, Some(&tasks), &figures);

        for line in [
            "swarm_raft_applied_index 42\n",
            "swarm_leader 1\n",
            "swarm_tasks{state=\"running\"} 2\n",
            "# TYPE swarm_tasks gauge\n",
            "swarm_raft_term 7\n",
            "swarm_raft_log_bytes 512\n",
            "swarm_objects{kind=\"service\"} 3\n",
            "swarm_certificate_expiry_seconds 90\n",
            "swarm_locked 0\n",
        ] {
            assert!(page.contains(line), "{page}");
        }
    }
}

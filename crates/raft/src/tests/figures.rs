//! What is counted, and what is not: only what came about.

use std::io;
use std::path::Path;
use std::sync::Arc;

use prometheus::TextEncoder;

use super::cluster::Cluster;
use super::{Crash, create, eventually, options, put, sealer, soon, until};
use crate::disk::{Disk, Step, Witness};
use crate::{Lane, Leadership, Limits, Options, ProposeError, Raft};

/// The value of a figure, as Prometheus gets it.
fn figure(raft: &Raft, name: &str) -> u64 {
    let page = TextEncoder::new().encode_to_string(&raft.gather()).unwrap();
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{name} is not in {page}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_cut_off_is_not_counted() {
    let cluster = Cluster::of(3, 11, Limits::default()).await;
    let old = cluster.leader().await;
    cluster.put(old, "counted", b"").await;
    let before = figure(cluster.raft(old), "swarm_raft_commit_seconds_count");
    assert!(before > 0);

    cluster.isolate(&[old]);
    let lost = cluster.raft(old).propose(Lane::Control, create("lost", b""), soon()).await;

    assert!(matches!(lost, Err(ProposeError::Unknown { .. })), "{lost:?}");
    until(cluster.raft(old).leadership(), |it| !matches!(it, Leadership::Leader { .. })).await;
    assert_eq!(figure(cluster.raft(old), "swarm_raft_commit_seconds_count"), before);
    cluster.end().await;
}

/// Fails when a snapshot is to become durable.
#[derive(Debug)]
struct NoSnapshot;

impl Witness for NoSnapshot {
    fn before(&self, step: Step, path: &Path) -> io::Result<()> {
        match step == Step::SyncAll && path.to_string_lossy().ends_with(".tmp") {
            true => Err(io::Error::other("no space left")),
            false => Ok(()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_failed_is_not_counted() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { snapshot_after: 2_000, keep_log: 0, ..Limits::default() };
    let options = Options { limits, ..options(dir.path()) };
    let first = Arc::unwrap_or_clone(create("founding", &[1; 4_000]));
    let disk = Disk::seen_by(Arc::new(NoSnapshot));

    let raft = Raft::bootstrap_on(disk, options, sealer(), first).await.unwrap();

    until(raft.stopped(), Option::is_some).await;
    raft.shutdown().await;
    assert_eq!(figure(&raft, "swarm_raft_snapshot_seconds_count"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_failed_is_not_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (crash, disk) = Crash::after(i64::MAX);
    let first = Arc::unwrap_or_clone(create("founding", b""));
    let raft = Raft::bootstrap_on(disk, options(dir.path()), sealer(), first).await.unwrap();
    put(&raft, "counted", b"").await;
    let name = "swarm_raft_log_sync_seconds_count";
    eventually("raft is idle", || raft.info().applied == raft.info().last).await;
    let before = figure(&raft, name);

    crash.arm(0);
    let failed = raft.propose(Lane::Control, create("lost", b""), soon()).await;

    assert!(failed.is_err() && crash.came(), "{failed:?}");
    raft.shutdown().await;
    assert!(before > 0);
    assert_eq!(figure(&raft, name), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_election_is_counted_once_by_all() {
    let mut cluster = Cluster::of(3, 12, Limits::default()).await;
    let changes = |raft: &Raft| figure(raft, "swarm_raft_leader_changes_total");
    let old = cluster.leader().await;
    cluster.put(old, "before", b"").await;
    let others: Vec<usize> = (0..3).filter(|number| *number != old).collect();
    let before: Vec<u64> = others.iter().map(|it| changes(cluster.raft(*it))).collect();
    let term = cluster.raft(old).info().term;

    cluster.kill(old).await;

    let next = cluster.leader_among(&others).await;
    let elections = cluster.raft(next).info().term - term;
    for (other, before) in others.iter().zip(before) {
        let more = || changes(cluster.raft(*other)).saturating_sub(before);
        eventually("the next leader is seen", || more() > 0).await;
        assert!(more() <= elections, "{} changes in {elections} terms", more());
    }
    cluster.end().await;
}

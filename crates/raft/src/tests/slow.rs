//! Disks and lines that are slow, not dead: what takes longer than a heartbeat arrives all the
//! same, and the leader stays.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::cluster::Cluster;
use super::{eventually, get};
use crate::Limits;
use crate::disk::{Disk, Step, Witness};

/// Every sync takes that many milliseconds.
#[derive(Debug, Default)]
struct Slow(AtomicU64);

impl Witness for Slow {
    fn before(&self, step: Step, _: &Path) -> io::Result<()> {
        if matches!(step, Step::SyncData) {
            std::thread::sleep(Duration::from_millis(self.0.load(Ordering::Relaxed)));
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_stays_while_the_disks_of_all_others_take_longer_than_a_heartbeat() {
    let mut cluster = Cluster::of(3, 61, Limits::default()).await;
    let slow = Arc::new(Slow::default());
    let leader = cluster.leader().await;
    for number in (0..3).filter(|it| *it != leader) {
        cluster.kill(number).await;
        cluster.start_on(Disk::seen_by(slow.clone()), number).await;
        cluster.put(leader, &format!("back-{number}"), b"").await;
    }
    let term = cluster.raft(leader).info().term;

    // An entry takes two of them.
    slow.0.store(120, Ordering::Relaxed);
    for number in 0..10 {
        cluster.put(leader, &format!("slowly-{number}"), b"").await;
    }

    slow.0.store(0, Ordering::Relaxed);
    assert_eq!(cluster.raft(leader).info().term, term, "its followers heard it all the time");
    for number in 0..3 {
        assert!(get(&cluster.read(number).await, "slowly-9").is_some());
    }
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_far_behind_catches_up_over_a_slow_line() {
    let mut cluster = Cluster::of(3, 62, Limits::default()).await;
    let leader = cluster.leader().await;
    let behind = (leader + 1) % 3;
    cluster.kill(behind).await;
    for number in 0..8 {
        cluster.put(leader, &format!("large-{number}"), &[b'x'; 240_000]).await;
    }
    // A full batch is on its way for four heartbeats.
    cluster.net.throttle(800_000);

    cluster.start(behind).await;

    let has = |name: &str| get(&cluster.raft(behind).snapshot(), name).is_some();
    eventually("it caught up", || has("large-7")).await;
    cluster.put(leader, "small", b"").await;
    eventually("it follows", || has("small")).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_added_over_a_slow_line() {
    let mut cluster = Cluster::of(1, 63, Limits::default()).await;
    for number in 0..20 {
        cluster.put(0, &format!("large-{number}"), &[b'x'; 60_000]).await;
    }
    cluster.net.throttle(800_000);

    cluster.join(1).await;
    cluster.add(1).await;

    assert!(get(&cluster.read(1).await, "large-19").is_some());
    cluster.end().await;
}

//! Disks and lines that are slow, not dead: what takes longer than a heartbeat arrives all the
//! same, and the leader stays, unless it is the one with the slow disk.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::cluster::Cluster;
use super::{eventually, get, soon};
use crate::disk::{Disk, Step, Witness};
use crate::pace::Tolerance;
use crate::{Leadership, Limits};

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

/// Three members, each on a disk that may be slow, of which none bears with a slow one for long.
async fn impatient(seed: u64) -> (Cluster, [Arc<Slow>; 3]) {
    let millis = Duration::from_millis;
    let (append, settled, look) = (millis(150), millis(500), millis(20));
    let tolerance = Tolerance { append, times: 2, settled, look };
    let slow: [Arc<Slow>; 3] = Default::default();
    let disks = slow.iter().map(|slow| Disk::seen_by(slow.clone())).collect();
    (Cluster::on(disks, seed, Limits { tolerance, ..Limits::default() }).await, slow)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_with_a_slow_disk_hands_over_and_loses_nothing() {
    let (cluster, disks) = impatient(64).await;
    let old = cluster.leader().await;
    let others: Vec<usize> = (0..3).filter(|it| *it != old).collect();
    let leads = |number: &usize| {
        matches!(*cluster.raft(*number).leadership().borrow(), Leadership::Leader { .. })
    };

    // An entry takes two of them, which is far from what costs a leader its quorum.
    disks[old].0.store(100, Ordering::Relaxed);
    let (mut written, deadline) = (0, soon());
    while !others.iter().any(leads) {
        assert!(Instant::now() < deadline, "{old} leads on, after {written} writes");
        cluster.put(others[0], &format!("kept-{written}"), b"").await;
        written += 1;
    }

    for number in 0..3 {
        let snapshot = cluster.read(number).await;
        let has = |kept: &i32| get(&snapshot, &format!("kept-{kept}")).is_some();
        assert_eq!((0..written).find(|kept| !has(kept)), None, "{number} lost one of {written}");
    }
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hands_over_while_no_majority_is_faster() {
    let (mut cluster, disks) = impatient(65).await;
    let leader = cluster.leader().await;
    let term = cluster.raft(leader).info().term;
    let slow_down = |own: u64, others: u64| {
        for (number, disk) in disks.iter().enumerate() {
            let millis = if number == leader { own } else { others };
            disk.0.store(millis, Ordering::Relaxed);
        }
    };
    let write = async |cluster: &Cluster, round: &str| {
        for number in 0..8 {
            cluster.put(leader, &format!("{round}-{number}"), b"").await;
        }
    };

    write(&cluster, "all-are-fast").await;
    // A leader sees its own disk first.
    slow_down(100, 100);
    write(&cluster, "all-are-slow").await;
    let own = cluster.raft(leader).0.log.pace();
    let voters = cluster.raft(leader).info().voters.into_iter().collect();
    let others = cluster.raft(leader).link().fastest(&voters, Duration::from_secs(1));

    slow_down(0, 100);
    write(&cluster, "all-others-are-slow").await;

    cluster.kill((leader + 1) % 3).await;
    slow_down(100, 0);
    write(&cluster, "the-only-other-cannot-do-without").await;

    assert_eq!(cluster.raft(leader).info().term, term, "own {own:?}, others {others:?}");
    // Else it proves nothing.
    assert!(own >= Some(Duration::from_millis(200)) && others.len() == 2, "{own:?}, {others:?}");
    cluster.end().await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_added_is_sent_the_log_once() {
    let mut cluster = Cluster::of(1, 66, Limits::default()).await;
    let (entries, size) = (100, 20_000);
    for number in 0..entries {
        cluster.put(0, &format!("large-{number}"), &vec![b'x'; size]).await;
    }
    let before = cluster.net.carried();

    cluster.join(1).await;
    cluster.add(1).await;

    // openraft guesses by halves what an empty store has; each guess would bring half a megabyte.
    let (log, carried) = (entries * size, cluster.net.carried() - before);
    assert!((log..log * 5 / 4).contains(&carried), "{carried} bytes for a log of {log}");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_catches_up_over_a_line_that_is_too_slow_for_a_full_batch() {
    let mut cluster = Cluster::of(3, 67, Limits::default()).await;
    let leader = cluster.leader().await;
    let behind = (leader + 1) % 3;
    cluster.kill(behind).await;
    for number in 0..12 {
        cluster.put(leader, &format!("large-{number}"), &[b'x'; 60_000]).await;
    }
    // A full batch is on its way for longer than anything is waited for.
    cluster.net.throttle(400_000);

    cluster.start(behind).await;

    let has = |name: &str| get(&cluster.raft(behind).snapshot(), name).is_some();
    eventually("it caught up", || has("large-11")).await;
    cluster.end().await;
}

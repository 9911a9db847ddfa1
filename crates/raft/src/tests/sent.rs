//! Snapshots that are sent: to a member that is far behind, to an empty one, and what a crash
//! in the middle leaves.

use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use swarm_types::Change;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::cluster::Cluster;
use super::{Crash, create, eventually, get, soon, until};
use crate::door::Door;
use crate::record::hex;
use crate::snapshot::Part;
use crate::type_config::{SnapshotMeta, Vote};
use crate::{Limits, Raft, StopReason};

const WRITES: usize = 3;

fn limits() -> Limits {
    Limits { snapshot_after: 4_000, keep_log: 500, ..Limits::default() }
}

/// Writes until nobody has in its log what comes after `absent`, and leaves little behind.
async fn fill(cluster: &Cluster, at: usize, round: usize, absent: u64) {
    for number in 0..WRITES {
        cluster.put(at, &format!("r{round}-{number}"), &[7; 300]).await;
    }
    let dropped = |raft: &Raft| raft.0.raft.metrics().borrow().purged.map(|purged| purged.index);
    let deadline = soon();
    let mut more = 0;
    while !cluster.rafts.iter().flatten().all(|raft| dropped(raft) > Some(absent)) {
        assert!(Instant::now() < deadline, "the log is never dropped");
        let name = format!("r{round}-more-{more}");
        cluster.put(at, &name, &[8; 1_000]).await;
        let Change::CreateConfig(config) = &create(&name, b"").changes[0] else { panic!() };
        let mut gone = Arc::unwrap_or_clone(create(&format!("{name}-gone"), b""));
        gone.changes = vec![Change::RemoveConfig(config.id)];
        cluster.write(at, Arc::new(gone)).await;
        more += 1;
    }
}

async fn assert_filled(cluster: &Cluster, at: usize, rounds: usize) {
    let snapshot = cluster.read(at).await;
    for round in 0..rounds {
        for number in 0..WRITES {
            let name = format!("r{round}-{number}");
            assert_eq!(get(&snapshot, &name), Some(vec![7; 300]), "{name} at {at}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_reaches_a_member_that_is_behind_and_an_empty_one() {
    let mut cluster = Cluster::of(2, 11, limits()).await;
    cluster.join(2).await;
    cluster.add(2).await;
    let absent = cluster.raft(2).info().last;
    cluster.kill(2).await;
    fill(&cluster, 0, 0, absent).await;

    cluster.start(2).await;
    assert_filled(&cluster, 2, 1).await;
    assert!(cluster.raft(2).info().snapshot.is_some());

    cluster.join(3).await;
    cluster.add(3).await;
    assert_filled(&cluster, 3, 1).await;
    let hash = |number: usize| cluster.raft(number).snapshot().hash();
    eventually("all agree", || (1..4).all(|number| hash(number) == hash(0))).await;
    cluster.kill(3).await;
    cluster.start(3).await;
    assert_filled(&cluster, 3, 1).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_anywhere_while_a_snapshot_is_installed_loses_nothing() {
    let mut cluster = Cluster::of(3, 12, limits()).await;
    let leader = cluster.leader().await;
    let victim = (leader + 1) % 3;
    let writer = (leader + 2) % 3;
    let mut crashes = 0;
    for (round, steps) in (1..).step_by(2).enumerate() {
        let absent = cluster.raft(victim).info().last;
        cluster.kill(victim).await;
        fill(&cluster, writer, round, absent).await;
        let (crash, disk) = Crash::after(i64::MAX);
        cluster.start_on(disk, victim).await;
        crash.arm(steps);
        let before = cluster.raft(victim).info().snapshot;
        let raft = cluster.raft(victim).clone();
        eventually("installed or crashed", || raft.info().snapshot > before || crash.came()).await;
        let crashed = crash.came();
        cluster.kill(victim).await;
        cluster.start(victim).await;
        assert_filled(&cluster, victim, round + 1).await;
        crashes += usize::from(crashed);
        if !crashed || round > 15 {
            break;
        }
    }
    assert!(crashes > 3, "only {crashes} crashes");
    cluster.end().await;
}

/// Each time less comes than the whole, so it has to go on where it was cut off.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_arrives_over_a_line_that_breaks_again_and_again() {
    let limits = Limits { snapshot_after: 2_000_000, keep_log: 0, ..Limits::default() };
    let mut cluster = Cluster::of(1, 15, limits).await;
    // Two chunks: three of these are 11 pieces, two are 7.
    for number in 0..5 {
        cluster.put(0, &format!("large-{number}"), &[7; 450_000]).await;
    }
    let dropped = || cluster.raft(0).0.raft.metrics().borrow().purged.is_some();
    eventually("a log without its beginning", dropped).await;
    cluster.net.break_snapshots(13);
    cluster.join(1).await;

    cluster.add(1).await;

    let snapshot = cluster.read(1).await;
    for number in 0..5 {
        assert!(get(&snapshot, &format!("large-{number}")).is_some(), "{number}");
    }
    let files = || std::fs::read_dir(cluster.dir(1).join("snapshots")).unwrap().count();
    eventually("nothing is left over", || files() == 1).await;
    cluster.end().await;
}

/// A link that flaps must not fill the disk: of one that is cut off at most one file is kept, and
/// it goes with the next snapshot or the next start.
#[tokio::test(flavor = "multi_thread")]
async fn senders_that_go_away_leave_one_file() {
    let cluster = Cluster::of(1, 14, Limits::default()).await;
    let raft = cluster.raft(0);
    let files = || std::fs::read_dir(cluster.dir(0).join("snapshots")).unwrap().count();
    // One chunk of each comes; of the last none.
    for (id, chunks) in [(3, 1), (4, 1), (5, 0)] {
        let (sender, frames) = mpsc::channel(1);
        let door = Door::new(raft.clone());
        let arriving = ReceiverStream::new(frames).map(Ok);
        let call = tokio::spawn(async move { door.install(arriving).await });
        let meta = SnapshotMeta { snapshot_id: hex(&[id; 16]), ..SnapshotMeta::default() };
        let mut parts = vec![Part::Head(Vote::new_committed(1, 1), meta.clone(), 0)];
        parts.extend((0..chunks).map(|_| Part::Piece(vec![1], true)));
        for part in parts {
            let frame = raft.link().frame(raft.link().me(), part.encode());
            sender.send(frame).await.unwrap();
        }
        // The task takes one after the other, so it has taken all but the last now.
        eventually("taken", || sender.capacity() == 1).await;

        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        drop(sender);

        let held = || raft.snapshots().held(&meta.snapshot_id);
        eventually("kept", || held() == chunks && files() == chunks as usize).await;
        eventually("ended", || raft.installing().try_lock().is_ok()).await;
    }
    assert!(Door::new(raft.clone()).install(futures::stream::empty()).await.is_err());
    cluster.end().await;
}

/// All parts of the snapshot that a member has in use, as it sends them.
async fn parts(raft: &Raft) -> Vec<Part> {
    let (meta, file) = raft.snapshots().get().unwrap();
    let (sender, mut sent) = mpsc::channel(64);
    let vote = Vote::new_committed(1, raft.link().me());
    raft.snapshots().send(vote, meta, file, 0, sender).await.unwrap();
    let mut parts = Vec::new();
    while let Some(part) = sent.recv().await {
        parts.push(part);
    }
    assert!(parts.len() >= 3);
    parts
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_two_snapshots_are_no_snapshot() {
    let mut cluster = Cluster::of(1, 15, limits()).await;
    let mut snapshots = Vec::new();
    for round in 0..2 {
        let before = cluster.raft(0).info().snapshot;
        fill(&cluster, 0, round, cluster.raft(0).info().last).await;
        eventually("another one", || cluster.raft(0).info().snapshot > before).await;
        snapshots.push(parts(cluster.raft(0)).await);
    }
    let [first, second] = [&snapshots[0], &snapshots[1]];
    let ends = [first.len() - 1, second.len() - 1];
    let mixed: [Vec<&Part>; 6] = [
        first[..1].iter().chain(&second[1..]).collect(),
        first[..ends[0]].iter().chain(&second[ends[1]..]).collect(),
        first[..1].iter().chain(&second[..]).collect(),
        first[..ends[0]].iter().chain(&second[1..]).collect(),
        first[..2].iter().chain(&first[1..]).collect(),
        first[1..].iter().collect(),
    ];
    cluster.join(1).await;
    let raft = cluster.raft(1).clone();
    let (link, door) = (raft.link(), Door::new(raft.clone()));
    let install = async |parts: &[&Part]| {
        let frames = parts.iter().map(|part| Ok(link.frame(link.me(), part.encode())));
        door.install(futures::stream::iter(frames.collect::<Vec<_>>())).await
    };

    for (number, parts) in mixed.iter().enumerate() {
        let refused = install(parts).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{number}: {refused}");
        assert_eq!(std::fs::read_dir(cluster.dir(1).join("snapshots")).unwrap().count(), 0);
        assert_eq!((raft.info().snapshot, raft.snapshot().applied()), (None, 0), "{number}");
    }
    // The same way, whole: it is what was refused that was wrong with them.
    install(&second.iter().collect::<Vec<_>>()).await.unwrap();
    assert_eq!(get(&raft.snapshot(), "r1-0"), Some(vec![7; 300]));
    cluster.end().await;
}

/// A log that has to be dropped for a snapshot nobody has is a bug, not a reason to drop it.
#[tokio::test(flavor = "multi_thread")]
async fn a_purge_that_no_snapshot_covers_stops_the_store() {
    let cluster = Cluster::of(1, 13, Limits::default()).await;
    cluster.put(0, "kept", b"data").await;
    let raft = cluster.raft(0);
    let mut log = raft.0.log.clone();
    let last = log.last().unwrap();

    let purged = openraft::storage::RaftLogStorage::purge(&mut log, last).await;

    assert!(purged.is_err());
    let reason = until(raft.stopped(), Option::is_some).await;
    assert!(matches!(reason, Some(StopReason::Panicked { part: "log", .. })), "{reason:?}");
    let mut cluster = cluster;
    cluster.kill(0).await;
    cluster.start(0).await;
    let snapshot = cluster.read(0).await;
    assert_eq!(get(&snapshot, "kept"), Some(b"data".to_vec()));
    cluster.end().await;
}

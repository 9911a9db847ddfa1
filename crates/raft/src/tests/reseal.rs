//! Another key for a store in use: nothing is lost on the way, and nothing needs the older key
//! at its end.

use std::time::Duration;

use swarm_crypto::seal::{Key, Sealer};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::cluster::Cluster;
use super::{Crash, create, eventually, found, get, options, put, sealer, soon, until};
use crate::{Leadership, Limits, OpenError, Options, Raft};

/// As a key file gives it after a rotation.
fn next() -> Sealer {
    Sealer::new(&Key::new([9; 32]), 2)
}

/// As a key file gives it while one runs.
fn rotating() -> Sealer {
    next().also_opening(&Key::new([7; 32]), 1)
}

/// Leads at once: a crash at every step means many starts.
fn quick(home: &TempDir) -> Options {
    let election = (Duration::from_millis(20), Duration::from_millis(40));
    Options { heartbeat: Duration::from_millis(10), election, ..options(home.path()) }
}

async fn opened(options: Options, with: Sealer) -> Raft {
    let raft = Raft::open(options, with).await.unwrap();
    until(raft.leadership(), |it| matches!(it, Leadership::Leader { .. })).await;
    raft
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resealed_store_needs_the_new_key_only_and_the_older_one_opens_nothing_of_it() {
    let home = TempDir::new().unwrap();
    let raft = found(options(home.path())).await;
    put(&raft, "before", &[b'x'; 20_000]).await;

    raft.reseal(&rotating()).await.unwrap();

    put(&raft, "after", b"2").await;
    raft.shutdown().await;
    let old = Raft::open(options(home.path()), sealer()).await.unwrap_err();
    assert!(matches!(old, OpenError::Damaged { .. }), "{old}");
    let raft = opened(options(home.path()), next()).await;
    let now = raft.snapshot();
    assert_eq!(get(&now, "before").map(|data| data.len()), Some(20_000));
    assert_eq!(get(&now, "after"), Some(b"2".to_vec()));
    // Nothing was written since: it is done again all the same.
    raft.reseal(&next()).await.unwrap();
    raft.reseal(&next()).await.unwrap();
    raft.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_change_their_keys_while_others_write_and_one_that_was_away_catches_up() {
    let mut cluster = Cluster::of(3, 51, Limits::default()).await;
    cluster.put(0, "before", b"1").await;
    cluster.kill(2).await;
    let mut writers = JoinSet::new();
    let raft = cluster.raft(0).clone();
    writers.spawn(async move {
        for number in 0..200 {
            put(&raft, &format!("during-{number}"), b"2").await;
        }
    });

    for number in 0..2 {
        let with = rotating();
        let resealed = cluster.raft(number).reseal(&with);
        tokio::time::timeout(Duration::from_secs(20), resealed).await.unwrap().unwrap();
    }

    writers.join_next().await.unwrap().unwrap();
    cluster.start(2).await;
    let third = cluster.read(2).await;
    assert_eq!(get(&third, "before"), Some(b"1".to_vec()));
    assert_eq!(get(&third, "during-199"), Some(b"2".to_vec()));
    for number in 0..3 {
        cluster.kill(number).await;
    }
    for (number, with) in [(0, next()), (1, next()), (2, sealer())] {
        let raft = Raft::open(cluster.options(number), with).await.unwrap();
        cluster.open_door(number, raft);
    }
    assert_eq!(get(&cluster.read(1).await, "during-0"), Some(b"2".to_vec()));
    cluster.end().await;
}

/// A snapshot that came under the older key and is whole only later is sent once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_sent_a_snapshot_can_change_its_key_meanwhile() {
    let mut cluster = Cluster::of(1, 52, Limits::default()).await;
    // Two chunks, of which the first comes before the line breaks.
    for number in 0..5 {
        cluster.put(0, &format!("big-{number}"), &[b'x'; 450_000]).await;
    }
    cluster.raft(0).reseal(&rotating()).await.unwrap();
    cluster.net.break_snapshots(13);
    cluster.join(1).await;
    let (newcomer, files) = (cluster.raft(1).clone(), cluster.dir(1).join("snapshots"));
    let rotates = tokio::spawn(async move {
        let came = || std::fs::read_dir(&files).unwrap().next().is_some();
        eventually("something came", came).await;
        newcomer.reseal(&rotating()).await
    });

    cluster.add(1).await;

    rotates.await.unwrap().unwrap();
    let there = cluster.read(1).await;
    assert_eq!(get(&there, "big-4").map(|data| data.len()), Some(450_000));
    cluster.kill(1).await;
    let raft = Raft::open(cluster.options(1), next()).await.unwrap();
    cluster.open_door(1, raft);
    assert_eq!(get(&cluster.read(1).await, "big-0").map(|data| data.len()), Some(450_000));
    cluster.end().await;
}

/// Wherever it is cut, the store opens with the keys that the key file has meanwhile, has all
/// that was acknowledged, and comes to its end with the next try.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_step_of_a_rotation_loses_nothing() {
    for steps in 0.. {
        let home = TempDir::new().unwrap();
        let (crash, disk) = Crash::after(i64::MAX);
        let first = (*create("founding", b"first")).clone();
        let raft = Raft::bootstrap_on(disk, quick(&home), sealer(), first).await.unwrap();
        put(&raft, "kept", b"1").await;
        crash.arm(steps);

        let resealed = raft.reseal(&rotating()).await;

        raft.shutdown().await;
        if !crash.came() {
            resealed.unwrap();
            assert!(steps > 8, "cut {steps} times only");
            break;
        }
        let raft = opened(quick(&home), rotating()).await;
        assert_eq!(get(&raft.read(soon()).await.unwrap(), "kept"), Some(b"1".to_vec()), "{steps}");
        raft.reseal(&rotating()).await.unwrap();
        put(&raft, "more", b"2").await;
        raft.shutdown().await;
        let raft = opened(quick(&home), next()).await;
        let now = raft.read(soon()).await.unwrap();
        assert_eq!(get(&now, "kept"), Some(b"1".to_vec()), "{steps}");
        assert_eq!(get(&now, "more"), Some(b"2".to_vec()), "{steps}");
        raft.shutdown().await;
    }
}

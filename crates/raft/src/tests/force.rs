//! A cluster that is forced anew: nothing is lost, wherever it is cut, and who was left behind
//! stays outside.

use std::path::PathBuf;

use super::cluster::{Cluster, addr, node, put};
use super::damage::copy;
use super::{Crash, eventually, get, sealer, soon, until};
use crate::door::Door;
use crate::message::Ask;
use crate::type_config::Member;
use crate::{Leadership, Limits, Options, Raft};

async fn leads(raft: &Raft) {
    until(raft.leadership(), |it| matches!(it, Leadership::Leader { .. })).await;
}

fn assert_alone(raft: &Raft, epoch: u64) {
    let info = raft.info();
    let only = Member { node: node(0), addr: addr(0) };
    assert_eq!(info.members, [(info.member, only)].into());
    assert_eq!((info.voters, info.epoch), (vec![info.member], epoch));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_member_goes_on_alone_with_all_it_has() {
    let mut cluster = Cluster::of(3, 31, Limits::default()).await;
    cluster.put(0, "kept", b"1").await;
    let before = cluster.raft(0).info();
    for number in 0..3 {
        cluster.kill(number).await;
    }

    let raft = Raft::force_new(cluster.options(0), sealer()).await.unwrap();
    leads(&raft).await;
    assert_alone(&raft, before.epoch + 1);
    let now = raft.info();
    assert!(now.member != before.member && now.term > before.term, "{before:?} {now:?}");
    put(&raft, "more", b"2").await;
    raft.shutdown().await;

    cluster.start(0).await;
    leads(cluster.raft(0)).await;
    let snapshot = cluster.read(0).await;
    assert_eq!(get(&snapshot, "kept"), Some(b"1".to_vec()));
    assert_eq!(get(&snapshot, "more"), Some(b"2".to_vec()));
    assert_alone(cluster.raft(0), before.epoch + 1);

    // Others join it as they join any cluster.
    let newcomer = Raft::join(cluster.options(3), sealer(), before.epoch + 1).await.unwrap();
    cluster.open_door(3, newcomer);
    cluster.add(3).await;
    assert_eq!(get(&cluster.read(3).await, "more"), Some(b"2".to_vec()));
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_members_of_before_are_refused_both_ways() {
    let mut cluster = Cluster::of(3, 32, Limits::default()).await;
    cluster.put(0, "kept", b"1").await;
    let old = cluster.raft(0).info().member;
    for number in 0..3 {
        cluster.kill(number).await;
    }
    let raft = Raft::force_new(cluster.options(0), sealer()).await.unwrap();
    cluster.open_door(0, raft);
    leads(cluster.raft(0)).await;
    let term = cluster.raft(0).info().term;

    for number in 1..3 {
        cluster.start(number).await;
    }
    let leader = cluster.leader_among(&[1, 2]).await;
    cluster.put(leader, "theirs", b"2").await;
    cluster.put(0, "ours", b"3").await;

    let (ours, theirs) = (cluster.raft(0), cluster.raft(leader));
    for (from, to) in [(ours, theirs), (theirs, ours)] {
        for member in [old, to.info().member] {
            let frame = from.link().frame(member, Ask::Ping.encode());
            let refused = Door::new(to.clone()).answer(node(9), frame).await.unwrap_err();
            assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
            assert!(refused.message().contains("epoch"), "{refused}");
        }
        let there =
            Member { node: node(9), addr: addr(if to.info().epoch == 2 { 0 } else { leader }) };
        let asked = from.add(to.info().member, there, soon()).await;
        assert!(asked.is_err(), "a member of another epoch was let in");
    }
    assert_eq!(get(&cluster.read(0).await, "theirs"), None);
    assert_eq!(get(&cluster.read(leader).await, "ours"), None);
    assert_alone(ours, 2);
    assert_eq!(ours.info().term, term);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_log_is_all_in_a_snapshot_goes_on() {
    let limits = Limits { snapshot_after: 4_000, keep_log: 0, ..Limits::default() };
    let mut cluster = Cluster::of(2, 33, limits).await;
    for number in 0..20 {
        cluster.put(0, &format!("n{number}"), &[7; 500]).await;
    }
    let purged = |raft: &Raft| raft.0.raft.metrics().borrow().purged.is_some();
    eventually("a snapshot", || purged(cluster.raft(0))).await;
    for number in 0..2 {
        cluster.kill(number).await;
    }

    let raft = Raft::force_new(cluster.options(0), sealer()).await.unwrap();
    leads(&raft).await;
    for round in 0..2 {
        if round > 0 {
            cluster.start(0).await;
        } else {
            cluster.open_door(0, raft.clone());
        }
        let snapshot = cluster.read(0).await;
        for number in 0..20 {
            assert_eq!(get(&snapshot, &format!("n{number}")), Some(vec![7; 500]));
        }
        assert_alone(cluster.raft(0), 2);
        cluster.kill(0).await;
    }
}

/// Opens or forces a store whose disk fails, and ends whatever came of it.
async fn end(opened: Result<Raft, crate::OpenError>) {
    if let Ok(raft) = opened {
        raft.shutdown().await;
    }
}

/// Wherever the rewrite is cut, and wherever the opening after it: the store is the old one
/// whole, or the forced one whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_step_leaves_the_old_cluster_or_the_forced_one() {
    let mut cluster = Cluster::of(3, 34, Limits::default()).await;
    cluster.put(0, "kept", b"1").await;
    let old = cluster.raft(0).info();
    for number in 0..3 {
        cluster.kill(number).await;
    }
    let home = tempfile::tempdir().unwrap();
    let (mut before, mut after) = (0, 0);
    for steps in 0.. {
        let mut forced = None;
        for (round, again) in [i64::MAX, steps, 3, 6].into_iter().enumerate() {
            let dir: PathBuf = home.path().join(format!("{steps}-{round}"));
            copy(&cluster.dir(0), &dir);
            let options = || Options { dir: dir.clone(), ..cluster.options(0) };
            let (crash, disk) = Crash::after(steps);
            end(Raft::force_new_on(disk, options(), sealer()).await).await;
            if !crash.came() {
                assert!(before > 3 && after > 6, "cut {before} times before, {after} after");
                cluster.end().await;
                return;
            }
            end(Raft::open_on(Crash::after(again).1, options(), sealer()).await).await;

            let raft = Raft::open(options(), sealer()).await.unwrap();
            eventually("its members", || !raft.info().members.is_empty()).await;
            let info = raft.info();
            assert_eq!(*forced.get_or_insert(info.epoch), info.epoch, "step {steps}: undecided");
            if info.epoch == old.epoch {
                assert_eq!((info.member, &info.members), (old.member, &old.members));
                assert!(info.term >= old.term && info.last == old.last, "{info:?}");
                before += 1;
                raft.shutdown().await;
                end(Raft::force_new(options(), sealer()).await).await;
            } else {
                after += 1;
                raft.shutdown().await;
            }
            let raft = Raft::open(options(), sealer()).await.unwrap();
            leads(&raft).await;
            assert_alone(&raft, old.epoch + 1);
            let kept = get(&raft.read(soon()).await.unwrap(), "kept");
            assert_eq!(kept, Some(b"1".to_vec()), "cut at step {steps}");
            raft.shutdown().await;
        }
    }
}

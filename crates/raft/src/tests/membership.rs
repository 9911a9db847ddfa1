//! Members that come, go, move and lose their store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::cluster::{Cluster, addr, node, put};
use super::damage::copy;
use super::{create, eventually, get, sealer, soon};
use crate::message::{Answer, Ask};
use crate::type_config::{Member, Vote};
use crate::{Limits, MembershipError, Raft};

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_while_others_write() {
    let mut cluster = Cluster::of(1, 21, Limits::default()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicUsize::new(0));
    let writer = {
        let (raft, stop, written) = (cluster.raft(0).clone(), stop.clone(), written.clone());
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let number = written.load(Ordering::Relaxed);
                put(&raft, &format!("load-{number}"), b"").await;
                written.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    for number in 1..5 {
        cluster.join(number).await;
        cluster.add(number).await;
    }
    assert_eq!(cluster.raft(0).info().voters.len(), 5);
    for gone in [4, 3] {
        cluster.raft(1).remove(node(gone), soon()).await.unwrap();
        cluster.raft(1).remove(node(gone), soon()).await.unwrap();
        cluster.kill(gone).await;
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();

    let info = cluster.raft(cluster.leader().await).info();
    assert_eq!((info.voters.len(), info.members.len()), (3, 3));
    for number in 0..3 {
        let snapshot = cluster.read(number).await;
        for count in 0..written.load(Ordering::Relaxed) {
            assert!(get(&snapshot, &format!("load-{count}")).is_some(), "load-{count}");
        }
    }
    cluster.end().await;
}

/// The first voter cannot do without the second: if that came back as another member, nothing
/// could be agreed on ever again.
#[tokio::test(flavor = "multi_thread")]
async fn who_votes_can_be_opened_again() {
    let mut cluster = Cluster::of(1, 27, Limits::default()).await;
    cluster.join(1).await;
    let ready = |cluster: &Cluster| {
        let (link, id) = (cluster.raft(0).link().clone(), cluster.raft(1).info().member);
        let member = Member { node: node(1), addr: addr(1) };
        async move { link.ask((id, &member), &Ask::Ready, Duration::from_secs(2)).await }
    };
    let refused = ready(&cluster).await.unwrap();
    assert!(matches!(refused, Answer::Failed(_)), "nothing says yet that it is a member");

    cluster.add(1).await;

    let taken = ready(&cluster).await.unwrap();
    assert!(matches!(taken, Answer::Done), "{taken:?}");
    cluster.kill(1).await;
    cluster.start(1).await;
    cluster.put(0, "on", b"").await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_removed_hands_over_first() {
    let cluster = Cluster::of(3, 22, Limits::default()).await;
    let old = cluster.leader().await;

    let began = Instant::now();
    cluster.raft(old).remove(node(old), soon()).await.unwrap();
    println!("a leader removed in {:?}", began.elapsed());

    let others: Vec<usize> = (0..3).filter(|it| *it != old).collect();
    let next = cluster.leader_among(&others).await;
    assert_eq!(cluster.raft(next).info().voters.len(), 2);
    cluster.put(next, "after", b"").await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_handed_over_within_its_bar() {
    let cluster = Cluster::of(3, 23, Limits::default()).await;
    let old = cluster.leader().await;

    let began = Instant::now();
    cluster.raft(old).hand_over(soon()).await.unwrap();
    cluster.put((old + 1) % 3, "after", b"").await;

    println!("handed over to next acknowledged write: {:?}", began.elapsed());
    assert_ne!(cluster.leader().await, old);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_without_a_quorum_is_refused_and_changes_nothing() {
    let mut cluster = Cluster::of(3, 24, Limits::default()).await;
    let leader = cluster.leader().await;
    let (dead, alive) = ((leader + 1) % 3, (leader + 2) % 3);
    cluster.kill(dead).await;
    eventually("it is missed", || cluster.raft(leader).info().reachable.len() == 2).await;

    let refused = cluster.raft(leader).remove(node(alive), soon()).await;

    let Err(MembershipError::Quorum { reachable, needed: 2 }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(reachable, [node(leader)]);
    assert_eq!(cluster.raft(leader).info().voters.len(), 3);
    cluster.raft(leader).remove(node(dead), soon()).await.unwrap();
    cluster.raft(leader).remove(node(alive), soon()).await.unwrap();
    let last = cluster.raft(leader).remove(node(leader), soon()).await;
    assert!(matches!(last, Err(MembershipError::LastManager)), "{last:?}");
    cluster.put(leader, "alone", b"").await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_member_comes_back_as_another() {
    let mut cluster = Cluster::of(3, 25, Limits::default()).await;
    let leader = cluster.leader().await;
    let wiped = (leader + 1) % 3;
    cluster.put(leader, "before", b"data").await;
    let old = cluster.raft(wiped).info().member;
    cluster.kill(wiped).await;
    std::fs::remove_dir_all(cluster.dir(wiped)).unwrap();

    cluster.join(wiped).await;
    let new = cluster.raft(wiped).info().member;
    let member = Member { node: node(wiped), addr: addr(wiped) };
    cluster.raft(leader).add(new, member, soon()).await.unwrap();

    let info = cluster.raft(leader).info();
    assert_ne!(old, new);
    assert!(info.voters.contains(&new) && !info.members.contains_key(&old), "{info:?}");
    let snapshot = cluster.read(wiped).await;
    assert_eq!(get(&snapshot, "before"), Some(b"data".to_vec()));
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_moves_to_another_address() {
    let mut cluster = Cluster::of(3, 26, Limits::default()).await;
    let leader = cluster.leader().await;
    let (moved, other) = ((leader + 1) % 3, (leader + 2) % 3);
    cluster.kill(moved).await;

    cluster.raft(other).readdress(node(moved), addr(7), soon()).await.unwrap();
    let raft = Raft::open(cluster.options(moved), sealer()).await.unwrap();
    cluster.move_door(moved, 7, raft);

    cluster.put(leader, "there", b"").await;
    let snapshot = cluster.read(moved).await;
    assert!(get(&snapshot, "there").is_some());
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_that_is_not_there_does_not_vote() {
    let mut cluster = Cluster::of(2, 27, Limits::default()).await;
    cluster.join(2).await;
    let id = cluster.raft(2).info().member;
    let before = cluster.raft(0).info().members;

    // Nobody listens there, it is another member that does, or not this newcomer.
    for (id, at) in [(id, 7), (id, 0), (id ^ 1, 2)] {
        let member = Member { node: node(2), addr: addr(at) };
        let refused = cluster.raft(1).add(id, member, soon()).await;

        assert!(matches!(refused, Err(MembershipError::Unreachable { .. })), "{refused:?}");
        assert_eq!(cluster.raft(0).info().members, before);
    }
    cluster.add(2).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_the_members_are_is_announced_everywhere() {
    let mut cluster = Cluster::of(2, 29, Limits::default()).await;
    let mut told = [cluster.raft(0).members(), cluster.raft(1).members()];

    cluster.join(2).await;
    cluster.add(2).await;

    for told in &mut told {
        let members = told.wait_for(|members| members.values().any(|it| it.addr == addr(2)));
        assert_eq!(timeout_at(soon().into(), members).await.unwrap().unwrap().len(), 3);
    }
    cluster.end().await;
}

/// Of another epoch, for another number, or from nobody that is a member: refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_is_not_for_this_member_is_refused() {
    use crate::door::Door;
    use crate::message::Ask;

    let cluster = Cluster::of(1, 28, Limits::default()).await;
    let raft = cluster.raft(0);
    let (door, me) = (Door::new(raft.clone()), raft.info().member);
    let group = create("forged", b"");
    let propose = Ask::Propose(crate::Lane::Control, group, Duration::from_secs(5)).encode();
    let frame =
        |epoch, to| swarm_proto::v1::RaftFrame { epoch, from: 9, to, body: propose.clone() };
    let applied = raft.info().applied;

    for (caller, frame, code) in [
        (node(0), frame(2, me), tonic::Code::FailedPrecondition),
        (node(0), frame(1, me ^ 1), tonic::Code::FailedPrecondition),
        (node(5), frame(1, me), tonic::Code::PermissionDenied),
    ] {
        let refused = door.answer(caller, frame).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
    }
    let append = openraft::raft::AppendEntriesRequest {
        vote: Vote::new(9, 9),
        prev_log_id: None,
        entries: Vec::new(),
        leader_commit: None,
    };
    let ballot = openraft::raft::VoteRequest::new(Vote::new_committed(9, 9), None);
    for body in [
        vec![0xff; 9],
        Ask::Append { entries: append, quorum: true }.encode(),
        Ask::Vote(ballot).encode(),
    ] {
        let garbled = swarm_proto::v1::RaftFrame { body, ..frame(1, me) };
        let refused = door.answer(node(0), garbled).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused}");
    }
    assert_eq!(raft.info().applied, applied);
    cluster.end().await;
}

/// It stood alone meanwhile, and would bring a later term along.
#[tokio::test(flavor = "multi_thread")]
async fn a_voter_that_was_removed_comes_back_as_another_member_only() {
    let mut cluster = Cluster::of(4, 27, Limits::default()).await;
    let leader = cluster.leader().await;
    let removed = (leader + 1) % 4;
    let number = cluster.raft(removed).info().member;
    cluster.isolate(&[removed]);
    cluster.raft(leader).remove(node(removed), soon()).await.unwrap();
    let before = cluster.raft(leader).info().term;
    let stood = || cluster.raft(removed).info().term > before + 1;
    eventually("it stood again and again", stood).await;
    cluster.net.heal();

    let member = Member { node: node(removed), addr: addr(removed) };
    for asked in (0..4).filter(|it| *it != removed) {
        let again = cluster.raft(asked).add(number, member.clone(), soon()).await;
        assert!(matches!(again, Err(MembershipError::Removed { .. })), "{again:?}");
    }
    cluster.kill(removed).await;
    std::fs::remove_dir_all(cluster.dir(removed)).unwrap();
    cluster.join(removed).await;
    let number = cluster.raft(removed).info().member;
    cluster.raft(leader).add(number, member, soon()).await.unwrap();

    cluster.put(removed, "in-peace", b"").await;
    for number in 0..4 {
        assert_eq!(cluster.raft(number).info().term, before, "{number} was disturbed");
    }
    cluster.end().await;
}

/// Its leader knows nothing of who came since, and must not have them give up what they hold.
#[tokio::test(flavor = "multi_thread")]
async fn a_founder_that_was_put_back_to_an_older_image_costs_nobody_a_store() {
    let mut cluster = Cluster::of(1, 28, Limits::default()).await;
    let image = cluster.dir(0).with_extension("image");
    cluster.kill(0).await;
    copy(&cluster.dir(0), &image);
    cluster.start(0).await;
    cluster.join(1).await;
    cluster.add(1).await;
    cluster.put(0, "newer", b"").await;
    eventually("the second has it", || get(&cluster.raft(1).snapshot(), "newer").is_some()).await;

    cluster.kill(0).await;
    std::fs::remove_dir_all(cluster.dir(0)).unwrap();
    copy(&image, &cluster.dir(0));
    cluster.start(0).await;

    let (number, member) = (cluster.raft(1).info().member, Member { node: node(1), addr: addr(1) });
    let asked = cluster.raft(0).add(number, member, soon()).await;
    assert!(matches!(asked, Err(MembershipError::Ahead { .. })), "{asked:?}");
    cluster.end().await;
}

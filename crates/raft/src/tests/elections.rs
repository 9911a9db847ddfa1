//! Who leads, and what is acknowledged, while members and the ways between them fail.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::cluster::{Cluster, node, put};
use super::{create, eventually, get, soon};
use crate::disk::{Disk, Step, Witness};
use crate::{Lane, Leadership, Limits, ProposeError, ReadError};

fn leads(cluster: &Cluster, number: usize) -> bool {
    matches!(*cluster.raft(number).leadership().borrow(), Leadership::Leader { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn any_member_takes_writes_and_reads() {
    let cluster = Cluster::of(3, 1, Limits::default()).await;

    for number in 0..3 {
        cluster.put(number, &format!("by-{number}"), b"data").await;
        for reader in 0..3 {
            let snapshot = cluster.read(reader).await;
            let found = get(&snapshot, &format!("by-{number}"));
            assert_eq!(found.as_deref(), Some(&b"data"[..]), "{reader} reads what {number} wrote");
        }
    }
    let follower = cluster.raft(1);
    let again = follower.propose(Lane::Control, create("by-0", b"data"), soon()).await.unwrap();
    assert!(again.replayed, "the same request has its first result");
    let stale = follower.stale();
    assert!(stale.age.is_some() && stale.index > 0, "{stale:?}");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_shows_what_it_had_written() {
    let cluster = Cluster::of(3, 7, Limits::default()).await;
    let follower = cluster.raft((cluster.leader().await + 1) % 3);

    for round in 0..100 {
        let name = format!("by-a-follower-{round}");
        put(follower, &name, b"").await;
        assert!(get(&follower.snapshot(), &name).is_some(), "{name} does not show");
    }
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_leader_takes_over_and_a_killed_one_returns() {
    let mut cluster = Cluster::of(3, 2, Limits::default()).await;
    for round in 0..3 {
        let old = cluster.leader().await;
        cluster.put(old, &format!("before-{round}"), b"").await;
        let term = cluster.raft(old).info().term;
        cluster.kill(old).await;
        let killed = Instant::now();

        let other = (old + 1) % 3;
        cluster.put(other, &format!("after-{round}"), b"").await;

        println!("leader killed to next acknowledged write: {:?}", killed.elapsed());
        let next = cluster.leader().await;
        assert!(next != old && cluster.raft(next).info().term > term);
        cluster.start(old).await;
        let snapshot = cluster.read(old).await;
        assert!(get(&snapshot, &format!("after-{round}")).is_some());
    }
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_cut_off_leads_no_more_and_finds_back() {
    let cluster = Cluster::of(3, 3, Limits::default()).await;
    let old = cluster.leader().await;
    let others: Vec<usize> = (0..3).filter(|it| *it != old).collect();

    cluster.isolate(&[old]);
    let lost = {
        let (raft, lease) = (cluster.raft(old).clone(), Instant::now() + Duration::from_secs(1));
        tokio::spawn(async move { raft.propose(Lane::Control, create("lost", b""), lease).await })
    };
    eventually("the old leader gives up", || !leads(&cluster, old)).await;
    let next = cluster.leader_among(&others).await;
    assert!(!leads(&cluster, old));
    cluster.put(next, "kept", b"").await;
    let lost = lost.await.unwrap();
    assert!(matches!(lost, Err(ProposeError::Unknown { .. })), "{lost:?}");
    let refused = cluster.raft(old).propose(Lane::Control, create("no", b""), soon()).await;
    assert!(matches!(refused, Err(ProposeError::NotLeader { .. })), "{refused:?}");

    let began = Instant::now();
    let read = cluster.raft(old).read(soon()).await;
    let Err(ReadError::NoQuorum { reachable }) = read else { panic!("{read:?}") };
    assert_eq!(reachable, [node(old)]);
    assert!(began.elapsed() < Duration::from_millis(3500), "{:?}", began.elapsed());
    assert!(get(&cluster.raft(old).stale().snapshot, "kept").is_none());

    cluster.net.heal();
    let snapshot = cluster.read(old).await;
    assert!(get(&snapshot, "kept").is_some());
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_majority_cut_off_from_each_other_acknowledges_nothing() {
    let cluster = Cluster::of(5, 4, Limits::default()).await;
    cluster.isolate(&[0]);
    cluster.isolate(&[1]);
    cluster.isolate(&[2]);
    eventually("nobody leads", || (0..5).all(|number| !leads(&cluster, number))).await;

    let deadline = Instant::now() + Duration::from_millis(500);
    for number in 0..5 {
        let group = create(&format!("never-{number}"), b"");
        let result = cluster.raft(number).propose(Lane::Control, group, deadline).await;
        assert!(result.is_err(), "{number}: {result:?}");
    }
    let read = cluster.raft(3).read(soon()).await;
    let Err(ReadError::NoQuorum { mut reachable }) = read else { panic!("{read:?}") };
    reachable.sort_unstable();
    let mut pair = [node(3), node(4)];
    pair.sort_unstable();
    assert_eq!(reachable, pair);

    cluster.net.heal();
    cluster.put(3, "again", b"").await;
    cluster.end().await;
}

/// The leader is heard and hears nothing: it must not go on leading.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_hears_nobody_is_none() {
    let cluster = Cluster::of(3, 5, Limits::default()).await;
    let old = cluster.leader().await;
    let others: Vec<usize> = (0..3).filter(|it| *it != old).collect();
    for other in &others {
        cluster.net.cut(*other, old);
    }

    eventually("it knows", || !leads(&cluster, old)).await;
    let refused = cluster.raft(old).propose(Lane::Control, create("no", b""), soon()).await;
    assert!(matches!(refused, Err(ProposeError::NotLeader { .. })), "{refused:?}");
    let next = cluster.leader_among(&others).await;
    put(cluster.raft(next), "without it", b"").await;

    cluster.net.heal();
    put(cluster.raft(old), "yes", b"").await;
    cluster.end().await;
}

/// A disk whose syncs take as long as its gate is closed.
#[derive(Debug, Default)]
struct Gate {
    closed: Mutex<bool>,
    moved: Condvar,
}

impl Gate {
    fn set(&self, closed: bool) {
        *self.closed.lock().unwrap() = closed;
        self.moved.notify_all();
    }
}

impl Witness for Gate {
    fn before(&self, step: Step, _: &Path) -> io::Result<()> {
        if matches!(step, Step::SyncData) {
            let closed = self.closed.lock().unwrap();
            let patience = Duration::from_secs(20);
            let _ = self.moved.wait_timeout_while(closed, patience, |closed| *closed).unwrap();
        }
        Ok(())
    }
}

/// Its heart must not beat on while its disk hangs: others lead, and nothing it had begun is lost
/// or done twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_disk_hangs_is_replaced_and_follows() {
    let mut cluster = Cluster::of(3, 10, Limits::default()).await;
    let gates: [Arc<Gate>; 3] = Default::default();
    for (number, gate) in gates.iter().enumerate() {
        cluster.kill(number).await;
        cluster.start_on(Disk::seen_by(gate.clone()), number).await;
    }
    cluster.put(0, "before", b"").await;
    let old = cluster.leader().await;
    let others: Vec<usize> = (0..3).filter(|it| *it != old).collect();

    gates[old].set(true);
    let begun = {
        let raft = cluster.raft(old).clone();
        tokio::spawn(async move { raft.propose(Lane::Control, create("begun", b""), soon()).await })
    };
    let next = cluster.leader_among(&others).await;
    put(cluster.raft(next), "without it", b"").await;
    assert!(!leads(&cluster, old), "it leads no more before its disk moves again");

    gates[old].set(false);
    let begun = begun.await.unwrap();
    let snapshot = cluster.read(old).await;
    assert!(get(&snapshot, "without it").is_some());
    assert!(begun.is_err() || get(&snapshot, "begun").is_some(), "{begun:?}");
    // Asked again, it is there once.
    put(cluster.raft(old), "begun", b"").await;
    assert!(get(&cluster.read(next).await, "begun").is_some());
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_members_may_restart_one_after_the_other_and_at_once() {
    let mut cluster = Cluster::of(3, 11, Limits::default()).await;
    let mut written = Vec::new();
    for round in 0..2 {
        for number in 0..3 {
            cluster.kill(number).await;
            let name = format!("without-{number}-{round}");
            cluster.put((number + 1) % 3, &name, b"").await;
            written.push(name);
            cluster.start(number).await;
        }
        for number in 0..3 {
            cluster.kill(number).await;
        }
        for number in [2, 0, 1] {
            cluster.start(number).await;
        }
        let name = format!("together-{round}");
        cluster.put(round, &name, b"").await;
        written.push(name);
    }
    for number in 0..3 {
        let snapshot = cluster.read(number).await;
        for name in &written {
            assert!(get(&snapshot, name).is_some(), "{name} at {number}");
        }
    }
    cluster.end().await;
}

/// A leader that is killed and started within the lease leads on. What it noted on disk as agreed on
/// is older than what it acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_leader_shows_what_it_acknowledged() {
    let mut cluster = Cluster::of(3, 9, Limits::default()).await;
    for round in 0..8 {
        let old = cluster.leader().await;
        let follower = (old + 1) % 3;
        let name = format!("acknowledged-{round}");
        cluster.put(old, &name, b"").await;

        cluster.kill(old).await;
        cluster.start(old).await;

        for reader in [follower, old] {
            let snapshot = cluster.read(reader).await;
            assert!(get(&snapshot, &name).is_some(), "{name} does not show at {reader}");
        }
    }
    cluster.end().await;
}

/// A leader and a follower that hear each other are no cluster of five.
#[tokio::test(flavor = "multi_thread")]
async fn a_follower_is_vouched_for_by_a_leader_with_a_quorum_only() {
    let cluster = Cluster::of(5, 8, Limits::default()).await;
    let old = cluster.leader().await;
    let others: Vec<usize> = (0..5).filter(|it| *it != old).collect();
    let age = |number: usize| cluster.raft(number).stale().age.unwrap_or(Duration::MAX);
    eventually("the leader is heard", || age(others[0]) < Duration::from_millis(500)).await;

    cluster.isolate(&[old, others[0]]);

    let lease = Duration::from_millis(900);
    eventually("it is out of date", || age(others[0]) > 2 * lease).await;
    let next = cluster.leader_among(&others[1..]).await;
    eventually("the rest goes on", || age(others[1]).max(age(next)) < lease).await;
    cluster.net.heal();
    eventually("it comes back", || age(others[0]) < lease).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_decided_under_a_leadership_is_written_under_no_other() {
    let cluster = Cluster::of(3, 6, Limits::default()).await;
    let old = cluster.leader().await;
    let led = *cluster.raft(old).leadership().borrow();
    let propose = |number: usize, name: &str| {
        let raft = cluster.raft(number).clone();
        let group = create(name, b"");
        async move { raft.propose_as(led, Lane::Control, group, soon()).await }
    };
    propose(old, "mine").await.unwrap();

    cluster.raft(old).hand_over(soon()).await.unwrap();

    let next = cluster.leader().await;
    assert_ne!(next, old);
    for number in 0..3 {
        let refused = propose(number, "late").await;
        assert!(matches!(refused, Err(ProposeError::NotLeader { .. })), "{number}: {refused:?}");
    }
    cluster.end().await;
}

//! The same with real managers: what users ask for comes true, or is refused by Docker's reason.

use futures::future::join_all;
use swarm_proto::{field, v1};
use tonic::{Code, Status};

use super::*;
use crate::testing::many::{Many, Seat, eventually};

/// Asks a manager to give the node the role.
async fn ask(seat: &Seat, node: NodeId, role: NodeRole) -> Result<(), Status> {
    let stored = seat.snapshot().node(&node).unwrap().clone();
    let mut spec = stored.spec.clone();
    spec.role = role;
    let update = v1::UpdateNodeRequest {
        request_id: Vec::new(),
        id: field::put_id(node),
        spec_version: stored.meta.spec_version,
        spec: Some((&spec).into()),
    };
    seat.control().update_node(IdSource::system().draw(), node, update).await.map(drop)
}

/// Waits until the node has the role, and raft's members are these.
async fn settled(seat: &Seat, node: NodeId, role: NodeRole, members: usize) {
    let holds = || {
        let told = seat.raft.members().borrow().len();
        let is = seat.snapshot().node(&node).is_some_and(|node| node.role == role);
        (is && told == members).then_some(())
    };
    eventually("the role is set and the members are known", holds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_is_demoted_through_a_follower_and_the_next_one_ends_it() {
    let many = Many::of(3).await;
    let (leader, follower) = (many.leader().await.node, many.follower().await);
    let reached = || (follower.manager.core.reachable().len() == 3).then_some(());
    eventually("all are reached", reached).await;

    ask(follower, leader, NodeRole::Worker).await.unwrap();

    settled(follower, leader, NodeRole::Worker, 2).await;
    assert_ne!(many.leader().await.node, leader);
    many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_promoted_joins_and_is_demoted_again() {
    let mut many = Many::of(1).await;
    let node = many.node(NodeRole::Worker).await;
    assert_eq!(many.admit_code(node).await, Code::PermissionDenied, "it is no manager yet");

    ask(&many.seats[0], node, NodeRole::Manager).await.unwrap();
    settled(&many.seats[0], node, NodeRole::Manager, 1).await;
    many.join(node).await;
    many.admit(node).await.unwrap();
    settled(&many.seats[0], node, NodeRole::Manager, 2).await;
    ask(&many.seats[1], node, NodeRole::Worker).await.unwrap();

    settled(&many.seats[0], node, NodeRole::Worker, 1).await;
    assert_eq!(many.admit(node).await.unwrap_err().code(), Code::PermissionDenied);
    let last = ask(&many.seats[0], many.seats[0].node, NodeRole::Worker).await.unwrap_err();
    assert_eq!(last.code(), Code::FailedPrecondition);
    assert!(last.message().contains("attempting to demote the last manager"), "{last}");
    many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_managers_that_demote_each_other_one_stays() {
    let many = Many::of(2).await;
    many.follower().await;
    let [a, b] = &many.seats[..] else { panic!() };

    let asked = [ask(a, b.node, NodeRole::Worker), ask(b, a.node, NodeRole::Worker)];
    let outcomes = join_all(asked).await;

    let refused: Vec<&Status> = outcomes.iter().filter_map(|it| it.as_ref().err()).collect();
    let [refused] = refused[..] else { panic!("{outcomes:?}") };
    // The one that was demoted may be no member any more when it looks again.
    let last = refused.message().contains("last manager");
    assert!(last || refused.code() == Code::Unavailable, "{refused}");
    let (gone, stays) = if outcomes[0].is_ok() { (b.node, a) } else { (a.node, b) };
    settled(stays, gone, NodeRole::Worker, 1).await;
    many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_is_needed_stays_and_the_one_that_is_down_may_go() {
    let mut many = Many::of(3).await;
    let (leader, down) = (many.leader().await.node, many.follower().await.node);
    let other = many.nodes().into_iter().find(|it| ![leader, down].contains(it)).unwrap();
    many.kill(down).await;
    let seat = many.of_node(other);
    let missed = || (seat.manager.core.reachable().len() == 2).then_some(());
    eventually("it is missed", missed).await;

    for needed in [leader, other] {
        let refused = ask(seat, needed, NodeRole::Worker).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        assert!(refused.message().contains("loss of quorum"), "{refused}");
        let spec = seat.snapshot().node(&needed).unwrap().spec.role;
        assert_eq!(spec, NodeRole::Manager);
    }
    ask(seat, down, NodeRole::Worker).await.unwrap();

    settled(seat, down, NodeRole::Worker, 2).await;
    many.end().await;
}

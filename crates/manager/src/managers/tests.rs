//! Who is let through to what managers ask each other, over the real port.

use swarm_crypto::{Credentials, Identity};
use swarm_proto::v1::managers_client::ManagersClient;
use swarm_proto::v1::raft_client::RaftClient;
use swarm_types::{Change, ClusterId, OpenSession, Timestamp};
use tonic::Code;

use super::*;
use crate::testing::World;
use crate::testing::many::{Many, Seat, code, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn managers_that_join_are_members_and_know_each_other() {
    let many = Many::of(3).await;

    for seat in &many.seats {
        let core = &seat.manager.core;
        eventually("three managers", || (core.managers().len() == 3).then_some(())).await;
        eventually("all are fit", || core.is_fit().then_some(())).await;
        eventually("all are reached", || (core.reachable().len() == 3).then_some(())).await;
    }
    many.admit(many.seats[2].node).await.unwrap();
    assert_eq!(many.leader().await.raft.info().voters.len(), 3, "asking again changes nothing");
    many.end().await;
}

/// Everything managers ask each other, with those credentials.
async fn refusals(seat: &Seat, credentials: &Credentials) -> [Code; 4] {
    let (raft, managers) =
        (RaftClient::new(seat.to(credentials)), ManagersClient::new(seat.to(credentials)));
    let info = seat.raft.info();
    let frame = v1::RaftFrame { epoch: 1, from: 9, to: info.member, body: Vec::new() };
    let admit = v1::AdmitRequest { member: 77, addr: seat.addr(), epoch: 1 };
    [
        code(raft.clone().call(frame.clone())).await,
        code(raft.clone().install(futures::stream::iter([frame]))).await,
        code(managers.clone().admit(admit)).await,
        code(managers.clone().vouch(v1::VouchRequest { epoch: 1, ..Default::default() })).await,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn only_managers_of_the_cluster_are_heard_and_none_of_the_others_changes_anything() {
    let mut many = Many::of(2).await;
    let worker = many.node(NodeRole::Worker).await;
    let removed = many.node(NodeRole::Worker).await;
    let until = Timestamp::now().after(Duration::from_secs(3600));
    many.change(Change::RemoveNode { node: removed, refuse_until: until }).await;
    let follower = many.follower().await;
    let before = follower.raft.info().members;
    let cluster = many.cluster;
    let foreign = Identity { node: worker, role: NodeRole::Manager, cluster: ClusterId::MIN };

    for (who, credentials, expected) in [
        ("a stranger", many.stranger(), Code::Unauthenticated),
        ("a worker", many.credentials(worker, NodeRole::Worker), Code::PermissionDenied),
        ("a demoted one", many.credentials(worker, NodeRole::Manager), Code::PermissionDenied),
        ("a removed one", many.credentials(removed, NodeRole::Manager), Code::PermissionDenied),
        ("another cluster's", many.credentials_of(foreign), Code::Unavailable),
    ] {
        assert_ne!(foreign.cluster, cluster);
        assert_eq!(refusals(follower, &credentials).await, [expected; 4], "{who}");
    }
    assert_eq!(follower.raft.info().members, before);
    many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_by_code() {
    let many = Many::of(2).await;
    let (leader, follower) = (many.leader().await, many.follower().await);
    let to_leader = || ManagersClient::new(leader.to(&follower.credentials));
    let admit = |member, addr: &str, epoch| v1::AdmitRequest { member, addr: addr.into(), epoch };
    let vouch = |epoch, nodes| v1::VouchRequest { epoch, nodes, ..Default::default() };
    let garbled = v1::HeardNode { node: vec![1; 3], ..Default::default() };
    let many_nodes = vec![v1::HeardNode { node: vec![0; 2 << 20], ..Default::default() }];
    let here = leader.addr();

    let codes = [
        code(to_leader().admit(admit(77, &here, 2))).await,
        code(to_leader().admit(admit(0, &here, 1))).await,
        code(to_leader().admit(admit(77, "", 1))).await,
        code(to_leader().admit(admit(77, &"x".repeat(300), 1))).await,
        code(to_leader().vouch(vouch(2, Vec::new()))).await,
        code(to_leader().vouch(vouch(1, vec![garbled]))).await,
        code(to_leader().vouch(vouch(1, many_nodes))).await,
        code(ManagersClient::new(follower.to(&leader.credentials)).vouch(vouch(1, vec![]))).await,
    ];

    assert_eq!(
        codes,
        [
            Code::FailedPrecondition,
            Code::InvalidArgument,
            Code::InvalidArgument,
            Code::InvalidArgument,
            Code::FailedPrecondition,
            Code::InvalidArgument,
            Code::OutOfRange,
            Code::Unavailable,
        ]
    );
    many.end().await;
}

/// Nobody there, or another member: the cluster of two must not wait for a third that never votes.
#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_at_a_wrong_address_changes_no_membership() {
    let mut many = Many::of(2).await;
    let node = many.node(NodeRole::Manager).await;
    let before = many.leader().await.raft.info().members;
    let (asked, credentials) = (&many.seats[0], many.credentials(node, NodeRole::Manager));

    for addr in ["127.0.0.1:1", "no address", &many.seats[1].addr()] {
        let mut managers = ManagersClient::new(asked.to(&credentials));
        let request = v1::AdmitRequest { member: 77, addr: addr.to_owned(), epoch: 1 };
        let refused = managers.admit(request).await.unwrap_err();

        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        assert!(refused.message().contains("not reached at"), "{refused}");
    }
    assert_eq!(many.leader().await.raft.info().members, before);
    many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_without_a_leader_is_not_fit_and_one_that_hears_the_next_is() {
    let mut many = Many::of(3).await;
    let follower = many.follower().await.node;
    let leader = many.leader().await.node;
    let third = many.nodes().into_iter().find(|it| ![leader, follower].contains(it)).unwrap();

    many.kill(third).await;
    let core = many.of_node(follower).manager.core.clone();
    assert!(core.is_fit() && many.leader().await.manager.core.is_fit());
    let reached = || (core.reachable().len() == 2).then_some(());
    eventually("the dead one is not reached", reached).await;

    many.kill(leader).await;
    eventually("it notices", || (!core.is_fit()).then_some(())).await;
    assert!(core.quorum_age().is_none_or(|age| age > crate::core::FIT_FOR));
    many.end().await;
}

/// Its own replica may not know yet that the role is taken back.
#[tokio::test]
async fn a_node_that_is_not_to_stay_a_manager_is_not_let_in() {
    let mut world = World::new().await;
    let managers = Managers::new(world.core.clone());
    let before = world.core.raft.info().members;
    for (role, wanted) in
        [(NodeRole::Manager, NodeRole::Worker), (NodeRole::Worker, NodeRole::Manager)]
    {
        let mut node = crate::testing::manager(world.ids.draw());
        (node.role, node.spec.role) = (role, wanted);
        let id = node.id;
        world.change(Change::CreateNode(Box::new(node))).await;

        let request = v1::AdmitRequest { member: 77, addr: "127.0.0.1:1".to_owned(), epoch: 1 };
        let refused = managers.let_in(id, request).await.unwrap_err();

        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    }
    assert_eq!(world.core.raft.info().members, before);
}

/// It may still carry a session that is over, and reckon by the clock of the leader before.
#[tokio::test]
async fn only_a_nodes_present_session_is_vouched_for_and_only_on_this_leaders_clock() {
    let mut world = World::new().await;
    let (node, session_id, over) = (world.node, world.ids.draw(), world.ids.draw());
    let open = OpenSession {
        node,
        session: session_id,
        manager: node,
        boot_id: String::new(),
        description: Box::default(),
        addr: String::new(),
    };
    world.change(Change::OpenSession(Box::new(open))).await;
    let Leadership::Leader { incarnation: clock, .. } = *world.core.raft.leadership().borrow()
    else {
        panic!("it leads")
    };
    let managers = Managers::new(world.core.clone());
    let heard = |of| world.core.hub.liveness().age(&node, of, boot_time()).is_some();
    let vouch = |clock, of| {
        let (node, session) = (field::put_id(node), field::put_id(of));
        let nodes = vec![v1::HeardNode { node, session, age_ms: 0 }];
        let request = v1::VouchRequest { clock, as_of_ms: u64::MAX, epoch: 1, nodes };
        managers.hear(request).unwrap();
        (heard(session_id), heard(over))
    };

    assert_eq!(vouch(clock.wrapping_add(1), session_id), (false, false));
    assert_eq!(vouch(clock, over), (false, false));
    assert_eq!(vouch(clock, session_id), (true, false));
    assert_eq!(vouch(clock, over), (true, false), "it takes the place of nothing");
}

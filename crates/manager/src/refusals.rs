//! Every call of the managers' port, made by everybody who could reach it.
//!
//! [`table`] says whom each call is for, and misses none that is in `/proto`; [`raw`] makes any call
//! without knowing what it is. What happens behind the door is tested beside each service.

mod flood;
mod raw;
mod sessions;
mod table;

use std::time::Duration;

use swarm_crypto::ca::{NodeCertificate, NodeKey};
use swarm_crypto::tls::channel;
use swarm_crypto::{Credentials, Identity};
use swarm_proto::v1;
use swarm_proto::v1::ca_client::CaClient;
use swarm_raft::MemberId;
use swarm_types::spec::node::NodeRole;
use swarm_types::{Change, ClusterId, Meta, NodeId, Timestamp};
use tonic::Code;
use tonic::transport::Channel;

use crate::testing::many::{Many, Seat, code, eventually};
use raw::{Frame, call};
use table::{CALLS, For};

/// Who calls, by which connection, and what those calls say to him that are not for him.
struct Caller {
    who: &'static str,
    channel: Channel,
    refusal: fn(For) -> Option<Code>,
}

/// Everything that a refused call must not change.
#[derive(PartialEq, Debug)]
struct Facts {
    cluster: Meta,
    nodes: Vec<(NodeId, NodeRole, u64)>,
    services: usize,
    members: Vec<MemberId>,
}

fn facts(seat: &Seat) -> Facts {
    let snapshot = seat.snapshot();
    let nodes = snapshot.nodes().map(|node| (node.id, node.role, node.meta.spec_version));
    Facts {
        cluster: snapshot.cluster().unwrap().meta,
        nodes: nodes.collect(),
        services: snapshot.services().count(),
        members: seat.raft.info().members.into_keys().collect(),
    }
}

fn stranger(call: For) -> Option<Code> {
    match call {
        For::Anybody => None,
        For::Nodes | For::Managers => Some(Code::Unauthenticated),
        For::ItsOwnSocket => Some(Code::Unimplemented),
    }
}

fn worker(call: For) -> Option<Code> {
    match call {
        For::Anybody | For::Nodes => None,
        For::Managers => Some(Code::PermissionDenied),
        For::ItsOwnSocket => Some(Code::Unimplemented),
    }
}

fn removed(call: For) -> Option<Code> {
    match call {
        For::Nodes => Some(Code::PermissionDenied),
        call => worker(call),
    }
}

fn outside(_: For) -> Option<Code> {
    Some(Code::Unavailable)
}

/// Everybody who is no manager of the cluster.
async fn callers(many: &mut Many) -> Vec<Caller> {
    let node = many.node(NodeRole::Worker).await;
    let gone = many.node(NodeRole::Worker).await;
    let until = Timestamp::now().after(Duration::from_secs(3600));
    many.change(Change::RemoveNode { node: gone, refuse_until: until }).await;
    let foreign = Identity { node, role: NodeRole::Manager, cluster: ClusterId::MIN };
    let seat = many.leader().await;
    let caller = |who, credentials: &Credentials, refusal: fn(For) -> Option<Code>| Caller {
        who,
        channel: seat.to(credentials),
        refusal,
    };
    let as_manager = |node| many.credentials(node, NodeRole::Manager);
    vec![
        caller("a stranger", &many.stranger(), stranger),
        caller("a worker", &many.credentials(node, NodeRole::Worker), worker),
        caller("a manager that was demoted", &as_manager(node), worker),
        caller("a worker that was removed", &many.credentials(gone, NodeRole::Worker), removed),
        caller("a manager that was removed", &as_manager(gone), removed),
        caller("a manager of another cluster", &many.credentials_of(foreign), outside),
    ]
}

/// The manager's own certificate until that moment.
fn short_lived(many: &Many, seat: &Seat, until: Timestamp) -> NodeCertificate {
    let role = NodeRole::Manager;
    let identity = Identity { node: seat.node, role, cluster: many.cluster };
    many.certificate(identity, NodeKey::generate().unwrap(), until)
}

/// Asks for a certificate with the workers' token.
async fn join(many: &Many, seat: &Seat, key: &NodeKey) -> Code {
    let request = v1::IssueNodeCertificateRequest {
        token: Some((&many.authority.worker_token).into()),
        csr: key.csr().unwrap(),
        availability: v1::Availability::Active.into(),
    };
    code(CaClient::new(seat.to(&many.stranger())).issue_node_certificate(request)).await
}

async fn refused(caller: &Caller) {
    for &(service, whom, methods) in CALLS {
        for method in methods {
            let path = format!("/swarm.v1.{service}/{method}");
            let code = call(&caller.channel, &path, Frame::Empty).await;
            match (caller.refusal)(whom) {
                Some(refusal) => assert_eq!(code, refusal, "{path} by {}", caller.who),
                // Let through, to hear that an empty message makes no sense.
                None => assert!(
                    ![Code::Unauthenticated, Code::PermissionDenied, Code::Unimplemented]
                        .contains(&code),
                    "{path} by {}: {code:?}",
                    caller.who
                ),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_refused_to_all_whom_it_is_not_for_and_changes_nothing() {
    let mut many = Many::of(1).await;
    let callers = callers(&mut many).await;
    let seat = many.leader().await;
    let before = facts(seat);

    for caller in &callers {
        refused(caller).await;
    }

    assert_eq!(facts(seat), before);
    many.end().await;
}

/// On the connection that it has, and on the next one.
#[tokio::test(flavor = "multi_thread")]
async fn a_manager_whose_certificate_expires_is_a_stranger_from_then_on() {
    let many = Many::of(1).await;
    let seat = many.leader().await;
    let soon = Timestamp::now().after(Duration::from_secs(5));
    let node = short_lived(&many, seat, soon);
    let credentials = Credentials::node(&node, &many.authority.cert).unwrap();
    let live = seat.to(&credentials);
    let list = "/swarm.v1.Control/ListNodes";
    assert_eq!(call(&live, list, Frame::Empty).await, Code::Ok);
    let before = facts(seat);

    // Certificates count in whole seconds.
    let expired = soon.after(Duration::from_secs(1));
    eventually("it expires", || (expired < Timestamp::now()).then_some(())).await;

    refused(&Caller { who: "whose certificate expired", channel: live, refusal: stranger }).await;
    let again = channel(&seat.addr(), &credentials).unwrap();
    refused(&Caller { who: "who comes back with it", channel: again, refusal: outside }).await;
    assert_eq!(facts(seat), before);
    many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_none_are_refused_by_every_call_and_change_nothing() {
    let many = Many::of(1).await;
    let seat = many.leader().await;
    let to = seat.to(&seat.credentials);
    let before = facts(seat);

    for &(service, whom, methods) in CALLS {
        for method in methods {
            let path = format!("/swarm.v1.{service}/{method}");
            // A node's own: only passed on from here.
            let is_read = whom != For::ItsOwnSocket && service != "Tasks";
            for frame in Frame::BAD {
                let code = call(&to, &path, frame).await;
                assert_ne!(code, Code::Ok, "{path}: {frame:?}");
                match frame {
                    Frame::Garbled if is_read => assert_eq!(code, Code::Internal, "{path}"),
                    Frame::Endless if is_read => assert_eq!(code, Code::OutOfRange, "{path}"),
                    _ => {}
                }
            }
        }
    }

    assert_eq!(call(&to, "/swarm.v1.Control/ListNodes", Frame::Empty).await, Code::Ok);
    assert_eq!(facts(seat), before);
    many.end().await;
}

/// It would serve those, too, who were removed by a quorum that it does not hear.
#[tokio::test(flavor = "multi_thread")]
async fn a_manager_without_a_quorum_renews_nothing_and_serves_no_node() {
    let mut many = Many::of(2).await;
    let worker = many.node(NodeRole::Worker).await;
    let (leader, follower) = (many.leader().await.node, many.follower().await.node);
    let key = NodeKey::generate().unwrap();
    assert_eq!(join(&many, many.of_node(leader), &key).await, Code::Ok);
    let knows = |seat: &Seat| (seat.snapshot().nodes().count() == 4).then_some(());
    eventually("it knows the nodes", || knows(many.of_node(follower))).await;

    many.kill(leader).await;
    let seat = many.of_node(follower);
    eventually("it notices", || (!seat.manager.core.is_fit()).then_some(())).await;

    assert_eq!(join(&many, seat, &key).await, Code::Unavailable, "the token may be rotated");
    let to = seat.to(&many.credentials(worker, NodeRole::Worker));
    for method in [
        "Ca/RenewNodeCertificate",
        "Ca/RenewExpired",
        "Dispatcher/Session",
        "Dispatcher/Assignments",
    ] {
        let code = call(&to, &format!("/swarm.v1.{method}"), Frame::Empty).await;
        assert_eq!(code, Code::Unavailable, "{method}");
    }
    assert_eq!(call(&to, "/swarm.v1.Ca/Challenge", Frame::Empty).await, Code::Ok, "it answers");
    many.end().await;
}

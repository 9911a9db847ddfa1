//! A node whose certificate has expired, over the real port.

use std::time::Duration;

use swarm_crypto::Credentials;
use swarm_proto::v1::ca_client::CaClient;
use tonic::transport::Channel;

use super::*;
use crate::testing::many::{Many, Seat};

const DAY: Duration = Duration::from_secs(24 * 3600);
const WORKER: NodeRole = NodeRole::Worker;

fn ago(time: Duration) -> Timestamp {
    Timestamp(Timestamp::now().0 - i64::try_from(time.as_nanos()).unwrap())
}

/// A worker of the cluster with a certificate that is valid until then.
async fn worker(many: &mut Many, until: Timestamp) -> NodeCertificate {
    let key = NodeKey::generate().unwrap();
    let node = many.node_of(WORKER, key.fingerprint().0.to_vec()).await;
    many.certificate(Identity { node, role: WORKER, cluster: many.cluster }, key, until)
}

/// A connection of somebody who shows nothing.
fn stranger(many: &Many, seat: &Seat) -> CaClient<Channel> {
    CaClient::new(seat.to(&many.stranger()))
}

async fn word(ca: &mut CaClient<Channel>) -> String {
    ca.challenge(v1::ChallengeRequest {}).await.unwrap().into_inner().word
}

/// Asks with a word of that very connection.
async fn renew(
    ca: &mut CaClient<Channel>,
    chain: &str,
    key: &NodeKey,
) -> Result<v1::RenewNodeCertificateResponse, Status> {
    let csr = key.csr_with(&word(ca).await).unwrap();
    let request = v1::RenewExpiredRequest { chain: chain.to_owned(), csr };
    ca.renew_expired(request).await.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_gets_the_next_one_with_the_role_it_has_now_and_is_let_in_with_that() {
    let mut many = Many::of(1).await;
    let old = worker(&mut many, ago(29 * DAY)).await;
    let node = old.certificate.identity.node;
    let mut promoted = many.seats[0].snapshot().node(&node).unwrap().spec.clone();
    promoted.role = NodeRole::Manager;
    many.change(Change::UpdateNode(node, promoted)).await;
    let seat = many.leader().await;
    crate::testing::many::eventually("it is a manager", || {
        (seat.snapshot().node(&node)?.role == NodeRole::Manager).then_some(())
    })
    .await;

    let answer = renew(&mut stranger(&many, seat), &old.chain, &old.key).await.unwrap();

    assert_eq!((&answer.root, answer.epoch), (&many.authority.cert, 1));
    let new = NodeCertificate::new(answer.chain, old.key).unwrap();
    let Certificate { identity, fingerprint, not_after, .. } = new.certificate;
    assert_eq!((identity.node, identity.role), (node, NodeRole::Manager));
    assert_eq!(fingerprint, old.certificate.fingerprint);
    assert!(not_after > Timestamp::now().after(80 * DAY));
    let credentials = Credentials::node(&new, &answer.root).unwrap();
    let request = v1::RenewNodeCertificateRequest { csr: new.key.csr().unwrap() };
    let again = CaClient::new(seat.to(&credentials)).renew_node_certificate(request).await;
    assert!(again.is_ok(), "{again:?}");
    many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_nodes_own_any_more_is_refused() {
    let mut many = Many::of(1).await;
    let too_old = worker(&mut many, ago(31 * DAY)).await;
    let good = worker(&mut many, ago(DAY)).await;
    let removed = worker(&mut many, ago(DAY)).await;
    let gone = removed.certificate.identity.node;
    let until = Timestamp::now().after(DAY);
    many.change(Change::RemoveNode { node: gone, refuse_until: until }).await;
    // Signed for the node once, as after its files were made anew.
    let other = NodeKey::generate().unwrap();
    let other = many.certificate(good.certificate.identity, other, ago(DAY));
    let foreign = RootCa::generate(ago(DAY)).unwrap();
    let csr = good.key.csr().unwrap();
    let foreign = foreign.issue(&csr, &good.certificate.identity, DAY, ago(2 * DAY)).unwrap();
    let seat = many.leader().await;
    let (mut ca, before) = (stranger(&many, seat), seat.snapshot());

    for (chain, key, says) in [
        (&too_old.chain, &too_old.key, "30 days ago"),
        (&removed.chain, &removed.key, "was removed"),
        (&other.chain, &other.key, "not that of node"),
        (&good.chain, &other.key, "another key"),
        (&foreign, &good.key, "not one of a node of this cluster"),
        (&String::new(), &good.key, "not one of a node of this cluster"),
        (&many.authority.cert, &good.key, "not one of a node of this cluster"),
    ] {
        let refused = renew(&mut ca, chain, key).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
        assert!(refused.message().contains(says), "{says:?} in {refused}");
        let is_removed = refused.metadata().get(crate::access::REMOVED).is_some();
        assert_eq!(is_removed, says == "was removed");
    }

    let after = seat.snapshot();
    let known = |snapshot: &Snapshot| snapshot.nodes().map(|node| node.id).collect::<Vec<_>>();
    assert_eq!(known(&after), known(&before));
    assert_eq!(after.cluster().unwrap().meta, before.cluster().unwrap().meta);
    assert!(renew(&mut ca, &good.chain, &good.key).await.is_ok());
    many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_word_of_its_connection_is_refused() {
    let mut many = Many::of(1).await;
    let node = worker(&mut many, ago(DAY)).await;
    let seat = many.leader().await;
    let (mut one, mut other) = (stranger(&many, seat), stranger(&many, seat));
    let seen = node.key.csr_with(&word(&mut one).await).unwrap();
    let invented = node.key.csr_with(&"0".repeat(48)).unwrap();
    let mut ask = async |csr: Vec<u8>| {
        let request = v1::RenewExpiredRequest { chain: node.chain.clone(), csr };
        other.renew_expired(request).await.unwrap_err().code()
    };

    assert_eq!(ask(seen).await, Code::FailedPrecondition, "replayed");
    assert_eq!(ask(node.key.csr().unwrap()).await, Code::FailedPrecondition, "no word");
    assert_eq!(ask(invented).await, Code::FailedPrecondition);
    assert_eq!(ask(Vec::new()).await, Code::InvalidArgument);
    assert_eq!(ask(vec![0x30; 9]).await, Code::InvalidArgument);
    many.end().await;
}

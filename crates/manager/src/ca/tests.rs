use std::time::{Duration, Instant};

use swarm_crypto::Certificate;
use swarm_crypto::ca::{JoinToken, NodeCertificate, NodeKey};
use swarm_proto::field;
use swarm_raft::{Lane, ProposeError};
use swarm_types::spec::node::{Availability, NodeRole};
use swarm_types::{Change, NodeId, Refusal};
use tonic::Code;

use super::*;
use crate::control::Control;
use crate::testing::World;

mod expired;
mod port;

struct Joiner {
    key: NodeKey,
    csr: Vec<u8>,
}

impl Joiner {
    fn new() -> Self {
        let key = NodeKey::generate().unwrap();
        let csr = key.csr().unwrap();
        Self { key, csr }
    }

    fn request(&self, token: &v1::Sensitive) -> v1::IssueNodeCertificateRequest {
        v1::IssueNodeCertificateRequest {
            token: Some(token.clone()),
            csr: self.csr.clone(),
            availability: v1::Availability::Drain.into(),
        }
    }

    async fn join(
        &self,
        world: &World,
        token: &v1::Sensitive,
    ) -> Result<v1::IssueNodeCertificateResponse, Status> {
        let ca = Ca::new(world.core.clone());
        ca.join(requested_key(&self.csr).unwrap(), self.request(token)).await
    }
}

async fn tokens(world: &World) -> [v1::Sensitive; 2] {
    let control = Control::new(world.core.clone(), crate::access::Access::Local);
    let [worker, manager] = [NodeRole::Worker, NodeRole::Manager].map(field::put_word);
    let (worker, manager) = (control.join_token(worker).await, control.join_token(manager).await);
    [worker, manager].map(|answer| answer.unwrap().token.unwrap())
}

fn id(answer: &v1::IssueNodeCertificateResponse) -> NodeId {
    field::id(&answer.node_id, "node_id").unwrap()
}

#[tokio::test]
async fn a_worker_that_asks_twice_is_one_node_with_the_subject_the_cluster_gave_it() {
    let world = World::new().await;
    let [token, _] = tokens(&world).await;
    let joiner = Joiner::new();

    let first = joiner.join(&world, &token).await.unwrap();
    let again = joiner.join(&world, &token).await.unwrap();
    let other = Joiner::new().join(&world, &token).await.unwrap();

    assert_eq!(id(&first), id(&again));
    assert_ne!(id(&first), id(&other));
    let snapshot = world.core.raft.snapshot();
    assert_eq!(snapshot.nodes().count(), 3);
    let node = snapshot.node(&id(&first)).unwrap();
    assert_eq!((node.role, node.spec.role), (NodeRole::Worker, NodeRole::Worker));
    assert_eq!(node.spec.availability, Availability::Drain);
    let certificate = NodeCertificate::new(first.chain, joiner.key).unwrap().certificate;
    let Certificate { identity, fingerprint, .. } = certificate;
    assert_eq!((identity.node, identity.role), (node.id, NodeRole::Worker));
    assert_eq!(identity.cluster, world.cluster);
    assert_eq!(node.key_fingerprint, fingerprint.0);
    assert_eq!(first.managers, ["127.0.0.1:2377"]);
}

#[tokio::test]
async fn the_managers_token_makes_a_manager() {
    let world = World::new().await;
    let [_, token] = tokens(&world).await;
    let joiner = Joiner::new();

    let answer = joiner.join(&world, &token).await.unwrap();

    let snapshot = world.core.raft.snapshot();
    let node = snapshot.node(&id(&answer)).unwrap();
    assert_eq!((node.role, node.spec.role), (NodeRole::Manager, NodeRole::Manager));
    assert_eq!((answer.role(), answer.epoch), (v1::NodeRole::Manager, 1));
    let certificate = NodeCertificate::new(answer.chain, joiner.key).unwrap().certificate;
    assert_eq!(certificate.identity.role, NodeRole::Manager);
}

#[tokio::test]
async fn tokens_that_do_not_let_in_change_nothing() {
    let mut world = World::new().await;
    let [token, _] = tokens(&world).await;
    let digest = world.core.raft.snapshot().cluster().unwrap().root_ca.digest.clone();
    let invented = JoinToken::generate(&digest).unwrap().text();
    let control = Control::new(world.core.clone(), crate::access::Access::Local);
    let role = field::put_word(NodeRole::Worker);
    let request = world.request();
    let rotated = control.rotate_join_token(request, role).await.unwrap();
    let repeated = control.rotate_join_token(request, role).await.unwrap();

    let (rotated, joiner) = (rotated.token.unwrap(), Joiner::new());
    assert_eq!(rotated, repeated.token.unwrap());
    let text = |text: &str| v1::Sensitive { value: text.into() };
    for (token, code, word) in [
        (&token, Code::PermissionDenied, "valid join token"),
        (&(&invented).into(), Code::PermissionDenied, "valid join token"),
        (&text(""), Code::InvalidArgument, "SWMTKN-1-"),
        (&text("SWMTKN-1-x"), Code::InvalidArgument, "SWMTKN-1-"),
    ] {
        let refused = joiner.join(&world, token).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.message().contains(word), "{refused}");
    }
    assert_eq!(world.core.raft.snapshot().nodes().count(), 1);
    assert!(joiner.join(&world, &rotated).await.is_ok());
}

/// The token was looked at before that.
#[tokio::test]
async fn a_token_that_is_rotated_while_somebody_joins_makes_no_node() {
    let mut world = World::new().await;
    let seen = world.core.raft.snapshot().cluster().unwrap().clone();
    let key = requested_key(&Joiner::new().csr).unwrap();
    let control = Control::new(world.core.clone(), crate::access::Access::Local);
    let rotation = (world.request(), field::put_word(NodeRole::Worker));
    control.rotate_join_token(rotation.0, rotation.1).await.unwrap();

    let group = join::group(&seen, join::node(NodeRole::Worker, Availability::Active, key), key);
    let deadline = Instant::now() + Duration::from_secs(20);
    let refused = world.core.raft.propose(Lane::Control, group, deadline).await;

    assert!(matches!(refused, Err(ProposeError::Refused(Refusal::Stale { .. }))), "{refused:?}");
    assert_eq!(world.core.raft.snapshot().nodes().count(), 1);
}

#[tokio::test]
async fn a_node_that_was_removed_does_not_come_back_by_asking_again() {
    let mut world = World::new().await;
    let [token, _] = tokens(&world).await;
    let joiner = Joiner::new();
    let node = id(&joiner.join(&world, &token).await.unwrap());
    world.change(Change::RemoveNode { node, refuse_until: Timestamp::now() }).await;

    let refused = joiner.join(&world, &token).await.unwrap_err();

    assert_eq!(refused.code(), Code::Aborted, "{refused}");
    assert_eq!(world.core.raft.snapshot().nodes().count(), 1);
}

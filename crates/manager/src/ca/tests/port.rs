//! The same over the real port: who is let through to which call.

use std::time::Duration;

use swarm_crypto::Credentials;
use swarm_crypto::tls::channel;
use swarm_proto::v1::ca_client::CaClient;
use swarm_proto::v1::control_client::ControlClient;
use swarm_proto::v1::dispatcher_client::DispatcherClient;
use swarm_types::{ClusterId, IdSource, Node};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tonic::transport::Channel;

use super::*;
use crate::{Manager, Options};

/// A manager on a port of the loopback.
struct Port {
    world: World,
    manager: Manager,
    root: String,
}

impl Port {
    async fn open() -> Self {
        let world = World::new().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (credentials, root) = {
            let snapshot = world.core.raft.snapshot();
            let root = snapshot.cluster().unwrap().root_ca.cert.clone();
            let (joiner, node) = (Joiner::new(), snapshot.node(&world.node).unwrap().clone());
            (Self::credentials(&world, joiner, &node, &root), root)
        };
        let raft = world.core.raft.clone();
        let options = Options { node: world.node, raft, credentials, listener };
        Self { manager: Manager::start(options).unwrap(), world, root }
    }

    fn credentials(world: &World, joiner: Joiner, node: &Node, root: &str) -> Credentials {
        let snapshot = world.core.raft.snapshot();
        let chain = sign(snapshot.cluster().unwrap(), node, &joiner.csr).unwrap();
        Credentials::node(&NodeCertificate::new(chain, joiner.key).unwrap(), root).unwrap()
    }

    fn to(&self, credentials: &Credentials) -> Channel {
        channel(&self.manager.address().to_string(), credentials).unwrap()
    }

    fn stranger(&self) -> Channel {
        self.to(&Credentials::anonymous(self.world.cluster, &self.root).unwrap())
    }

    /// A worker that joined through the port, and its key's request.
    async fn worker(&self) -> (NodeId, Channel, Vec<u8>) {
        let ([token, _], joiner) = (tokens(&self.world).await, Joiner::new());
        let mut ca = CaClient::new(self.stranger());
        let answer = ca.issue_node_certificate(joiner.request(&token)).await.unwrap().into_inner();
        let (node, csr) = (id(&answer), joiner.csr.clone());
        let certificate = NodeCertificate::new(answer.chain, joiner.key).unwrap();
        let credentials = Credentials::node(&certificate, &answer.root).unwrap();
        (node, self.to(&credentials), csr)
    }
}

#[tokio::test]
async fn a_stranger_may_join_and_nothing_else() {
    let port = Port::open().await;
    let stranger = port.stranger();

    let renewed = CaClient::new(stranger.clone())
        .renew_node_certificate(v1::RenewNodeCertificateRequest { csr: Joiner::new().csr })
        .await;
    let mut control = ControlClient::new(stranger.clone());
    let token = control.get_join_token(v1::GetJoinTokenRequest { role: 1 }).await;
    let rotated = control.rotate_join_token(v1::RotateJoinTokenRequest::default()).await;
    let removed = control.remove_node(v1::RemoveNodeRequest::default()).await;
    let session = DispatcherClient::new(stranger).session(v1::SessionRequest::default()).await;

    let outcomes = [
        renewed.map(drop),
        token.map(drop),
        rotated.map(drop),
        removed.map(drop),
        session.map(drop),
    ];
    for outcome in outcomes {
        assert_eq!(outcome.unwrap_err().code(), Code::Unauthenticated);
    }
    port.worker().await;
    assert_eq!(port.world.core.raft.snapshot().nodes().count(), 2);
}

#[tokio::test]
async fn a_worker_renews_its_own_key_and_calls_nothing_of_the_managers() {
    let port = Port::open().await;
    let (node, channel, csr) = port.worker().await;
    let mut ca = CaClient::new(channel.clone());

    let renewed = ca.renew_node_certificate(v1::RenewNodeCertificateRequest { csr }).await;
    let renewed = renewed.unwrap().into_inner();
    let foreign = v1::RenewNodeCertificateRequest { csr: Joiner::new().csr };
    let foreign = ca.renew_node_certificate(foreign).await.unwrap_err();
    let malformed = v1::RenewNodeCertificateRequest { csr: vec![0x30; 9] };
    let malformed = ca.renew_node_certificate(malformed).await.unwrap_err();
    let oversized = v1::RenewNodeCertificateRequest { csr: vec![0; 1 << 20] };
    let oversized = ca.renew_node_certificate(oversized).await.unwrap_err();
    let mut control = ControlClient::new(channel);
    let token = control.get_join_token(v1::GetJoinTokenRequest { role: 1 }).await.unwrap_err();
    let rotation = v1::RotateJoinTokenRequest { request_id: Vec::new(), role: 1 };
    let rotated = control.rotate_join_token(rotation).await.unwrap_err();
    let request =
        v1::RemoveNodeRequest { id: field::put_id(node), force: true, ..Default::default() };
    let removed = control.remove_node(request).await.unwrap_err();

    assert!(renewed.chain.starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(renewed.root, port.root);
    assert_eq!(foreign.code(), Code::PermissionDenied, "{foreign}");
    assert_eq!(malformed.code(), Code::InvalidArgument, "{malformed}");
    assert_eq!(oversized.code(), Code::OutOfRange, "{oversized}");
    for refused in [token, rotated, removed] {
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    }
    assert!(port.world.core.raft.snapshot().node(&node).is_some());
}

#[tokio::test]
async fn a_removed_node_is_cut_off_on_the_connection_it_has() {
    let mut port = Port::open().await;
    let (node, channel, csr) = port.worker().await;
    let mut dispatcher = DispatcherClient::new(channel.clone());
    let open = dispatcher.session(opening()).await.unwrap();
    let mut session = open.into_inner();
    session.message().await.unwrap().unwrap();

    let gone = Change::RemoveNode { node, refuse_until: Timestamp::now().after(DAY) };
    port.world.change(gone).await;

    let ended = timeout(Duration::from_secs(20), async {
        loop {
            match session.message().await {
                Ok(Some(_)) => {}
                other => return other,
            }
        }
    });
    assert_eq!(ended.await.unwrap().unwrap_err().code(), Code::Aborted);
    let request = v1::RenewNodeCertificateRequest { csr };
    let renewed = CaClient::new(channel).renew_node_certificate(request).await.unwrap_err();
    let again = dispatcher.session(opening()).await.unwrap_err();
    for refused in [renewed, again] {
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
        assert_eq!(refused.metadata().get(crate::access::REMOVED).unwrap(), "1");
    }
}

#[tokio::test]
async fn a_certificate_of_another_cluster_does_not_come_in() {
    let port = Port::open().await;
    let mut cluster = port.world.core.raft.snapshot().cluster().cloned().unwrap();
    let node = port.world.core.raft.snapshot().node(&port.world.node).cloned().unwrap();
    std::sync::Arc::make_mut(&mut cluster).id = IdSource::seeded(99).draw::<ClusterId>();
    let joiner = Joiner::new();
    let chain = sign(&cluster, &node, &joiner.csr).unwrap();
    let certificate = NodeCertificate::new(chain, joiner.key).unwrap();
    let credentials = Credentials::node(&certificate, &port.root).unwrap();

    let mut control = ControlClient::new(port.to(&credentials));
    let refused = control.list_nodes(v1::ListNodesRequest { stale: true }).await.unwrap_err();

    assert_eq!(refused.code(), Code::Unavailable, "the handshake fails: {refused}");
}

const DAY: Duration = Duration::from_secs(24 * 3600);

fn opening() -> v1::SessionRequest {
    let description = swarm_types::object::node::NodeDescription::default();
    v1::SessionRequest { description: Some((&description).into()), ..Default::default() }
}

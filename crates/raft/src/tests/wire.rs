//! The real way: two members over TCP and TLS, and callers that are not let in.

use std::net::SocketAddr;
use std::time::Duration;

use swarm_crypto::ca::{NodeCertificate, NodeKey, RootCa};
use swarm_crypto::tls::{self, Credentials};
use swarm_crypto::{Identity, Sealer};
use swarm_proto::v1::RaftFrame;
use swarm_proto::v1::raft_client::RaftClient;
use swarm_types::spec::node::NodeRole;
use swarm_types::{IdSource, Timestamp};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Server;

use super::cluster::{node, put};
use super::{create, eventually, get, sealer, soon};
use crate::type_config::Member;
use crate::{Dial, Options, Raft, Service};

fn credentials(root: &RootCa, number: usize, role: NodeRole) -> Credentials {
    let cluster = IdSource::seeded(99).draw();
    let identity = Identity { node: node(number), role, cluster };
    let key = NodeKey::generate().unwrap();
    let day = Duration::from_secs(24 * 3600);
    let chain = root.issue(&key.csr().unwrap(), &identity, day, Timestamp::now()).unwrap();
    Credentials::node(&NodeCertificate::new(chain, key).unwrap(), root.cert_pem()).unwrap()
}

fn serve(listener: TcpListener, credentials: Credentials, raft: &Raft) -> DropGuard {
    serve_as(raft.service(), listener, credentials)
}

fn serve_as(service: Service, listener: TcpListener, credentials: Credentials) -> DropGuard {
    let stop = CancellationToken::new();
    let incoming = tls::serve(listener, credentials, stop.clone());
    let server = Server::builder().add_service(service);
    let stopped = stop.clone();
    tokio::spawn(server.serve_with_incoming_shutdown(incoming, stopped.cancelled_owned()));
    stop.drop_guard()
}

struct Place {
    listener: TcpListener,
    addr: SocketAddr,
    options: Options,
    credentials: Credentials,
}

async fn place(home: &std::path::Path, root: &RootCa, number: usize) -> Place {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let credentials = credentials(root, number, NodeRole::Manager);
    let shown = credentials.clone();
    let dial = Dial::new(move |addr| tls::channel(addr, &shown));
    let options = Options::new(home.join(number.to_string()), node(number), addr.to_string());
    Place { listener, addr, options: Options { dial, ..options }, credentials }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_speak_over_the_managers_port_and_to_managers_only() {
    let home = tempfile::tempdir().unwrap();
    let root = RootCa::generate(Timestamp::now()).unwrap();
    let [a, b] = [place(home.path(), &root, 0).await, place(home.path(), &root, 1).await];
    let sealers: [Sealer; 2] = [sealer(), sealer()];
    let [first, second] = sealers;
    let group = std::sync::Arc::unwrap_or_clone(create("founding", b""));
    let founder = Raft::bootstrap(a.options, first, group).await.unwrap();
    let joiner = Raft::join(b.options, second, 1).await.unwrap();
    let serving = serve(a.listener, a.credentials, &founder);
    let _joined = serve(b.listener, b.credentials, &joiner);

    let member = Member { node: node(1), addr: b.addr.to_string() };
    founder.add(joiner.info().member, member, soon()).await.unwrap();
    put(&joiner, "over", b"the wire").await;
    let snapshot = founder.read(soon()).await.unwrap();
    assert_eq!(get(&snapshot, "over"), Some(b"the wire".to_vec()));

    let frame = RaftFrame { epoch: 1, from: 1, to: founder.info().member, body: Vec::new() };
    let strangers = Credentials::anonymous(IdSource::seeded(99).draw(), root.cert_pem());
    for caller in [credentials(&root, 7, NodeRole::Worker), strangers.unwrap()] {
        let channel = tls::channel(&a.addr.to_string(), &caller).unwrap();
        let refused = RaftClient::new(channel.clone()).call(frame.clone()).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::PermissionDenied, "{refused}");
        let frames = tokio_stream::iter([frame.clone()]);
        let refused = RaftClient::new(channel).install(frames).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::PermissionDenied, "{refused}");
    }

    drop(serving);
    founder.shutdown().await;
    joiner.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_larger_than_any_message_arrives() {
    const EACH: usize = 100 << 10;
    const LIMIT: usize = 200 << 10;
    let home = tempfile::tempdir().unwrap();
    let root = RootCa::generate(Timestamp::now()).unwrap();
    let [a, b] = [place(home.path(), &root, 0).await, place(home.path(), &root, 1).await];
    let group = std::sync::Arc::unwrap_or_clone(create("founding", b""));
    let founder = Raft::bootstrap(a.options, sealer(), group).await.unwrap();
    let joiner = Raft::join(b.options, sealer(), 1).await.unwrap();
    let _serving = serve(a.listener, a.credentials, &founder);
    let narrow = joiner.service().max_decoding_message_size(LIMIT);
    let _joined = serve_as(narrow, b.listener, b.credentials);
    let names: Vec<_> = (0..5).map(|it| format!("large-{it}")).collect();
    for name in &names {
        put(&founder, name, &[7; EACH]).await;
    }
    let (all, raft) = (founder.info().applied, founder.openraft());
    raft.trigger().snapshot().await.unwrap();
    eventually("all is in the snapshot", || founder.info().snapshot == Some(all)).await;
    raft.trigger().purge_log(all).await.unwrap();
    let purged = || raft.metrics().borrow().purged.is_some_and(|purged| purged.index == all);
    eventually("nothing of it is in the log", purged).await;
    assert!(founder.snapshots().size() > 2 * LIMIT as u64);

    let member = Member { node: node(1), addr: b.addr.to_string() };
    founder.add(joiner.info().member, member, soon()).await.unwrap();

    assert!(joiner.info().snapshot.is_some());
    let snapshot = joiner.read(soon()).await.unwrap();
    for name in &names {
        assert_eq!(get(&snapshot, name).map(|data| data.len()), Some(EACH), "{name}");
    }
    founder.shutdown().await;
    joiner.shutdown().await;
}

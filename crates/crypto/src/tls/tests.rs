use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::StreamExt;
use rustls::pki_types::ServerName;
use swarm_types::spec::node::NodeRole;
use swarm_types::{Cluster, Timestamp};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::http::{HeaderValue, Request, Response};
use tonic::server::NamedService;
use tonic::transport::{Channel, Server};
use tower::{Service, ServiceExt};

use super::*;
use crate::ca::{JoinToken, RootCa};
use crate::testing::{identity, issued, issued_at, root};

mod handshakes;

const WORKER: NodeRole = NodeRole::Worker;
const MANAGER: NodeRole = NodeRole::Manager;
/// Longest a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers with the caller's identity in a header, and its own fingerprint is seen in the TLS.
#[derive(Clone)]
struct WhoAmI;

impl NamedService for WhoAmI {
    const NAME: &'static str = "test.WhoAmI";
}

impl Service<Request<Body>> for WhoAmI {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let peer = peer(request.extensions());
        let who = peer.and_then(|peer| peer.certificate).map(|shown| shown.identity);
        let who = who.map_or("stranger".to_owned(), |who| format!("{who:?}"));
        let seen = peer.is_some();
        Box::pin(async move {
            let mut response = Response::new(Body::empty());
            let value = HeaderValue::from_str(&format!("{who} {seen}")).unwrap();
            response.headers_mut().insert("you", value);
            Ok(response)
        })
    }
}

struct Running {
    addr: SocketAddr,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
}

async fn start(credentials: &Credentials) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let incoming = serve(listener, credentials.clone(), shutdown.clone());
    let stop = shutdown.clone().cancelled_owned();
    let router = Server::builder().add_service(WhoAmI);
    let server = tokio::spawn(async move {
        router.serve_with_incoming_shutdown(incoming, stop).await.unwrap();
    });
    Running { addr, shutdown, server }
}

impl Running {
    async fn stop(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.server).await.unwrap().unwrap();
    }

    /// What the server calls us, or why it did not answer.
    async fn asked_by(&self, credentials: &Credentials) -> Result<String, String> {
        ask(&channel(&self.addr.to_string(), credentials).unwrap()).await
    }
}

async fn ask(channel: &Channel) -> Result<String, String> {
    let request = Request::builder().uri("http://manager/test.WhoAmI/Ask");
    let request = request.body(Body::empty()).unwrap();
    let answer = timeout(PATIENCE, channel.clone().oneshot(request)).await.unwrap();
    let answer = answer.map_err(|error| chain_of(&error))?;
    Ok(answer.headers()["you"].to_str().unwrap().to_owned())
}

/// An error with everything behind it.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

fn node(ca: &RootCa, seed: u64, role: NodeRole) -> Credentials {
    Credentials::node(&issued(ca, &identity(1, seed, role)), ca.cert_pem()).unwrap()
}

fn shown(who: &crate::Identity) -> String {
    format!("{who:?} true")
}

#[tokio::test]
async fn a_worker_reaches_a_manager_and_is_known_there() {
    let ca = root();
    let server = start(&node(&ca, 1, MANAGER)).await;

    let answer = server.asked_by(&node(&ca, 2, WORKER)).await;

    assert_eq!(answer, Ok(shown(&identity(1, 2, WORKER))));
    server.stop().await;
}

#[tokio::test]
async fn a_stranger_who_knows_the_cluster_is_let_in_as_nobody() {
    let ca = root();
    let server = start(&node(&ca, 1, MANAGER)).await;
    let cluster = identity(1, 1, MANAGER).cluster;

    let stranger = Credentials::anonymous(cluster, ca.cert_pem()).unwrap();

    assert_eq!(server.asked_by(&stranger).await, Ok("stranger true".to_owned()));
    server.stop().await;
}

#[tokio::test]
async fn a_joiner_trusts_the_root_its_token_names_and_no_other() {
    let (ca, other) = (root(), root());
    let server = start(&node(&ca, 1, MANAGER)).await;
    let joining =
        |ca: &RootCa| Credentials::joining(&JoinToken::generate(&ca.digest()).unwrap()).unwrap();

    assert_eq!(server.asked_by(&joining(&ca)).await, Ok("stranger true".to_owned()));
    let refused = server.asked_by(&joining(&other)).await.unwrap_err();
    assert!(refused.contains("join token"), "{refused}");
    server.stop().await;
}

#[tokio::test]
async fn a_worker_cannot_pass_for_a_manager() {
    let ca = root();
    let server = start(&node(&ca, 1, WORKER)).await;
    let joiner = Credentials::joining(&JoinToken::generate(&ca.digest()).unwrap()).unwrap();

    for client in [node(&ca, 2, WORKER), joiner] {
        let refused = server.asked_by(&client).await.unwrap_err();
        assert!(refused.contains("swarm-manager"), "{refused}");
    }
    server.stop().await;
}

#[tokio::test]
async fn another_cluster_is_refused_on_both_sides() {
    let (ca, other) = (root(), root());
    let server = start(&node(&ca, 1, MANAGER)).await;
    let elsewhere = identity(9, 2, WORKER);
    let foreign_root = Credentials::node(&issued(&other, &elsewhere), other.cert_pem()).unwrap();
    // The same root, but another cluster in the certificate: roots may be shared by hand.
    let same_root = Credentials::node(&issued(&ca, &elsewhere), ca.cert_pem()).unwrap();

    for client in [foreign_root, same_root] {
        assert!(server.asked_by(&client).await.is_err());
    }
    let stranger = Credentials::anonymous(elsewhere.cluster, ca.cert_pem()).unwrap();
    let refused = server.asked_by(&stranger).await.unwrap_err();
    assert!(refused.contains("another cluster"), "{refused}");
    server.stop().await;
}

#[tokio::test]
async fn a_foreign_certificate_is_refused_by_the_server_too() {
    let (ca, other) = (root(), root());
    let server = start(&node(&ca, 1, MANAGER)).await;

    // Trusts the server, but shows a certificate of another cluster.
    let elsewhere = issued(&ca, &identity(9, 2, WORKER));
    let impostor = issued(&other, &identity(1, 2, WORKER));
    for shown in [elsewhere, impostor] {
        let chain = crate::ca::from_pem(&shown.chain).unwrap();
        let refused = handshakes::raw(&ca, Some((chain, &shown.key)), server.addr).await;
        assert!(refused.is_err());
    }
    assert!(handshakes::raw(&ca, None, server.addr).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused_on_both_sides() {
    let ca = root();
    let long_ago = Timestamp(Timestamp::now().0 - 3 * 86_400_000_000_000);
    let expired = |seed, role| {
        let node = issued_at(&ca, &identity(1, seed, role), long_ago);
        Credentials::node(&node, ca.cert_pem()).unwrap()
    };
    let (good, bad) = (start(&node(&ca, 1, MANAGER)).await, start(&expired(2, MANAGER)).await);

    let as_client = good.asked_by(&expired(3, WORKER)).await.unwrap_err();
    let as_server = bad.asked_by(&node(&ca, 3, WORKER)).await.unwrap_err();

    assert!(as_client.to_lowercase().contains("expired"), "{as_client}");
    assert!(as_server.to_lowercase().contains("expired"), "{as_server}");
    good.stop().await;
    bad.stop().await;
}

#[tokio::test]
async fn a_certificate_is_good_an_hour_early_for_clocks_that_differ() {
    let ca = root();
    let server = start(&node(&ca, 1, MANAGER)).await;
    let ahead = Timestamp::now().after(Cluster::CERT_BACKDATE - Duration::from_secs(60));
    let early = issued_at(&ca, &identity(1, 2, WORKER), ahead);

    let answer = server.asked_by(&Credentials::node(&early, ca.cert_pem()).unwrap()).await;

    assert_eq!(answer, Ok(shown(&identity(1, 2, WORKER))));
    server.stop().await;
}

#[tokio::test]
async fn a_replaced_certificate_is_seen_by_the_next_connection_only() {
    let ca = root();
    let (manager, worker) = (node(&ca, 1, MANAGER), node(&ca, 2, WORKER));
    let server = start(&manager).await;
    let live = channel(&server.addr.to_string(), &worker).unwrap();
    ask(&live).await.unwrap();

    let renewed = issued(&ca, &identity(1, 7, MANAGER));
    manager.replace(&renewed, ca.cert_pem()).unwrap();
    worker.replace(&issued(&ca, &identity(1, 8, WORKER)), ca.cert_pem()).unwrap();

    let seen = handshakes::raw(&ca, None, server.addr).await.unwrap();
    assert_eq!(seen.fingerprint, renewed.certificate.fingerprint);
    assert_eq!(manager.certificate(), Some(renewed.certificate));
    assert_eq!(ask(&live).await, Ok(shown(&identity(1, 2, WORKER))));
    assert_eq!(server.asked_by(&worker).await, Ok(shown(&identity(1, 8, WORKER))));
    server.stop().await;
}

#[test]
fn credentials_that_do_not_fit_together_are_refused() {
    let (ca, other) = (root(), root());
    let node = issued(&ca, &identity(1, 2, WORKER));

    for (root_pem, why) in [("", "no root"), ("-----BEGIN", "no PEM")] {
        let refused = Credentials::node(&node, root_pem);
        assert!(matches!(refused, Err(CredentialsError::BadRoot)), "{why}");
    }
    let refused = Credentials::node(&node, other.cert_pem());
    assert!(matches!(refused, Err(CredentialsError::BadCertificate(_))), "{refused:?}");
}

/// As a manager sees what a node whose certificate has expired shows beside the handshake.
#[test]
fn what_was_valid_once_is_known_and_nothing_else_is() {
    let (ca, other) = (root(), root());
    let who = identity(1, 2, WORKER);
    let long_ago = Timestamp(Timestamp::now().0 - 3 * 86_400_000_000_000);
    let old_root = RootCa::generate(long_ago).unwrap();
    let expired = issued_at(&old_root, &who, long_ago);

    let known = once_valid(&expired.chain, old_root.cert_pem(), who.cluster).unwrap();

    assert_eq!(known, expired.certificate);
    let foreign = identity(9, 2, WORKER).cluster;
    let chain = issued(&ca, &who).chain;
    for (chain, root_pem, cluster, why) in [
        (chain.as_str(), other.cert_pem(), who.cluster, "another root"),
        (&chain, ca.cert_pem(), foreign, "another cluster"),
        (ca.cert_pem(), ca.cert_pem(), who.cluster, "no node"),
        ("", ca.cert_pem(), who.cluster, "nothing"),
        (&chain, "", who.cluster, "no root"),
    ] {
        assert!(once_valid(chain, root_pem, cluster).is_err(), "{why}");
    }
}

#[tokio::test]
async fn only_host_and_port_make_an_address() {
    let stranger = Credentials::joining(&JoinToken::generate(&root().digest()).unwrap()).unwrap();

    for bad in ["", "host", "host:", "host:99999", "a b:1", "u@h:1x", "h:1/path", "http://h:1"] {
        assert!(channel(bad, &stranger).is_err(), "{bad:?}");
    }
    for good in ["10.0.0.1:2377", "[::1]:2377", "manager-1.example:2377"] {
        assert!(channel(good, &stranger).is_ok(), "{good:?}");
    }
}

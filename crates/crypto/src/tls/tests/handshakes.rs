//! Handshakes by hand: versions, silence, bounds and shutdown.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::AsyncWriteExt;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::Certificate;
use crate::ca::NodeKey;

/// How HTTP/2 begins, with an empty SETTINGS frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

type Shown<'a> = Option<(Vec<Vec<u8>>, &'a NodeKey)>;

/// A client that checks the server as any TLS client would, and shows what it is given.
fn config(
    ca: &RootCa,
    shown: Shown<'_>,
    version: &'static SupportedProtocolVersion,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(crate::ca::from_pem(ca.cert_pem()).unwrap().remove(0).into()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = chain.into_iter().map(CertificateDer::from).collect();
            let key = PrivateKeyDer::Pkcs8(key.pair().serialize_der().into());
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// Shakes hands, and says whose certificate the server showed.
async fn shake(config: ClientConfig, addr: SocketAddr) -> std::io::Result<Certificate> {
    let stream = enter(Arc::new(config), addr).await?;
    let session = stream.get_ref().1;
    assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
    Ok(Certificate::from_der(&session.peer_certificates().unwrap()[0]).unwrap())
}

/// Shakes hands and reads the server's first bytes.
async fn enter(
    config: Arc<ClientConfig>,
    addr: SocketAddr,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(addr).await?;
    let name = ServerName::try_from("swarm-manager").unwrap();
    let mut stream = TlsConnector::from(config).connect(name, stream).await?;
    // Under TLS 1.3 the server judges after the client is done; its first frame is its consent.
    stream.read_u8().await?;
    Ok(stream)
}

pub(super) async fn raw(
    ca: &RootCa,
    shown: Shown<'_>,
    addr: SocketAddr,
) -> std::io::Result<Certificate> {
    let config = config(ca, shown, &rustls::version::TLS13);
    timeout(PATIENCE, shake(config, addr)).await.unwrap()
}

#[tokio::test]
async fn tls_1_2_is_spoken_too_and_still_asks_for_the_certificate() {
    let ca = root();
    let server = start(&node(&ca, 1, MANAGER)).await;
    let foreign = issued(&root(), &identity(1, 2, WORKER));
    let shown = crate::ca::from_pem(&foreign.chain).unwrap();

    let tls12 = &rustls::version::TLS12;
    let good = timeout(PATIENCE, shake(config(&ca, None, tls12), server.addr)).await.unwrap();
    let shown = Some((shown, &foreign.key));
    let bad = timeout(PATIENCE, shake(config(&ca, shown, tls12), server.addr)).await.unwrap();

    assert_eq!(good.unwrap().identity, identity(1, 1, MANAGER));
    assert!(bad.is_err());
    server.stop().await;
}

#[tokio::test]
async fn a_silent_connection_blocks_nobody() {
    let ca = root();
    let server = start(&node(&ca, 1, MANAGER)).await;
    let _silent = TcpStream::connect(server.addr).await.unwrap();

    let answer = server.asked_by(&node(&ca, 2, WORKER)).await;

    assert_eq!(answer, Ok(shown(&identity(1, 2, WORKER))));
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed_at_its_deadline() {
    let ca = root();
    let server = start(&node(&ca, 1, MANAGER)).await;
    let mut silent = TcpStream::connect(server.addr).await.unwrap();
    let begun = tokio::time::Instant::now();

    let read = timeout(2 * HANDSHAKE_DEADLINE, silent.read_u8()).await.unwrap();

    assert!(read.is_err(), "the server said something");
    assert!(begun.elapsed() >= HANDSHAKE_DEADLINE);
    server.stop().await;
}

/// Half-open connections by the thousand cost an attacker nothing.
#[tokio::test(start_paused = true)]
async fn silent_connections_that_fill_every_place_delay_nobody() {
    let ca = root();
    let server = start(&node(&ca, 1, MANAGER)).await;
    let begun = tokio::time::Instant::now();
    let mut silent = Vec::new();
    for _ in 0..600 {
        silent.push(TcpStream::connect(server.addr).await.unwrap());
    }

    let config = config(&ca, None, &rustls::version::TLS13);
    let met = shake(config, server.addr).await;

    assert_eq!(met.unwrap().identity, identity(1, 1, MANAGER));
    assert!(begun.elapsed() < HANDSHAKE_DEADLINE, "{:?}", begun.elapsed());
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stranger_has_to_speak_soon_and_to_leave_soon() {
    let ca = root();
    let server = start(&node(&ca, 1, MANAGER)).await;
    let stranger = Arc::new(config(&ca, None, &rustls::version::TLS13));
    let end = async |mut stream: TlsStream<TcpStream>| {
        let mut rest = Vec::new();
        let begun = tokio::time::Instant::now();
        let read = timeout(2 * STAY, stream.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "it stays");
        begun.elapsed()
    };

    let silent = end(enter(stranger.clone(), server.addr).await.unwrap()).await;
    let mut speaking = enter(stranger, server.addr).await.unwrap();
    speaking.write_all(PREFACE).await.unwrap();
    let spoken = end(speaking).await;

    assert!(silent <= FIRST_BYTE + Duration::from_secs(1), "{silent:?}");
    assert!(spoken > FIRST_BYTE && spoken <= STAY + Duration::from_secs(1), "{spoken:?}");
    server.stop().await;
}

/// Whoever has no certificate could otherwise take all file descriptors.
#[tokio::test]
async fn strangers_are_let_in_up_to_a_bound_and_keep_no_node_out() {
    let ca = root();
    let server = start(&node(&ca, 1, MANAGER)).await;
    let stranger = Arc::new(config(&ca, None, &rustls::version::TLS13));
    let enter = || timeout(PATIENCE, enter(stranger.clone(), server.addr));
    let mut inside = Vec::new();
    for _ in 0..STRANGERS {
        let mut stream = enter().await.unwrap().unwrap();
        stream.write_all(PREFACE).await.unwrap();
        inside.push(stream);
    }

    assert!(enter().await.unwrap().is_err(), "one stranger too many");
    let answer = server.asked_by(&node(&ca, 2, WORKER)).await;
    assert_eq!(answer, Ok(shown(&identity(1, 2, WORKER))));

    inside.pop();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while enter().await.unwrap().is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the place is not free again");
    }
    // A server that stops waits for connections that have not begun to speak HTTP/2.
    drop(inside);
    server.stop().await;
}

#[tokio::test]
async fn shutdown_ends_the_stream_and_drops_what_is_half_made() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let incoming = serve(listener, node(&root(), 1, MANAGER), shutdown.clone());
    let mut incoming = Box::pin(incoming);
    let drained = tokio::spawn(async move { (incoming.next().await.is_none(), incoming) });
    let mut half_made = TcpStream::connect(addr).await.unwrap();

    shutdown.cancel();

    let (ended, _still_held) = timeout(PATIENCE, drained).await.unwrap().unwrap();
    assert!(ended);
    assert!(timeout(PATIENCE, half_made.read_u8()).await.unwrap().is_err());
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn a_stranger_cannot_serve() {
    let token = JoinToken::generate(&root().digest()).unwrap();
    let server = start(&Credentials::joining(&token).unwrap()).await;

    assert!(raw(&root(), None, server.addr).await.is_err());
    server.stop().await;
}

//! Connections that never become any.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use swarm_crypto::ca::NodeKey;
use swarm_proto::v1;
use swarm_proto::v1::ca_client::CaClient;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Status;

use super::{Many, Seat, facts};

const HALF_OPEN: usize = 5000;
/// How long an honest joiner may take beside them. A handshake alone has as long.
const BOUND: Duration = Duration::from_secs(5);
/// How a handshake begins.
const HELLO: [u8; 6] = [0x16, 3, 1, 2, 0, 1];

/// Both ends of the connections are in this process.
fn make_room() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let wanted = 3 * HALF_OPEN as u64;
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted)).unwrap();
    }
}

/// Connects and says nothing, or the beginning of something.
async fn half_open(addr: &str, number: usize) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    if number.is_multiple_of(2) {
        // It may be closed already: newer ones took its place.
        let _ = stream.write_all(&HELLO).await;
    }
    stream
}

async fn join(many: &Many, seat: &Seat) -> Result<(), Status> {
    let key = NodeKey::generate().unwrap();
    let request = v1::IssueNodeCertificateRequest {
        token: Some((&many.authority.worker_token).into()),
        csr: key.csr().unwrap(),
        availability: v1::Availability::Active.into(),
    };
    CaClient::new(seat.to(&many.stranger())).issue_node_certificate(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_gets_in_beside_five_thousand_half_open_connections() {
    make_room();
    let many = Many::of(1).await;
    let seat = many.leader().await;
    let (addr, before) = (seat.addr(), facts(seat));

    let mut held = Vec::with_capacity(HALF_OPEN);
    for number in 0..HALF_OPEN {
        held.push(half_open(&addr, number).await);
    }
    assert_eq!(facts(seat), before);
    let joined = timeout(BOUND, join(&many, seat)).await;

    assert!(matches!(joined, Ok(Ok(()))), "{joined:?}");
    assert_eq!(facts(seat).nodes.len(), before.nodes.len() + 1);
    drop(held);
    many.end().await;
}

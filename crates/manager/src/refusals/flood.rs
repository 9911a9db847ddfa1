//! Connections that never become any.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use swarm_crypto::ca::NodeKey;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Code;

use super::{Many, facts, join};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_gets_in_beside_five_thousand_half_open_connections() {
    make_room();
    let many = Many::of(1).await;
    let seat = many.leader().await;
    let (addr, before) = (seat.addr(), facts(seat));
    let key = NodeKey::generate().unwrap();

    let mut held = Vec::with_capacity(HALF_OPEN);
    for number in 0..HALF_OPEN {
        held.push(half_open(&addr, number).await);
    }
    assert_eq!(facts(seat), before);
    let joined = timeout(BOUND, join(&many, seat, &key)).await;

    assert_eq!(joined.ok(), Some(Code::Ok));
    assert_eq!(facts(seat).nodes.len(), before.nodes.len() + 1);
    drop(held);
    many.end().await;
}

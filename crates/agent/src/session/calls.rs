//! The connection by which the session's manager calls this node, which opens no port.
//!
//! Bytes only: what is served on it is the node's business. It is opened again when it ends, as
//! long as the session lasts; without it the session goes on.

use std::convert::Infallible;
use std::time::Duration;

use swarm_proto::v1;
use swarm_proto::v1::relay_client::RelayClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use tracing::debug;
use v1::relay_up::Part;

use crate::backoff::Backoff;

/// Where connections of managers go, to be served.
pub type Calls = mpsc::Sender<DuplexStream>;

/// How long a manager may take to take the connection.
const OPEN: Duration = Duration::from_secs(5);
/// Bytes of one direction that wait.
const WINDOW: usize = 64 << 10;
/// Bytes of one message.
const PIECE: usize = 16 << 10;
/// Messages that wait for the manager.
const IN_FLIGHT: usize = 4;

/// Keeps a connection open.
pub(crate) async fn take(
    client: RelayClient<Channel>,
    session_id: Vec<u8>,
    epoch: u64,
    calls: Calls,
) -> Infallible {
    let mut backoff = Backoff::default();
    loop {
        let open = v1::RelayOpen { session_id: session_id.clone(), epoch };
        match once(client.clone(), open, &calls).await {
            Ok(()) => backoff.reset(),
            Err(status) => debug!(%status, "the manager takes no connection"),
        }
        sleep(backoff.next()).await;
    }
}

async fn once(
    mut client: RelayClient<Channel>,
    open: v1::RelayOpen,
    calls: &Calls,
) -> Result<(), Status> {
    let (up, receiver) = mpsc::channel(IN_FLIGHT);
    let late = |_| Status::deadline_exceeded("no answer in time");
    // The channel is empty, so there is room.
    let _ = up.try_send(v1::RelayUp { part: Some(Part::Open(open)) });
    let down = timeout(OPEN, client.serve(ReceiverStream::new(receiver))).await;
    let down = down.map_err(late)??.into_inner();
    let (ours, theirs) = duplex(WINDOW);
    let taken = calls.send_timeout(theirs, OPEN).await;
    taken.map_err(|_| Status::unavailable("this node serves no calls"))?;
    carry(ours, down, up).await;
    Ok(())
}

/// Passes bytes both ways until either ends.
async fn carry(
    io: DuplexStream,
    mut down: Streaming<v1::RelayDown>,
    up: mpsc::Sender<v1::RelayUp>,
) {
    let (mut reader, mut writer) = split(io);
    let downward = async {
        while let Ok(Some(message)) = down.message().await {
            if writer.write_all(&message.data).await.is_err() {
                return;
            }
        }
    };
    let upward = async {
        let mut piece = vec![0; PIECE];
        while let Ok(read @ 1..) = reader.read(&mut piece).await {
            let part = Some(Part::Data(piece[..read].to_vec()));
            if up.send(v1::RelayUp { part }).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = downward => {}
        () = upward => {}
    }
}

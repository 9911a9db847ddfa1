//! Accepts connections and makes their handshakes, as a stream for tonic.
//!
//! Handshakes run side by side inside the stream itself: nothing is spawned, so dropping the
//! stream stops all of them. Their number is bounded and each has a deadline; at the bound a
//! newcomer takes the place of the oldest: whoever only holds a place loses it, and whoever speaks
//! is done before his turn comes. Connections of strangers are bounded for as
//! long as they live; how many nodes connect is bounded by the cluster.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{AbortHandle, abortable};
use futures::stream::{FuturesUnordered, Stream, StreamExt, unfold};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::verify::plain;
use super::{Connection, Credentials, HANDSHAKE_DEADLINE, STRANGERS};

/// Handshakes in progress at once.
const HANDSHAKES: usize = 256;
/// Pause after the listener failed, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until `shutdown` is cancelled or the stream is dropped.
///
/// A connection that fails its handshake is logged and forgotten; the stream itself never fails.
/// Every new connection is shown the credentials of that moment. Hand the same token to
/// `serve_with_incoming_shutdown`: without it tonic lets live connections outlast the stream.
pub fn serve(
    listener: TcpListener,
    credentials: Credentials,
    shutdown: CancellationToken,
) -> impl Stream<Item = Result<Connection, Infallible>> + Send {
    let incoming = Incoming {
        listener,
        credentials,
        handshakes: FuturesUnordered::new(),
        places: BTreeMap::new(),
        accepted: 0,
        strangers: Arc::new(Semaphore::new(STRANGERS)),
    };
    unfold((incoming, shutdown), async |(mut incoming, shutdown)| {
        // The end drops the listener as well, so that newcomers are turned away at once.
        let connection = shutdown.run_until_cancelled(incoming.next()).await?;
        Some((Ok(connection), (incoming, shutdown)))
    })
}

/// Ends with its number, and the connection if there is one.
type Handshake = Pin<Box<dyn Future<Output = (u64, Option<Connection>)> + Send>>;

struct Incoming {
    listener: TcpListener,
    credentials: Credentials,
    handshakes: FuturesUnordered<Handshake>,
    /// Those in progress, by their numbers: the oldest first.
    places: BTreeMap<u64, AbortHandle>,
    accepted: u64,
    strangers: Arc<Semaphore>,
}

impl Incoming {
    /// The next connection whose handshake is done.
    async fn next(&mut self) -> Connection {
        loop {
            tokio::select! {
                Some((number, finished)) = self.handshakes.next() => {
                    self.places.remove(&number);
                    if let Some(connection) = finished {
                        return connection;
                    }
                }
                (stream, addr) = accept(&self.listener) => self.begin(stream, addr),
            }
        }
    }

    fn begin(&mut self, stream: TcpStream, addr: SocketAddr) {
        if self.places.len() >= HANDSHAKES
            && let Some((_, oldest)) = self.places.pop_first()
        {
            oldest.abort();
        }
        let number = self.accepted;
        self.accepted += 1;
        let made = handshake(stream, addr, self.credentials.clone(), self.strangers.clone());
        let (made, place) = abortable(attend(addr, made));
        self.places.insert(number, place);
        self.handshakes.push(Box::pin(async move { (number, made.await.ok().flatten()) }));
    }
}

/// Safe to drop at any point: at worst a pause is cut short.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn attend(
    addr: SocketAddr,
    handshake: impl Future<Output = io::Result<Connection>>,
) -> Option<Connection> {
    let made = timeout(HANDSHAKE_DEADLINE, handshake).await;
    match made.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(connection) => Some(connection),
        Err(error) => {
            tracing::debug!(peer = %addr, %error, "a connection failed its handshake");
            None
        }
    }
}

async fn handshake(
    stream: TcpStream,
    addr: SocketAddr,
    credentials: Credentials,
    strangers: Arc<Semaphore>,
) -> io::Result<Connection> {
    let config = credentials.server();
    let config = config.ok_or_else(|| io::Error::other("no certificate to show"))?;
    stream.set_nodelay(true)?;
    let stream = TlsAcceptor::from(config).accept(stream).await.map_err(plain)?;
    Connection::new(stream, addr, &strangers)
}

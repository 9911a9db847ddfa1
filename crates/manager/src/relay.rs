//! Reaches the containers of nodes, which open no port.
//!
//! A node with a session here keeps a connection open over which it serves `Tasks`: [`Relay`]
//! takes it, [`Forward`] lends it to other managers, [`reach`] finds the way to any node in one
//! hop at most. What a call means is the node's business: only bytes and calls pass here, and
//! HTTP/2 does what they need: cancelling, bounds, and an end when the connection ends.

mod ending;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use swarm_crypto::tls::{self, Credentials};
use swarm_proto::{field, v1};
use swarm_types::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::server::NamedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};
use tower::{Service, ServiceExt};
use v1::relay_up::Part;

use crate::Core;
use crate::access::{self, Access, Caller};
use crate::dispatcher::check_epoch;
use crate::dispatcher::hub::MOST_CONNECTIONS;
use ending::Ending;

/// Metadata of a call of `Tasks` between managers: the node it is for.
pub const FOR_NODE: &str = "swarm-node";

/// How long a node may take to say whose connection it is.
const OPEN: Duration = Duration::from_secs(5);
/// How long a node may take to begin an answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How often a node in a call is asked whether it is there, and how long it may take to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Bytes of one call that a node may send and its caller does not take.
pub const CALL_WINDOW: u32 = 128 << 10;
/// Calls of a node at once; it refuses more. A connection takes what all of them may send, so that
/// none whose caller is slow holds up another.
pub const MOST_CALLS: u32 = 320;
/// Bytes of one direction that wait.
const WINDOW: usize = 64 << 10;
/// Bytes of one message.
const PIECE: usize = 16 << 10;
/// Messages that wait for the node.
const IN_FLIGHT: usize = 4;

/// Takes nodes' connections.
#[derive(Debug)]
pub(crate) struct Relay {
    core: Arc<Core>,
}

impl Relay {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

#[tonic::async_trait]
impl v1::relay_server::Relay for Relay {
    type ServeStream = ReceiverStream<Result<v1::RelayDown, Status>>;

    async fn serve(
        &self,
        request: Request<Streaming<v1::RelayUp>>,
    ) -> Result<Response<Self::ServeStream>, Status> {
        let node = access::node(&request, &self.core.raft.snapshot())?;
        let mut up = request.into_inner();
        let first = timeout(OPEN, up.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no open came"))??;
        let Some(Part::Open(open)) = first.and_then(|first| first.part) else {
            return Err(Status::invalid_argument("a connection begins with open"));
        };
        check_epoch(&self.core.raft.snapshot(), open.epoch)?;
        let live = self.core.hub.session(&node);
        let live = live.filter(|live| field::put_id(live.id) == open.session_id);
        let live = live.ok_or_else(|| Status::aborted("the session is not carried here"))?;
        let permit = live.connect().ok_or_else(|| {
            Status::resource_exhausted(format!(
                "this session has {MOST_CONNECTIONS} connections already: end one of them first"
            ))
        })?;
        let (ours, theirs) = duplex(WINDOW);
        live.reached_by(channel(ours));
        let (sender, down) = mpsc::channel(IN_FLIGHT);
        self.core.tracker.spawn(async move {
            let _permit = permit;
            live.closed.run_until_cancelled(carry(theirs, up, sender)).await;
        });
        Ok(Response::new(ReceiverStream::new(down)))
    }
}

/// Passes bytes both ways until either ends.
async fn carry(
    io: DuplexStream,
    mut up: Streaming<v1::RelayUp>,
    down: mpsc::Sender<Result<v1::RelayDown, Status>>,
) {
    let (mut reader, mut writer) = split(io);
    let upward = async {
        while let Ok(Some(v1::RelayUp { part: Some(Part::Data(data)) })) = up.message().await {
            if writer.write_all(&data).await.is_err() {
                return;
            }
        }
    };
    let downward = async {
        let mut piece = vec![0; PIECE];
        while let Ok(read @ 1..) = reader.read(&mut piece).await {
            let data = piece[..read].to_vec();
            if down.send(Ok(v1::RelayDown { data })).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = upward => {}
        () = downward => {}
        () = down.closed() => {}
    }
}

/// Calls over one connection, which is not made again.
fn channel(io: DuplexStream) -> Channel {
    let once = Arc::new(Mutex::new(Some(io)));
    let connect = tower::service_fn(move |_: http::Uri| {
        let io = once.lock().unwrap_or_else(PoisonError::into_inner).take();
        let gone = || io::Error::new(io::ErrorKind::NotConnected, "the node's connection ended");
        std::future::ready(io.map(TokioIo::new).ok_or_else(gone))
    });
    Endpoint::from_static("http://node")
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .initial_stream_window_size(CALL_WINDOW)
        .initial_connection_window_size(CALL_WINDOW * MOST_CALLS)
        .connect_with_connector_lazy(connect)
}

/// The way to a node: its connection here, or the manager that carries its session.
pub(crate) fn reach(
    core: &Core,
    credentials: &Credentials,
    node: NodeId,
) -> Result<Channel, Status> {
    if let Ok(channel) = here(core, node) {
        return Ok(channel);
    }
    let snapshot = core.raft.snapshot();
    let session = snapshot.node(&node).and_then(|node| node.session.as_ref());
    let manager = session.map(|session| session.manager).filter(|it| *it != core.node);
    let addr = manager.and_then(|manager| core.address_of(manager)).ok_or_else(|| away(node))?;
    tls::channel(&addr, credentials).map_err(|error| Status::unavailable(error.to_string()))
}

fn here(core: &Core, node: NodeId) -> Result<Channel, Status> {
    core.hub.session(&node).and_then(|live| live.reached()).ok_or_else(|| away(node))
}

fn away(node: NodeId) -> Status {
    Status::unavailable(format!("node {node} has no connection to a manager"))
}

/// `Tasks` of the nodes with a session here, for managers.
#[derive(Clone, Debug)]
pub(crate) struct Forward {
    core: Arc<Core>,
}

impl Forward {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    async fn forward(self, request: http::Request<Body>) -> Result<http::Response<Body>, Status> {
        let (caller, node) = self.admit(&request)?;
        let (mut parts, body) = request.into_parts();
        // They are of the connection it came by.
        parts.extensions.clear();
        let mut channel = here(&self.core, node)?;
        // Not only to what is answered: a caller that hears nothing more could still ask.
        let until = || access::dismissed(self.core.clone(), caller);
        let asked = http::Request::from_parts(parts, Ending::request(body, until()));
        let call = async { channel.ready().await?.call(asked).await };
        let answer = timeout(ANSWER, call).await.map_err(|_| silent(node))?;
        let answer =
            answer.map_err(|error| Status::unavailable(format!("node {node}: {error}")))?;
        Ok(answer.map(|body| Ending::response(body, until())))
    }

    /// Lets in managers, and says which node they ask for.
    fn admit(&self, request: &http::Request<Body>) -> Result<(Caller, NodeId), Status> {
        let mut caller = Request::new(());
        *caller.extensions_mut() = request.extensions().clone();
        let caller = access::user(Access::Certificate, &caller, &self.core.raft.snapshot())?;
        let named = request.headers().get(FOR_NODE).and_then(|it| it.to_str().ok());
        let node = named.and_then(|it| it.parse().ok());
        let node =
            node.ok_or_else(|| Status::invalid_argument(format!("{FOR_NODE} names no node")))?;
        Ok((caller, node))
    }
}

fn silent(node: NodeId) -> Status {
    let waited = ANSWER.as_secs();
    Status::deadline_exceeded(format!("node {node} does not answer within {waited} s"))
}

impl NamedService for Forward {
    const NAME: &'static str = v1::tasks_server::SERVICE_NAME;
}

impl Service<http::Request<Body>> for Forward {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let forward = self.clone().forward(request);
        Box::pin(async { Ok(forward.await.unwrap_or_else(Status::into_http)) })
    }
}

#[cfg(test)]
mod tests;

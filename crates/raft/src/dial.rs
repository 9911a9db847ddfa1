//! The way to the other managers.
//!
//! What is sent is a frame, what comes back is a frame or the reason why none does; the reason
//! says whether anything can have arrived. Deadlines are the caller's. A channel to an address
//! is kept and connects by itself.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use swarm_crypto::tls::InvalidAddress;
use swarm_proto::v1::RaftFrame;
use swarm_proto::v1::raft_client::RaftClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, ConnectError, Status};

/// Bytes a frame may have: the largest entry, and what surrounds it.
pub(crate) const FRAME_BYTES: usize = 8 << 20;
/// Channels that are kept; more than there are managers.
const CHANNELS: usize = 64;

/// Why no answer came.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Lost {
    /// Nothing was sent.
    #[error("not reached: {0}")]
    Unreached(String),
    /// It was refused before anything was done.
    #[error("refused: {0}")]
    Refused(String),
    /// Whether it arrived is not known.
    #[error("no answer: {0}")]
    Silent(String),
}

/// Carries frames to addresses.
pub(crate) trait Wire: Send + Sync + 'static {
    /// One frame there, one back.
    fn call<'a>(
        &'a self,
        addr: &'a str,
        frame: RaftFrame,
    ) -> BoxFuture<'a, Result<RaftFrame, Lost>>;

    /// Many frames there, one back.
    fn install<'a>(
        &'a self,
        addr: &'a str,
        frames: mpsc::Receiver<RaftFrame>,
    ) -> BoxFuture<'a, Result<RaftFrame, Lost>>;
}

/// How a manager reaches the others; cheap to clone.
#[derive(Clone)]
pub struct Dial(pub(crate) Arc<dyn Wire>);

impl Dial {
    /// Every other manager is unreachable. For a cluster that has none.
    #[must_use]
    pub fn nowhere() -> Self {
        Self(Arc::new(Nowhere))
    }

    /// Reaches them over the channels `connect` makes for an address `host:port`. A channel has
    /// to connect on first use, and again whenever it was lost.
    #[must_use]
    pub fn new(
        connect: impl Fn(&str) -> Result<Channel, InvalidAddress> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Lines { connect: Box::new(connect), channels: Mutex::default() }))
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dial")
    }
}

struct Nowhere;

impl Wire for Nowhere {
    fn call<'a>(&'a self, _: &'a str, _: RaftFrame) -> BoxFuture<'a, Result<RaftFrame, Lost>> {
        Box::pin(async { Err(nowhere()) })
    }

    fn install<'a>(
        &'a self,
        _: &'a str,
        _: mpsc::Receiver<RaftFrame>,
    ) -> BoxFuture<'a, Result<RaftFrame, Lost>> {
        Box::pin(async { Err(nowhere()) })
    }
}

fn nowhere() -> Lost {
    Lost::Unreached("this manager was given no way to others".into())
}

type Connect = Box<dyn Fn(&str) -> Result<Channel, InvalidAddress> + Send + Sync>;

/// What a channel is for. A snapshot on its way must not hold up a heartbeat.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Use {
    Calls,
    Snapshots,
}

struct Lines {
    connect: Connect,
    channels: Mutex<HashMap<(String, Use), Channel>>,
}

impl Lines {
    fn channels(&self) -> MutexGuard<'_, HashMap<(String, Use), Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an answer without a frame means. A certificate that has expired is not the one shown
    /// now: the next channel shows that.
    fn lost(&self, addr: &str, status: Status) -> Lost {
        if status.code() == Code::Unauthenticated {
            self.channels().retain(|(known, _), _| known != addr);
        }
        lost(status)
    }

    fn client(&self, addr: &str, used: Use) -> Result<RaftClient<Channel>, Lost> {
        let mut channels = self.channels();
        let key = (addr.to_owned(), used);
        if !channels.contains_key(&key) && channels.len() >= CHANNELS {
            channels.clear();
        }
        let channel = match channels.get(&key) {
            Some(channel) => channel.clone(),
            None => {
                let made = (self.connect)(addr);
                let made = made.map_err(|error| Lost::Unreached(error.to_string()))?;
                channels.entry(key).or_insert(made).clone()
            }
        };
        let client = RaftClient::new(channel).max_decoding_message_size(FRAME_BYTES);
        Ok(client.max_encoding_message_size(FRAME_BYTES))
    }
}

impl Wire for Lines {
    fn call<'a>(
        &'a self,
        addr: &'a str,
        frame: RaftFrame,
    ) -> BoxFuture<'a, Result<RaftFrame, Lost>> {
        Box::pin(async move {
            let answered = self.client(addr, Use::Calls)?.call(frame).await;
            answered.map(tonic::Response::into_inner).map_err(|status| self.lost(addr, status))
        })
    }

    fn install<'a>(
        &'a self,
        addr: &'a str,
        frames: mpsc::Receiver<RaftFrame>,
    ) -> BoxFuture<'a, Result<RaftFrame, Lost>> {
        Box::pin(async move {
            let mut client = self.client(addr, Use::Snapshots)?;
            let answered = client.install(ReceiverStream::new(frames)).await;
            answered.map(tonic::Response::into_inner).map_err(|status| self.lost(addr, status))
        })
    }
}

/// What a status says about whether the frame was looked at.
pub(crate) fn lost(status: Status) -> Lost {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<ConnectError>() {
            return Lost::Unreached(error.to_string());
        }
        source = error.source();
    }
    let text = status.message().to_owned();
    match status.code() {
        Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::InvalidArgument
        | Code::ResourceExhausted
        | Code::Unauthenticated
        | Code::Unimplemented => Lost::Refused(text),
        _ => Lost::Silent(text),
    }
}

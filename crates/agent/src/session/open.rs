//! Opens a session.

use std::error::Error;
use std::time::Duration;

use swarm_proto::v1;
use swarm_proto::v1::dispatcher_client::DispatcherClient;
use swarm_proto::v1::relay_client::RelayClient;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use super::orders::Obeyed;

/// Time a manager has to take this node, which takes a commit by the leader.
const OPEN_DEADLINE: Duration = Duration::from_secs(3);
/// Largest message of a manager; a COMPLETE assignment of thousands of tasks is one message.
const MESSAGE_LIMIT: usize = 64 << 20;
/// Bounds of the heartbeat period a manager may ask for.
const PERIODS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(60));

/// Trailer of a refusal: the managers removed this node, and it never comes back.
const REMOVED: &str = "swarm-removed";

/// Why there is no session (any more).
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    /// The manager is not fit to serve; it is to be left alone for now.
    #[error("the manager asks to go to another one")]
    Moved,
    /// The manager says nothing, as when its host is lost: whoever asks again waits in vain.
    #[error("{what}: no answer in time")]
    Silent {
        /// What was under way.
        what: &'static str,
    },
    /// The manager cannot be reached, or closed the session.
    #[error("{what}: {why}")]
    Lost {
        /// What was under way.
        what: &'static str,
        /// What the manager said, or did not say.
        why: String,
    },
    /// The node was removed from the cluster, for good.
    #[error("{why}")]
    Removed {
        /// What the manager said.
        why: String,
    },
    /// What the node says of itself has changed, and a session is opened with that.
    #[error("the node's description has changed")]
    Redescribed,
    /// The node cannot keep its orders.
    #[error("the orders cannot be kept")]
    Unkept,
    /// The manager gave orders that this node must not obey.
    #[error(transparent)]
    Disobeyed(#[from] super::orders::Disobeyed),
}

impl Ended {
    pub(crate) fn refused(what: &'static str) -> impl Fn(Status) -> Self {
        move |status| match status.metadata().contains_key(REMOVED) {
            true => Self::Removed { why: status.message().to_owned() },
            false => Self::Lost { what, why: format!("{} ({})", status.message(), status.code()) },
        }
    }

    pub(crate) fn unconnected(mut error: &(dyn Error + 'static)) -> Self {
        // What lies around it says only that there is no connection.
        while let Some(cause) = error.source() {
            error = cause;
        }
        Self::Lost { what: "connect", why: error.to_string() }
    }

    pub(crate) fn closed(what: &'static str) -> Self {
        Self::Lost { what, why: "closed by the manager".to_owned() }
    }
}

/// True when the same report may be accepted later in the same session.
pub(crate) fn is_passing(status: &Status) -> bool {
    let passing = [Code::Unavailable, Code::DeadlineExceeded, Code::ResourceExhausted];
    passing.contains(&status.code())
}

/// The period as it is used.
pub(crate) fn period(millis: u32, before: Duration) -> Duration {
    match millis {
        0 => before,
        millis => Duration::from_millis(millis.into()).clamp(PERIODS.0, PERIODS.1),
    }
}

/// A session the cluster knows of.
pub(crate) struct Open {
    pub(crate) client: DispatcherClient<Channel>,
    pub(crate) relay: RelayClient<Channel>,
    pub(crate) id: Vec<u8>,
    pub(crate) epoch: u64,
    pub(crate) period: Duration,
    /// What the session began with.
    pub(crate) first: v1::SessionMessage,
    /// What follows.
    pub(crate) messages: Streaming<v1::SessionMessage>,
}

/// Opens a session over `channel`. Returns once the cluster knows of it.
pub(crate) async fn open(
    channel: Channel,
    description: v1::NodeDescription,
    boot_id: String,
    addr: &str,
    obeyed: Obeyed,
) -> Result<Open, Ended> {
    let what = "open a session";
    let relay = RelayClient::new(channel.clone());
    let mut client = DispatcherClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT);
    let request = v1::SessionRequest {
        description: Some(description),
        boot_id,
        epoch: obeyed.epoch,
        obeyed_index: obeyed.index,
        addr: addr.to_owned(),
    };
    let opening = async {
        let mut messages = client.session(request).await?.into_inner();
        Ok((messages.message().await?, messages))
    };
    let opened = timeout(OPEN_DEADLINE, opening).await.map_err(|_| Ended::Silent { what })?;
    let (first, messages) = opened.map_err(Ended::refused(what))?;
    let first = first.ok_or_else(|| Ended::closed(what))?;
    let (id, epoch) = (first.session_id.clone(), first.epoch);
    let period = period(first.heartbeat_period_ms, swarm_types::defaults::HEARTBEAT_PERIOD);
    Ok(Open { client, relay, id, epoch, period, first, messages })
}

//! This node's session with a manager, and the search for the next one.
//!
//! One session at a time. It has four sides that run side by side, in [`link`]: heartbeats, the
//! session's own stream, assignments, reports. The first that ends, ends them all; the worker
//! goes on with what it has, and the next manager is asked.

mod link;
mod open;
mod orders;

use std::convert::Infallible;
use std::time::Duration;

use swarm_proto::v1;
use swarm_types::object::node::NodeDescription;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tracing::{info, warn};

use self::link::Link;
use self::open::{Ended, Open};
pub(crate) use self::orders::Obeyed;
use crate::AgentState;
use crate::backoff::Backoff;
use crate::executor::{Cause, Executor};
use crate::managers::Managers;
use crate::reporter::Reporter;
use crate::worker::Worker;

/// Makes a channel to a manager, `HOST:PORT`.
pub(crate) type Dial = Box<dyn Fn(&str) -> Result<Channel, Cause> + Send + Sync>;
/// Describes this node as it is now.
pub(crate) type Describe = Box<dyn Fn() -> NodeDescription + Send + Sync>;

/// Everything a node needs to have sessions.
pub(crate) struct Sessions<E> {
    pub(crate) dial: Dial,
    pub(crate) describe: Describe,
    pub(crate) boot_id: String,
    pub(crate) managers: Managers,
    pub(crate) worker: Worker<E>,
    pub(crate) reporter: Reporter,
    pub(crate) state: watch::Sender<AgentState>,
    pub(crate) obeyed: Obeyed,
    pub(crate) backoff: Backoff,
}

impl<E: Executor> Sessions<E> {
    /// Has sessions until `stop`, then ends the runners; containers stay as they are.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            never = self.forever() => match never {},
        }
        self.worker.stop().await;
        self.state.send_replace(AgentState::Stopped);
    }

    async fn forever(&mut self) -> Infallible {
        loop {
            let Some(manager) = self.managers.next() else {
                sleep(self.backoff.next()).await;
                continue;
            };
            let began = Instant::now();
            let (period, ended) = self.session(&manager).await;
            warn!(manager, why = %ended, "no session");
            let lasted = period.is_some_and(|period| began.elapsed() >= period);
            if lasted {
                self.backoff.reset();
                self.managers.served(&manager);
            }
            if matches!(ended, Ended::Moved) {
                self.managers.avoid(&manager);
            }
            self.state.send_replace(AgentState::Searching { why: format!("{manager}: {ended}") });
        }
    }

    /// One session with `manager`; its heartbeat period if there was one, and why it ended.
    async fn session(&mut self, manager: &str) -> (Option<Duration>, Ended) {
        let open = match self.open(manager).await {
            Ok(open) => open,
            Err(ended) => return (None, ended),
        };
        info!(manager, session = %String::from_utf8_lossy(&open.id), "session");
        let Open { client, id, epoch, period, first, messages } = open;
        let link = Link { client, id, epoch };
        let (managers, state) = (&mut self.managers, &self.state);
        let mut tell = |message| learn(manager, message, managers, state);
        tell(first);
        self.reporter.tell_all_again();
        let ended = tokio::select! {
            ended = link.clone().heartbeats(period) => ended,
            ended = link::follow(messages, tell) => ended,
            ended = link.clone().report(&self.reporter) => ended,
            ended = link.assignments(&mut self.worker, &mut self.obeyed) => ended,
        };
        (Some(period), ended)
    }

    async fn open(&self, manager: &str) -> Result<Open, Ended> {
        let unusable = |error: Cause| Ended::Lost { what: "connect", why: error.to_string() };
        let channel = (self.dial)(manager).map_err(unusable)?;
        let description = v1::NodeDescription::from(&(self.describe)());
        open::open(channel, description, self.boot_id.clone(), self.obeyed).await
    }
}

/// Takes over what a manager says of the node and of the managers.
fn learn(
    manager: &str,
    mut message: v1::SessionMessage,
    managers: &mut Managers,
    state: &watch::Sender<AgentState>,
) {
    let node = link::node(&mut message).map(Box::new);
    let known = message.managers.into_iter().map(|manager| manager.addr);
    managers.replace(known.filter(|addr| !addr.is_empty()).collect());
    state.send_replace(AgentState::Connected { manager: manager.to_owned(), node });
}

#[cfg(test)]
mod tests;

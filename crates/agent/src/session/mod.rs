//! This node's session with a manager, and the search for the next one.
//!
//! One session at a time. It has four sides that run side by side, in [`link`]: heartbeats, the
//! session's own stream, assignments, reports. The first that ends, ends them all; the worker
//! goes on with what it has, and the next manager is asked.

pub(crate) mod calls;
mod link;
mod open;
pub(crate) mod orders;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use rand::seq::SliceRandom;
use swarm_proto::{field, v1};
use swarm_types::object::node::NodeDescription;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Channel;
use tracing::{info, warn};

use self::calls::Calls;
use self::link::Link;
use self::open::{Ended, Open};
pub(crate) use self::orders::Obeyed;
use crate::AgentState;
use crate::backoff::Backoff;
use crate::executor::{Cause, Executor};
use crate::managers::Managers;
use crate::reporter::Reporter;
use crate::store::{Change, Store};
use crate::worker::Worker;

/// How often the node looks whether what it says of itself is still true.
const DESCRIBE: Duration = Duration::from_secs(10);

/// How long a manager is waited for before the next is dialed as well.
const PATIENCE: Duration = Duration::from_millis(500);
/// Time a manager has to take a connection.
const DIAL_DEADLINE: Duration = Duration::from_secs(3);

/// Connects to a manager, `HOST:PORT`.
pub(crate) type Dial =
    Box<dyn Fn(&str) -> BoxFuture<'static, Result<Channel, Cause>> + Send + Sync>;
/// Describes this node as it is now.
pub(crate) type Describe = Box<dyn Fn() -> NodeDescription + Send + Sync>;

/// How an agent ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// Containers go on.
    Stop,
    /// Nothing of the cluster stays.
    Leave,
}

/// Everything a node needs to have sessions.
pub(crate) struct Sessions<E> {
    pub(crate) dial: Dial,
    pub(crate) describe: Describe,
    pub(crate) boot_id: String,
    /// Where others reach the node; empty leaves it to the managers.
    pub(crate) addr: String,
    pub(crate) managers: Managers,
    pub(crate) worker: Worker<E>,
    pub(crate) store: Store,
    pub(crate) reporter: Reporter,
    pub(crate) state: watch::Sender<AgentState>,
    pub(crate) calls: Calls,
    pub(crate) obeyed: Obeyed,
    pub(crate) backoff: Backoff,
}

impl<E: Executor> Sessions<E> {
    /// Has sessions until it is told how to end, or until nothing can be kept any more; then ends
    /// the runners. Containers stay as they are, unless the node leaves.
    pub(crate) async fn run(mut self, end: watch::Receiver<Option<End>>) {
        let store = self.store.clone();
        let last = tokio::select! {
            how = ended(end) => {
                if how == End::Leave {
                    self.worker.clear(self.obeyed).await;
                }
                AgentState::Stopped
            }
            why = store.failed() => AgentState::Failed { why },
            never = self.forever() => match never {},
        };
        self.worker.stop().await;
        self.state.send_replace(last);
    }

    async fn forever(&mut self) -> Infallible {
        let mut told = Told::default();
        loop {
            let Some((manager, channel)) = self.reached(&mut told).await else {
                sleep(self.backoff.next()).await;
                continue;
            };
            let began = Instant::now();
            let (period, ended) = self.session(&manager, channel).await;
            if let Ended::Removed { why } = ended {
                match self.removed(why).await {}
            }
            if matches!(ended, Ended::Redescribed) {
                info!(manager, why = %ended, "opens a new session");
                self.managers.served(&manager);
                continue;
            }
            self.unserved(&manager, &ended, &mut told);
            let lasted = period.is_some_and(|period| began.elapsed() >= period);
            if lasted {
                self.backoff.reset();
                told = Told::default();
                self.managers.served(&manager);
            }
            // Of a silent one another answer would be waited for until this node counts as down.
            let fell_silent = period.is_some() && matches!(ended, Ended::Silent { .. });
            if fell_silent || matches!(ended, Ended::Moved) {
                self.managers.avoid(&manager);
            }
        }
    }

    /// The next manager of this round that takes a connection; `None` when no more do. One that is
    /// silent does not keep those after it waiting: with several lost at once, this node would
    /// count as down before it came to one that is there.
    async fn reached(&mut self, told: &mut Told) -> Option<(String, Channel)> {
        let (mut dialed, mut waited_for) = (FuturesUnordered::new(), Vec::new());
        loop {
            if dialed.is_empty() || self.managers.has_next() {
                let manager = self.managers.next()?;
                let dial = timeout(DIAL_DEADLINE, (self.dial)(&manager));
                waited_for.push(manager.clone());
                dialed.push(async move { (manager, dial.await) });
            }
            let patience = if self.managers.has_next() { PATIENCE } else { DIAL_DEADLINE };
            let Ok(Some((manager, dialed))) = timeout(patience, dialed.next()).await else {
                continue;
            };
            waited_for.retain(|waited_for| *waited_for != manager);
            let ended = match dialed {
                Ok(Ok(channel)) => {
                    // This one may not be fit to serve, and a slower one be.
                    waited_for.into_iter().rev().for_each(|slow| self.managers.again(slow));
                    return Some((manager, channel));
                }
                Ok(Err(error)) => Ended::unconnected(&*error),
                Err(_) => Ended::Silent { what: "connect" },
            };
            self.unserved(&manager, &ended, told);
        }
    }

    fn unserved(&self, manager: &str, ended: &Ended, told: &mut Told) {
        if let Some(why) = told.differs(manager, ended) {
            warn!(manager, why, "no session");
        }
        self.state.send_replace(AgentState::Searching {
            why: format!("{manager}: {ended}"),
            managers: self.managers.known(),
        });
    }

    /// Ends the tasks of a node that is no more: others have taken their places.
    async fn removed(&mut self, why: String) -> Infallible {
        warn!(why, "this node was removed from its cluster: its tasks end");
        self.state.send_replace(AgentState::Removed { why });
        self.worker.clear(self.obeyed).await;
        std::future::pending().await
    }

    /// One session with `manager`; its heartbeat period if there was one, and why it ended.
    async fn session(&mut self, manager: &str, to: Channel) -> (Option<Duration>, Ended) {
        let description = (self.describe)();
        let open = match self.open(to, &description).await {
            Ok(open) => open,
            Err(ended) => return (None, ended),
        };
        info!(manager, session = %String::from_utf8_lossy(&open.id), "session");
        let Open { client, relay, id, epoch, period, first, messages } = open;
        let calls = calls::take(relay, id.clone(), epoch, self.calls.clone());
        let link = Link { client, id, epoch };
        let (managers, state, store) = (&mut self.managers, &self.state, &self.store);
        let mut tell = |message| learn(manager, message, managers, (state, store));
        tell(first);
        self.reporter.tell_all_again();
        let ended = tokio::select! {
            ended = link.clone().heartbeats(period) => ended,
            ended = link::follow(messages, tell) => ended,
            ended = link.clone().report(&self.reporter) => ended,
            ended = link.assignments(&mut self.worker, &mut self.obeyed) => ended,
            ended = redescribed(&self.describe, &description) => ended,
            never = calls => match never {},
        };
        (Some(period), ended)
    }

    async fn open(&self, to: Channel, description: &NodeDescription) -> Result<Open, Ended> {
        let description = v1::NodeDescription::from(description);
        open::open(to, description, self.boot_id.clone(), &self.addr, self.obeyed).await
    }
}

/// How the agent is to end; one that nobody holds any more just stops.
async fn ended(mut end: watch::Receiver<Option<End>>) -> End {
    match end.wait_for(Option::is_some).await {
        Ok(how) => how.unwrap_or(End::Stop),
        Err(_) => End::Stop,
    }
}

/// Resolves when the node would describe itself otherwise than it did.
async fn redescribed(describe: &Describe, told: &NodeDescription) -> Ended {
    loop {
        sleep(DESCRIBE).await;
        if describe() != *told {
            return Ended::Redescribed;
        }
    }
}

/// Why each manager did not serve last; a round of tries writes a line per reason, not per try.
#[derive(Default)]
struct Told(BTreeMap<String, String>);

impl Told {
    fn differs(&mut self, manager: &str, ended: &Ended) -> Option<String> {
        let why = ended.to_string();
        let before = self.0.insert(manager.to_owned(), why.clone());
        (before.as_ref() != Some(&why)).then_some(why)
    }
}

/// Takes over what a manager says of the node and of the managers. These are tried in an order
/// of this node's own, so that nodes which lost a manager do not all go to the same one.
fn learn(
    manager: &str,
    mut message: v1::SessionMessage,
    managers: &mut Managers,
    (state, store): (&watch::Sender<AgentState>, &Store),
) {
    let node = link::node(&mut message).map(Box::new);
    let own = node.as_ref().filter(|_| managers.has_own()).map(|node| field::put_id(node.id));
    let others = message.managers.into_iter().filter(|manager| Some(&manager.node) != own.as_ref());
    let known = others.map(|manager| manager.addr);
    let mut known: Vec<String> = known.filter(|addr| !addr.is_empty()).collect();
    known.shuffle(&mut rand::rng());
    if managers.replace(known) {
        store.hint(Change::Managers(managers.known()));
    }
    state.send_replace(AgentState::Connected { manager: manager.to_owned(), node });
}

#[cfg(test)]
mod tests;

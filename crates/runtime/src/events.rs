//! Exits as they happen.
//!
//! containerd's stream has two weak spots. It says nothing until the first event comes, so a
//! watcher cannot tell silence from a dead stream: we publish a probe of our own and wait for its
//! echo, at first and whenever it was quiet for long. And it forgets: what happened while nobody
//! listened is not told later. So every (re)connection, and every overflow of our queue, is told
//! as [`ContainerEvent::Resync`]: list the containers then; later exits come as events.

use std::time::{Duration, SystemTime};

use containerd_client::events::TaskExit;
use containerd_client::services::v1::{PublishRequest, SubscribeRequest};
use containerd_client::types::Envelope;
use prost::Message;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, sleep, sleep_until, timeout};
use tonic::Streaming;

use crate::Error;
use crate::rpc::{Link, QUICK, refusal, rpc};

const QUEUE: usize = 1024;
const PROBE: &str = "/swarm/probe";
/// Silence after which the stream must prove that it lives.
const QUIET: Duration = Duration::from_secs(30);
/// Time for a probe to come back.
const ECHO: Duration = Duration::from_secs(10);
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MOST: Duration = Duration::from_secs(2);

/// Something the owner of containers should know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ContainerEvent {
    /// A container's first process ended.
    Exited {
        /// The container.
        id: String,
        /// Exit code; 128 + signal when a signal ended it.
        code: u32,
        /// When, on this host's clock.
        at: SystemTime,
    },
    /// Watching begins, or exits may have been missed: list the containers now.
    Resync,
}

/// A running watch. It reconnects by itself and ends when dropped.
#[derive(Debug)]
pub struct Events {
    queue: mpsc::Receiver<ContainerEvent>,
    task: JoinHandle<()>,
}

impl Events {
    pub(crate) fn watch(link: Link, namespace: &str) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE);
        let topics = ["/tasks/exit", PROBE];
        let filter = |topic| format!(r#"namespace=="{namespace}",topic=="{topic}""#);
        let filters = topics.map(filter).into();
        let watcher = Watcher { link, filters, queue: sender, missed: true };
        Self { queue, task: tokio::spawn(watcher.run()) }
    }

    /// The next event; safe to drop and call again. `None` never comes while `self` lives,
    /// unless the async runtime shuts down.
    pub async fn next(&mut self) -> Option<ContainerEvent> {
        self.queue.recv().await
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Watcher {
    link: Link,
    filters: Vec<String>,
    queue: mpsc::Sender<ContainerEvent>,
    /// The owner must list, and was not told yet.
    missed: bool,
}

impl Watcher {
    async fn run(mut self) {
        let mut pause = RETRY_FIRST;
        loop {
            match self.subscribe().await {
                Err(refused) => tracing::debug!(%refused, "cannot watch containerd"),
                Ok(stream) => {
                    pause = RETRY_FIRST;
                    self.missed = true;
                    if let Err(broken) = self.forward(stream).await {
                        tracing::debug!(%broken, "containerd's event stream ended");
                    }
                }
            }
            sleep(pause).await;
            pause = RETRY_MOST.min(pause * 2);
        }
    }

    /// Returns once the stream is live. containerd answers only with the first event, so one is
    /// published again and again until then.
    async fn subscribe(&self) -> Result<Streaming<Envelope>, Error> {
        let mut client = self.link.events();
        let mut answer =
            std::pin::pin!(client.subscribe(SubscribeRequest { filters: self.filters.clone() }));
        let mut probes = interval(RETRY_FIRST);
        let both = async {
            loop {
                tokio::select! {
                    answer = &mut answer => break answer.map_err(|why| refusal("subscribe", why)),
                    _ = probes.tick() => self.probe().await?,
                }
            }
        };
        let late = Error::TimedOut { call: "subscribe", waited: ECHO };
        Ok(timeout(ECHO, both).await.map_err(|_| late)??.into_inner())
    }

    async fn probe(&self) -> Result<(), Error> {
        let event = prost_types::Any { type_url: "swarm.Probe".into(), value: Vec::new() };
        let request = PublishRequest { topic: PROBE.into(), event: Some(event) };
        rpc("publish", QUICK, self.link.events().publish(request)).await
    }

    async fn forward(&mut self, mut stream: Streaming<Envelope>) -> Result<(), Error> {
        let queue = self.queue.clone();
        let mut probed = false;
        let mut due = Instant::now() + QUIET;
        loop {
            tokio::select! {
                message = stream.message() => {
                    let message = message.map_err(|why| refusal("events", why))?;
                    let envelope = message.ok_or(Error::Unavailable { call: "events" })?;
                    (probed, due) = (false, Instant::now() + QUIET);
                    if let Some(event) = exited(&envelope) {
                        self.offer(event);
                    }
                }
                permit = queue.reserve(), if self.missed => {
                    let permit = permit.map_err(|_| Error::Unavailable { call: "events" })?;
                    permit.send(ContainerEvent::Resync);
                    self.missed = false;
                }
                () = sleep_until(due) => {
                    if probed {
                        return Err(Error::TimedOut { call: "events", waited: ECHO });
                    }
                    self.probe().await?;
                    (probed, due) = (true, Instant::now() + ECHO);
                }
            }
        }
    }

    /// Never waits: an owner that lags lists instead.
    fn offer(&mut self, event: ContainerEvent) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(event) {
            self.missed = true;
        }
    }
}

/// `None` for probes and for the ends of further processes in a container.
fn exited(envelope: &Envelope) -> Option<ContainerEvent> {
    let event = envelope.event.as_ref()?;
    if !event.type_url.ends_with("containerd.events.TaskExit") {
        return None;
    }
    let exit = TaskExit::decode(event.value.as_slice()).ok()?;
    if exit.id != exit.container_id {
        return None;
    }
    let at = crate::container::time(exit.exited_at);
    Some(ContainerEvent::Exited { id: exit.container_id, code: exit.exit_status, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(id: &str, type_url: &str) -> Envelope {
        let exit = TaskExit {
            container_id: "web".into(),
            id: id.into(),
            exit_status: 7,
            ..TaskExit::default()
        };
        let event = prost_types::Any { type_url: type_url.into(), value: exit.encode_to_vec() };
        Envelope { event: Some(event), ..Envelope::default() }
    }

    #[test]
    fn only_the_end_of_the_first_process_counts() {
        let first = exited(&envelope("web", "containerd.events.TaskExit"));
        assert!(matches!(first, Some(ContainerEvent::Exited { code: 7, .. })));
        assert_eq!(exited(&envelope("exec-1", "containerd.events.TaskExit")), None);
        assert_eq!(exited(&envelope("web", "swarm.Probe")), None);
    }
}

//! Reads the logs of several tasks at once and, when following, of those that start later.

use std::collections::BTreeSet;
use std::time::Duration;

use swarm_client::{Client, ClientError, Consistency, LogPart, LogQuery};
use swarm_types::{Task, TaskId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::Source;

/// Time between two looks for tasks that started.
const LOOK: Duration = Duration::from_secs(1);
/// Messages that wait to be printed; the daemon waits when they are not.
const WAITING: usize = 16;

/// What came.
pub(super) enum Event {
    Part(LogPart),
    /// Tasks that were not there before.
    Tasks(Vec<Task>),
}

/// Streams of lines; they end when this is dropped.
pub(super) struct Reader {
    client: Client,
    query: LogQuery,
    known: BTreeSet<TaskId>,
    /// No task can start any more.
    is_complete: bool,
    streams: JoinSet<()>,
    sender: mpsc::Sender<Result<Vec<LogPart>, ClientError>>,
    receiver: mpsc::Receiver<Result<Vec<LogPart>, ClientError>>,
    ready: std::vec::IntoIter<LogPart>,
    /// When to look for tasks again, however many lines come meanwhile.
    look: Instant,
}

impl Reader {
    pub(super) fn new(client: Client, query: LogQuery) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        Self {
            client,
            query,
            known: BTreeSet::new(),
            is_complete: false,
            streams: JoinSet::new(),
            sender,
            receiver,
            ready: Vec::new().into_iter(),
            look: Instant::now() + LOOK,
        }
    }

    /// Begins to read those of the tasks that have been on a node.
    pub(super) fn read(&mut self, tasks: &[Task]) {
        let placed = tasks.iter().filter(|task| task.node.is_some()).map(|task| task.id);
        let tasks: Vec<TaskId> = placed.filter(|id| self.known.insert(*id)).collect();
        // Tasks that start later are new as a whole.
        let tail = self.query.tail.take();
        if tasks.is_empty() {
            return;
        }
        let (client, sender) = (self.client.clone(), self.sender.clone());
        let query = LogQuery { tasks, tail, ..self.query.clone() };
        self.streams.spawn(async move {
            if let Err(error) = pump(&client, &query, &sender).await {
                // Nobody listens once the reader is gone.
                let _ = sender.send(Err(error)).await;
            }
        });
    }

    /// What comes next; `None` when all streams have ended and none can start.
    pub(super) async fn next(&mut self, source: &Source) -> anyhow::Result<Option<Event>> {
        loop {
            let grows = self.query.follow && self.may_grow(source);
            if let Some(part) = self.ready.next() {
                return Ok(Some(Event::Part(part)));
            }
            if self.streams.is_empty() && self.receiver.is_empty() && !grows {
                return Ok(None);
            }
            tokio::select! {
                biased;
                () = sleep_until(self.look), if grows => {
                    // Before the tasks: none starts after it.
                    self.is_complete = source.is_gone(&self.client).await?;
                    // A follower outlives the time without a leader.
                    let mut tasks = source.tasks(&self.client, Consistency::Stale).await?;
                    self.look = Instant::now() + LOOK;
                    tasks.retain(|task| !self.known.contains(&task.id) && task.node.is_some());
                    return Ok(Some(Event::Tasks(tasks)));
                }
                Some(parts) = self.receiver.recv() => self.ready = parts?.into_iter(),
                ended = self.streams.join_next(), if !self.streams.is_empty() => {
                    if let Some(Err(error)) = ended {
                        return Err(error.into());
                    }
                }
            }
        }
    }

    /// Whether tasks may start that are not read yet.
    fn may_grow(&self, source: &Source) -> bool {
        !self.is_complete
            && match source {
                Source::Service(_) => true,
                Source::Task(task) => !self.known.contains(&task.id),
            }
    }
}

async fn pump(
    client: &Client,
    query: &LogQuery,
    sender: &mpsc::Sender<Result<Vec<LogPart>, ClientError>>,
) -> Result<(), ClientError> {
    let mut logs = client.logs(query).await?;
    while let Some(parts) = logs.next().await? {
        if sender.send(Ok(parts)).await.is_err() {
            break;
        }
    }
    Ok(())
}

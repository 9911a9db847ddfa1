//! Logs of another node's tasks, through changes of its session.
//!
//! What is left to be read is kept as the request that asks for it: a task that ended goes out of
//! it, one that was read a part of gets the place behind that part. So a way that breaks loses no
//! line and doubles none. A node that is not found for some seconds is told of each task left.

use std::sync::Arc;
use std::time::Duration;

use swarm_proto::v1;
use swarm_types::NodeId;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};
use v1::logs_response::What;

use super::Sender;
use super::remote::{ANSWER, Remote};
use crate::Inner;

/// How long the way to a node that was heard may be broken: a node whose manager was silent is at
/// another one before that.
const BROKEN: Duration = Duration::from_secs(15);
/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(250);
/// What lasted as long was no try.
const STEADY: Duration = Duration::from_secs(1);

/// Reading the logs of another node.
pub(super) struct FarLogs {
    pub(super) inner: Arc<Inner>,
    pub(super) node: NodeId,
    pub(super) left: Left,
}

/// What is left to be read.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Left(pub(super) v1::LogsRequest);

impl FarLogs {
    /// Passes on what the tasks wrote.
    pub(super) async fn read(mut self, sender: Sender<v1::LogsResponse>) -> Result<(), Status> {
        let mut deadline = Instant::now() + ANSWER;
        loop {
            let Err(failed) = self.once(&mut deadline, &sender).await else { return Ok(()) };
            if !may_pass(failed.code()) || Instant::now() + PAUSE >= deadline {
                self.left.unread(&failed, &sender).await;
                return Ok(());
            }
            sleep(PAUSE).await;
        }
    }

    async fn once(
        &mut self,
        deadline: &mut Instant,
        sender: &Sender<v1::LogsResponse>,
    ) -> Result<(), Status> {
        let remote = Remote::find(&self.inner, self.node).await?;
        let mut client = remote.client();
        let call = client.logs(remote.request(self.left.0.clone())?);
        let mut lines = remote.answer(*deadline, call).await?;
        let began = Instant::now();
        let ended = loop {
            match remote.next(&mut lines).await {
                Ok(Some(message)) => self.left.pass(message, sender).await,
                Ok(None) => break Status::unavailable("it ended before the logs did"),
                Err(broken) => break broken,
            }
        };
        if self.left.0.tasks.is_empty() {
            return Ok(());
        }
        if began.elapsed() >= STEADY {
            *deadline = Instant::now() + BROKEN;
        }
        Err(ended)
    }
}

impl Left {
    /// Passes a message on, and then no more asks for it.
    async fn pass(&mut self, message: v1::LogsResponse, sender: &Sender<v1::LogsResponse>) {
        let mut after = self.clone();
        match &message.what {
            Some(What::Lines(lines)) => after.is_at(&lines.task, &lines.place),
            Some(What::Failure(v1::LogsFailure { task, .. }) | What::Ended(task)) => {
                after.0.tasks.retain(|left| left != task);
            }
            None => {}
        }
        // A caller that went away is noticed by whoever owns this.
        let _ = sender.send(Ok(message)).await;
        *self = after;
    }

    fn is_at(&mut self, task: &[u8], place: &[u8]) {
        let place = place.to_vec();
        match self.0.after.iter_mut().find(|after| after.task == task) {
            Some(after) => after.place = place,
            None => self.0.after.push(v1::LogPlace { task: task.to_vec(), place }),
        }
    }

    /// Tells of each task left that it cannot be read.
    async fn unread(self, status: &Status, sender: &Sender<v1::LogsResponse>) {
        for task in self.0.tasks {
            let failure = v1::LogsFailure { task, why: status.message().to_owned() };
            let _ = sender.send(Ok(v1::LogsResponse { what: Some(What::Failure(failure)) })).await;
        }
    }
}

/// Whether another try may succeed. What a broken connection looks like is the transport's choice.
const fn may_pass(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
    )
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    fn told(what: What) -> v1::LogsResponse {
        v1::LogsResponse { what: Some(what) }
    }

    fn lines(task: &[u8], place: u8) -> v1::LogsResponse {
        let (task, place) = (task.to_vec(), vec![place]);
        told(What::Lines(v1::LogLines { task, lines: Vec::new(), place }))
    }

    #[tokio::test]
    async fn what_was_passed_on_is_not_asked_for_again() {
        let (sender, mut passed) = mpsc::channel(9);
        let tasks = [b"a", b"b", b"c"].map(|task| task.to_vec()).into();
        let mut left = Left(v1::LogsRequest { tasks, tail: Some(3), ..Default::default() });
        let failure = v1::LogsFailure { task: b"c".into(), why: "broken".into() };
        let messages = [
            lines(b"a", 1),
            lines(b"b", 2),
            lines(b"a", 3),
            told(What::Ended(b"b".into())),
            told(What::Failure(failure)),
        ];

        for message in messages.clone() {
            left.pass(message, &sender).await;
        }

        assert_eq!(left.0.tasks, [b"a"]);
        let at_a: Vec<_> = left.0.after.iter().filter(|after| after.task == b"a").collect();
        assert_eq!(at_a, [&v1::LogPlace { task: b"a".into(), place: vec![3] }]);
        for message in messages {
            assert_eq!(passed.recv().await.unwrap().unwrap(), message);
        }

        left.unread(&Status::unavailable("node w1: it is down"), &sender).await;
        let why = "node w1: it is down".to_owned();
        let last = told(What::Failure(v1::LogsFailure { task: b"a".into(), why }));
        assert_eq!(passed.recv().await.unwrap().unwrap(), last);
        assert!(passed.is_empty());
    }
}

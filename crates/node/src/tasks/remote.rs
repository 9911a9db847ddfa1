//! The way to the tasks of another node, by managers. It says there what this node says of its own.

use std::time::Duration;

use swarm_proto::{field, v1};
use swarm_raft::{Raft, WatchError};
use swarm_types::NodeId;
use swarm_types::object::node::NodeState;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};
use v1::exec_request::Part as Asked;
use v1::exec_response::Part as Told;
use v1::tasks_client::TasksClient;

use super::ahead::Ahead;
use super::{Sender, WAITING};
use crate::Inner;

/// How long a node may take to begin an answer.
pub(super) const ANSWER: Duration = Duration::from_secs(6);

/// The way to a node, as long as its session lasts.
#[derive(Debug)]
pub(super) struct Remote {
    node: NodeId,
    /// For people.
    name: String,
    channel: Channel,
    raft: Raft,
    session: Option<Vec<u8>>,
}

impl Remote {
    /// Finds it. A node that is down has none.
    pub(super) async fn find(inner: &Inner, node: NodeId) -> Result<Self, Status> {
        let member = inner.member.lock().await;
        let managing = member.as_ref().and_then(|member| member.managing.as_ref());
        let managing = managing
            .ok_or_else(|| Status::failed_precondition("this node is no manager any more"))?;
        let raft = managing.raft.clone();
        let (name, session) = (name(&raft, node), session(&raft, node));
        let channel = match session {
            Some(_) => managing.manager.reach(node),
            // It may be back in a moment: at another manager, when its own was silent.
            None => Err(Status::unavailable("it is down")),
        };
        match channel {
            Ok(channel) => Ok(Self { node, name, channel, raft, session }),
            Err(status) => Err(named(&name, &status)),
        }
    }

    pub(super) fn client(&self) -> TasksClient<Channel> {
        TasksClient::new(self.channel.clone())
    }

    pub(super) fn request<T>(&self, message: T) -> Result<Request<T>, Status> {
        let mut request = Request::new(message);
        let node = MetadataValue::try_from(self.node.as_str());
        let node = node.map_err(|error| Status::internal(error.to_string()))?;
        request.metadata_mut().insert(swarm_manager::FOR_NODE, node);
        Ok(request)
    }

    /// What the call answers with, or why not, with the node's name.
    pub(super) async fn answer<T>(
        &self,
        by: Instant,
        call: impl Future<Output = Result<Response<Streaming<T>>, Status>>,
    ) -> Result<Streaming<T>, Status> {
        let late = || Err(Status::deadline_exceeded("it does not answer in time"));
        let answer = tokio::select! {
            answer = timeout_at(by, call) => answer.unwrap_or_else(|_| late()),
            moved = self.moved() => Err(moved),
        };
        answer.map(Response::into_inner).map_err(|status| self.named(&status))
    }

    /// The next message, while the session lasts. Safe to drop and call again.
    pub(super) async fn next<T>(&self, from: &mut Streaming<T>) -> Result<Option<T>, Status> {
        let next = tokio::select! {
            biased;
            next = from.message() => next,
            moved = self.moved() => Err(moved),
        };
        next.map_err(|status| self.named(&status))
    }

    /// Resolves when the node has another session, or is down.
    async fn moved(&self) -> Status {
        loop {
            let (_, mut watch) = self.raft.watch();
            loop {
                if session(&self.raft, self.node) != self.session {
                    return Status::unavailable("its session ended");
                }
                match watch.next().await {
                    Ok(_) => {}
                    Err(WatchError::Lagged) => break,
                    Err(stopped @ WatchError::Stopped(_)) => {
                        return Status::unavailable(stopped.to_string());
                    }
                }
            }
        }
    }

    pub(super) fn named(&self, status: &Status) -> Status {
        named(&self.name, status)
    }

    /// Runs a command there. Dropping it ends the command, as the call is cancelled then.
    pub(super) async fn exec(
        self,
        start: v1::ExecStart,
        mut requests: Streaming<v1::ExecRequest>,
        sender: Sender<v1::ExecResponse>,
    ) -> Result<(), Status> {
        let (to, receiver) = mpsc::channel(WAITING);
        // The channel is empty, so there is room.
        let _ = to.try_send(v1::ExecRequest { part: Some(Asked::Start(start)) });
        let mut client = self.client();
        let call = client.exec(self.request(ReceiverStream::new(receiver))?);
        let mut output = self.answer(Instant::now() + ANSWER, call).await?;
        let (mut ahead, done) = Ahead::new(to);
        let told = async {
            while let Some(told) = self.next(&mut output).await? {
                match told.part {
                    Some(Told::Done(count)) => drop(done.send_replace(count)),
                    // A caller that went away is noticed by whoever owns this.
                    _ => drop(sender.send(Ok(told)).await),
                }
            }
            Ok(())
        };
        let asked = async move {
            while let Some(request) = requests.message().await? {
                ahead.send(request).await;
            }
            drop(ahead);
            std::future::pending().await
        };
        tokio::select! {
            told = told => told,
            broken = asked => broken,
        }
    }
}

/// What people call the node.
pub(super) fn name(raft: &Raft, node: NodeId) -> String {
    let name = raft.snapshot().node(&node).map(|node| node.description.hostname.clone());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| node.to_string())
}

fn named(name: &str, status: &Status) -> Status {
    let why = match std::error::Error::source(status) {
        // Made on this side, in words of the transport.
        Some(_) => "the connection to it broke",
        None => status.message(),
    };
    Status::new(status.code(), format!("node {name}: {why}"))
}

/// The session by which a node is reached; `None` for one that is down or gone.
fn session(raft: &Raft, node: NodeId) -> Option<Vec<u8>> {
    let view = raft.snapshot();
    let node = view.node(&node).filter(|node| node.status.state != NodeState::Down)?;
    Some(node.session.as_ref().map_or_else(Vec::new, |session| field::put_id(session.id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_named_with_what_it_said_or_with_what_became_of_it() {
        let broken = Status::from_error(Box::new(std::io::Error::other("h2 protocol error")));
        let broken = named("w1", &broken);
        let said = named("w1", &Status::not_found("no such task"));

        assert_eq!(broken.message(), "node w1: the connection to it broke");
        assert_eq!((said.message(), said.code()), ("node w1: no such task", tonic::Code::NotFound));
    }
}

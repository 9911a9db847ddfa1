//! Tasks of another node, by way of the managers. It says there what this node says of its own.

use std::time::Duration;

use futures::StreamExt;
use swarm_proto::{field, v1};
use swarm_types::{NodeId, TaskId};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};
use v1::exec_request::Part as Asked;
use v1::logs_response::What;
use v1::tasks_client::TasksClient;

use super::{Answers, Sender, WAITING};

/// How long a node may take to begin an answer.
const ANSWER: Duration = Duration::from_secs(6);
/// How long a node may take for a sample.
const SAMPLE: Duration = Duration::from_secs(6);

/// The way to a node.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) node: NodeId,
    /// For people.
    pub(super) name: String,
    pub(super) channel: Channel,
}

impl Remote {
    fn client(&self) -> TasksClient<Channel> {
        TasksClient::new(self.channel.clone())
    }

    fn request<T>(&self, message: T) -> Result<Request<T>, Status> {
        let mut request = Request::new(message);
        let node = MetadataValue::try_from(self.node.as_str());
        let node = node.map_err(|error| Status::internal(error.to_string()))?;
        request.metadata_mut().insert(swarm_manager::FOR_NODE, node);
        Ok(request)
    }

    /// What the call answers with, or why not, with the node's name.
    async fn answer<T>(
        &self,
        call: impl Future<Output = Result<Response<Streaming<T>>, Status>>,
    ) -> Result<Streaming<T>, Status> {
        let late = |_| Status::deadline_exceeded(format!("no answer in {} s", ANSWER.as_secs()));
        let answer = timeout(ANSWER, call).await.map_err(late).and_then(|answer| answer);
        answer.map(Response::into_inner).map_err(|status| self.named(&status))
    }

    fn named(&self, status: &Status) -> Status {
        Status::new(status.code(), format!("node {}: {}", self.name, status.message()))
    }

    async fn pass<T>(&self, mut from: Streaming<T>, to: &Sender<T>) -> Result<(), Status> {
        while let Some(message) = from.message().await.map_err(|status| self.named(&status))? {
            // A caller that went away is noticed by whoever owns this.
            let _ = to.send(Ok(message)).await;
        }
        Ok(())
    }

    /// Passes on what the tasks wrote. What cannot be read is told of each of them.
    pub(super) async fn logs(
        self,
        request: v1::LogsRequest,
        sender: Sender<v1::LogsResponse>,
    ) -> Result<(), Status> {
        let tasks = request.tasks.clone();
        let read = async {
            let mut client = self.client();
            let lines = self.answer(client.logs(self.request(request)?)).await?;
            self.pass(lines, &sender).await
        };
        match read.await {
            Ok(()) => Ok(()),
            Err(status) => unread(tasks, &status, &sender).await,
        }
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
        let output = self.answer(call).await?;
        let asked = async move {
            while let Some(request) = requests.message().await? {
                let _ = to.send(request).await;
            }
            drop(to);
            std::future::pending().await
        };
        tokio::select! {
            told = self.pass(output, &sender) => told,
            broken = asked => broken,
        }
    }

    /// Passes on samples.
    pub(super) async fn stats(
        self,
        tasks: Vec<TaskId>,
        follow: bool,
        sender: Sender<v1::StatsResponse>,
    ) -> Result<(), Status> {
        let tasks = tasks.into_iter().map(field::put_id).collect();
        let mut client = self.client();
        let call = client.stats(self.request(v1::StatsRequest { tasks, follow })?);
        let samples = self.answer(call).await?;
        self.pass(samples, &sender).await
    }
}

/// Tells of each task that it cannot be read.
pub(super) async fn unread(
    tasks: Vec<Vec<u8>>,
    status: &Status,
    sender: &Sender<v1::LogsResponse>,
) -> Result<(), Status> {
    for task in tasks {
        let failure = v1::LogsFailure { task, why: status.message().to_owned() };
        let _ = sender.send(Ok(v1::LogsResponse { what: Some(What::Failure(failure)) })).await;
    }
    Ok(())
}

/// Makes one sample of those of all nodes, each time; a node that sends none ends them.
pub(super) async fn merge(
    mut nodes: Vec<Answers<v1::StatsResponse>>,
    sender: Sender<v1::StatsResponse>,
) -> Result<(), Status> {
    loop {
        let mut all = v1::StatsResponse::default();
        for node in &mut nodes {
            let sample = timeout(SAMPLE + ANSWER, node.next()).await;
            let late = |_| Status::deadline_exceeded("a node sends no sample");
            let Some(sample) = sample.map_err(late)? else { return Ok(()) };
            all.tasks.extend(sample?.tasks);
        }
        if sender.send(Ok(all)).await.is_err() {
            return Ok(());
        }
    }
}

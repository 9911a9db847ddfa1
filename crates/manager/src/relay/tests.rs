//! A node's `Tasks` by way of every manager, over real ports; the node is a fake.

use std::time::Instant;

use swarm_proto::v1::dispatcher_client::DispatcherClient;
use swarm_proto::v1::relay_client::RelayClient;
use swarm_proto::v1::tasks_client::TasksClient;
use swarm_proto::v1::tasks_server::{Tasks, TasksServer};
use swarm_types::object::node::NodeDescription;
use swarm_types::spec::node::NodeRole;
use tokio::sync::watch;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::Server;

use super::*;
use crate::testing::many::{Many, Seat, eventually};

const SOON: Duration = Duration::from_secs(20);

type Messages<T> = ReceiverStream<Result<T, Status>>;

/// Serves one sample, or samples without end; its logs never begin.
#[derive(Default)]
struct Fake {
    /// Callers of samples without end.
    callers: Arc<watch::Sender<usize>>,
}

#[tonic::async_trait]
impl Tasks for Fake {
    type LogsStream = Messages<v1::LogsResponse>;
    type ExecStream = Messages<v1::ExecResponse>;
    type StatsStream = Messages<v1::StatsResponse>;

    async fn logs(
        &self,
        _: Request<v1::LogsRequest>,
    ) -> Result<Response<Self::LogsStream>, Status> {
        std::future::pending().await
    }

    async fn exec(
        &self,
        _: Request<Streaming<v1::ExecRequest>>,
    ) -> Result<Response<Self::ExecStream>, Status> {
        Err(Status::not_found("no such task"))
    }

    async fn stats(
        &self,
        request: Request<v1::StatsRequest>,
    ) -> Result<Response<Self::StatsStream>, Status> {
        let (sender, receiver) = mpsc::channel(1);
        sender.send(Ok(v1::StatsResponse::default())).await.unwrap();
        if request.get_ref().follow {
            let callers = self.callers.clone();
            callers.send_modify(|callers| *callers += 1);
            tokio::spawn(async move {
                sender.closed().await;
                callers.send_modify(|callers| *callers -= 1);
            });
        }
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// Three managers, and a worker with a session and a connection at the last of them.
struct World {
    many: Many,
    worker: NodeId,
    session: Streaming<v1::SessionMessage>,
    callers: watch::Receiver<usize>,
}

impl World {
    async fn new() -> Self {
        let mut many = Many::of(3).await;
        let worker = many.node(NodeRole::Worker).await;
        let seat = &many.seats[2];
        eventually("it is fit", || seat.manager.core.is_fit().then_some(())).await;
        let channel = seat.to(&many.credentials(worker, NodeRole::Worker));
        let description = Some((&NodeDescription::default()).into());
        let opening = v1::SessionRequest { description, epoch: 1, ..Default::default() };
        // As agents do: a manager may be asked while another one begins to lead.
        let opened = async {
            loop {
                let mut dispatcher = DispatcherClient::new(channel.clone());
                match dispatcher.session(opening.clone()).await {
                    Ok(session) => return session.into_inner(),
                    Err(refusal) => assert_eq!(refusal.code(), Code::Unavailable, "{refusal}"),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let mut session = timeout(SOON, opened).await.unwrap();
        let first = session.message().await.unwrap().unwrap();
        let fake = Fake::default();
        let callers = fake.callers.subscribe();
        serve(channel, first.session_id, fake).await;
        let knows = |seat: &Seat| seat.snapshot().node(&worker)?.session.as_ref().map(|_| ());
        for seat in &many.seats {
            eventually("it knows the session", || knows(seat)).await;
        }
        Self { many, worker, session, callers }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert(FOR_NODE, self.worker.as_str().parse().unwrap());
        request
    }

    fn client(&self, seat: &Seat) -> TasksClient<Channel> {
        TasksClient::new(seat.manager.reach(self.worker).unwrap())
    }

    async fn samples(&self, seat: &Seat, follow: bool) -> Streaming<v1::StatsResponse> {
        let request = self.request(v1::StatsRequest { follow, ..Default::default() });
        self.client(seat).stats(request).await.unwrap().into_inner()
    }

    async fn called_by(&mut self, many: usize) {
        let called = self.callers.wait_for(|callers| *callers == many);
        timeout(SOON, called).await.unwrap().unwrap();
    }
}

/// Serves `fake` on a connection to the manager.
async fn serve(channel: Channel, session_id: Vec<u8>, fake: Fake) {
    let (up, receiver) = mpsc::channel(IN_FLIGHT);
    let open = v1::RelayOpen { session_id, epoch: 1 };
    up.send(v1::RelayUp { part: Some(Part::Open(open)) }).await.unwrap();
    let call = RelayClient::new(channel).serve(ReceiverStream::new(receiver)).await;
    let mut down = call.unwrap().into_inner();
    let (ours, theirs) = duplex(WINDOW);
    let one = tokio_stream::once(Ok::<_, io::Error>(theirs)).chain(tokio_stream::pending());
    tokio::spawn(Server::builder().add_service(TasksServer::new(fake)).serve_with_incoming(one));
    let (mut reader, mut writer) = split(ours);
    tokio::spawn(async move {
        while let Ok(Some(message)) = down.message().await {
            writer.write_all(&message.data).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    });
    tokio::spawn(async move {
        let mut piece = vec![0; PIECE];
        while let Ok(read @ 1..) = reader.read(&mut piece).await {
            let part = Some(Part::Data(piece[..read].to_vec()));
            if up.send(v1::RelayUp { part }).await.is_err() {
                return;
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn every_manager_reaches_a_node_and_a_dropped_call_ends_there() {
    let mut world = World::new().await;

    for seat in [0, 1, 2] {
        let mut once = world.samples(&world.many.seats[seat], false).await;
        assert!(once.message().await.unwrap().is_some());
        let endless = world.samples(&world.many.seats[seat], true).await;
        world.called_by(1).await;
        drop(endless);
        world.called_by(0).await;
    }
    world.many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_end_with_the_session() {
    let world = World::new().await;
    let mut endless = Vec::new();
    for seat in &world.many.seats {
        let mut samples = world.samples(seat, true).await;
        assert!(samples.message().await.unwrap().is_some());
        endless.push(samples);
    }

    drop(world.session);

    for mut samples in endless {
        let ended = timeout(SOON, samples.message()).await.unwrap();
        assert!(ended.is_err(), "{ended:?}");
    }
    let gone = world.many.seats[2].manager.reach(world.worker).unwrap_err();
    assert_eq!(gone.code(), Code::Unavailable);
    world.many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_is_named_in_time_and_workers_may_not_ask() {
    let world = World::new().await;
    let began = Instant::now();

    let mut client = world.client(&world.many.seats[0]);
    let silent = client.logs(world.request(v1::LogsRequest::default())).await.unwrap_err();

    assert_eq!(silent.code(), Code::DeadlineExceeded);
    assert!(silent.message().contains(world.worker.as_str()) && began.elapsed() < SOON);
    let worker = world.many.credentials(world.worker, NodeRole::Worker);
    let mut asking = TasksClient::new(world.many.seats[2].to(&worker));
    let refused = asking.stats(world.request(v1::StatsRequest::default())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    world.many.end().await;
}

//! A node's `Tasks` by way of every manager, over real ports; the node is a fake.

use std::time::Instant;

use swarm_proto::v1::dispatcher_client::DispatcherClient;
use swarm_proto::v1::relay_client::RelayClient;
use swarm_proto::v1::tasks_client::TasksClient;
use swarm_proto::v1::tasks_server::{Tasks, TasksServer};
use swarm_types::Change;
use swarm_types::object::node::NodeDescription;
use swarm_types::spec::node::NodeRole;
use tokio::sync::watch;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::Server;
use v1::exec_request::Part as Ask;

use super::*;
use crate::testing::many::{Many, Seat, eventually};

const SOON: Duration = Duration::from_secs(20);

type Messages<T> = ReceiverStream<Result<T, Status>>;

/// Size of a line of [`Fake`].
const LINE: usize = 16 << 10;

/// Serves one sample, or samples without end; commands that give back their input; and so many
/// numbered lines, or logs that never begin.
#[derive(Clone, Default)]
struct Fake {
    /// Calls without an end that it is in.
    callers: Arc<watch::Sender<usize>>,
    /// Lines that it got rid of.
    sent: Arc<watch::Sender<u64>>,
}

#[tonic::async_trait]
impl Tasks for Fake {
    type LogsStream = Messages<v1::LogsResponse>;
    type ExecStream = Messages<v1::ExecResponse>;
    type StatsStream = Messages<v1::StatsResponse>;

    async fn logs(
        &self,
        request: Request<v1::LogsRequest>,
    ) -> Result<Response<Self::LogsStream>, Status> {
        let Some(count) = request.get_ref().tail else { return std::future::pending().await };
        let (sender, receiver) = mpsc::channel(1);
        let sent = self.sent.clone();
        tokio::spawn(async move {
            for number in 0..count {
                let place = number.to_le_bytes().to_vec();
                let data = vec![b'x'; LINE];
                let lines = vec![v1::LogLine { data, ..Default::default() }];
                let lines = v1::LogLines { place, lines, ..Default::default() };
                let what = Some(v1::logs_response::What::Lines(lines));
                if sender.send(Ok(v1::LogsResponse { what })).await.is_err() {
                    return;
                }
                sent.send_modify(|sent| *sent += 1);
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn exec(
        &self,
        request: Request<Streaming<v1::ExecRequest>>,
    ) -> Result<Response<Self::ExecStream>, Status> {
        let (sender, receiver) = mpsc::channel(1);
        let (mut requests, callers) = (request.into_inner(), self.callers.clone());
        callers.send_modify(|callers| *callers += 1);
        tokio::spawn(async move {
            while let Ok(Some(v1::ExecRequest { part: Some(Ask::Input(bytes)) })) =
                requests.message().await
            {
                let part = Some(v1::exec_response::Part::Stdout(bytes));
                let _ = sender.send(Ok(v1::ExecResponse { part })).await;
            }
            callers.send_modify(|callers| *callers -= 1);
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
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
    /// To the manager that carries the session.
    channel: Channel,
    session_id: Vec<u8>,
    callers: watch::Receiver<usize>,
    sent: watch::Receiver<u64>,
}

impl World {
    async fn new() -> Self {
        let mut many = Many::of(3).await;
        let worker = many.node(NodeRole::Worker).await;
        let seat = &many.seats[2];
        eventually("it is fit", || seat.manager.core.is_fit().then_some(())).await;
        eventually("it knows the node", || seat.snapshot().node(&worker).map(|_| ())).await;
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
        let (callers, sent) = (fake.callers.subscribe(), fake.sent.subscribe());
        let session_id = first.session_id;
        serve(channel.clone(), session_id.clone(), fake).await;
        let knows = |seat: &Seat| seat.snapshot().node(&worker)?.session.as_ref().map(|_| ());
        for seat in &many.seats {
            eventually("it knows the session", || knows(seat)).await;
        }
        Self { many, worker, session, channel, session_id, callers, sent }
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

    /// So many numbered lines.
    async fn lines(&self, seat: &Seat, count: u64) -> Streaming<v1::LogsResponse> {
        let request = v1::LogsRequest { tail: Some(count), ..Default::default() };
        self.client(seat).logs(self.request(request)).await.unwrap().into_inner()
    }

    /// Waits until the node gets rid of no more lines, and says of how many it did.
    async fn held_up(&mut self) -> u64 {
        let still = Duration::from_millis(500);
        while let Ok(sent) = timeout(still, self.sent.changed()).await {
            sent.unwrap();
        }
        *self.sent.borrow_and_update()
    }

    async fn called_by(&mut self, many: usize) {
        let called = self.callers.wait_for(|callers| *callers == many);
        timeout(SOON, called).await.unwrap().unwrap();
    }
}

type Connection = (mpsc::Sender<v1::RelayUp>, Streaming<v1::RelayDown>);

/// Opens a connection to the manager.
async fn connect(channel: Channel, session_id: Vec<u8>) -> Result<Connection, Status> {
    let (up, receiver) = mpsc::channel(IN_FLIGHT);
    let open = v1::RelayOpen { session_id, epoch: 1 };
    up.send(v1::RelayUp { part: Some(Part::Open(open)) }).await.unwrap();
    let call = RelayClient::new(channel).serve(ReceiverStream::new(receiver)).await;
    Ok((up, call?.into_inner()))
}

/// Serves `fake` on a connection to the manager.
async fn serve(channel: Channel, session_id: Vec<u8>, fake: Fake) {
    let (up, mut down) = connect(channel, session_id).await.unwrap();
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
async fn a_session_has_a_bounded_number_of_connections() {
    let world = World::new().await;
    let connect = || connect(world.channel.clone(), world.session_id.clone());
    // One that is replaced goes on as long as there are calls on it.
    let mut calls = Vec::new();
    for _ in 1..MOST_CONNECTIONS {
        let mut samples = world.samples(&world.many.seats[2], true).await;
        assert!(samples.message().await.unwrap().is_some());
        calls.push(samples);
        serve(world.channel.clone(), world.session_id.clone(), Fake::default()).await;
    }

    let refused = connect().await.unwrap_err();

    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.message().contains("4 connections already"), "{refused}");
    drop(calls.pop());
    let freed = async {
        while let Err(refused) = connect().await {
            assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        }
    };
    timeout(SOON, freed).await.unwrap();
    world.many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_the_node_up_and_misses_nothing() {
    let mut world = World::new().await;
    for seat in [0, 2] {
        let before = world.held_up().await;
        let mut lines = world.lines(&world.many.seats[seat], 1500).await;

        let sent = world.held_up().await - before;

        assert!(sent * (LINE as u64) < 8 << 20, "{sent} lines wait somewhere");
        for number in 0..1500_u64 {
            let line = timeout(SOON, lines.message()).await.unwrap().unwrap().unwrap();
            let Some(v1::logs_response::What::Lines(lines)) = line.what else { panic!("{line:?}") };
            assert_eq!(lines.place, number.to_le_bytes());
        }
        assert!(lines.message().await.unwrap().is_none());
    }
    world.many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_do_not_read_hold_up_nobody_else() {
    let mut world = World::new().await;
    let mut slow = Vec::new();
    for _ in 0..40 {
        slow.push(world.lines(&world.many.seats[2], 1500).await);
    }
    let _ = world.held_up().await;

    for seat in [0, 2] {
        let mut once = world.samples(&world.many.seats[seat], false).await;
        assert!(timeout(SOON, once.message()).await.unwrap().unwrap().is_some());
    }
    drop(slow);
    world.many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_is_demoted_is_cut_off() {
    let mut world = World::new().await;
    let manager = world.many.node(NodeRole::Manager).await;
    let credentials = world.many.credentials(manager, NodeRole::Manager);
    let knows = |seat: &Seat| seat.snapshot().node(&manager).map(|_| ());
    eventually("it knows the manager", || knows(&world.many.seats[2])).await;
    let mut client = TasksClient::new(world.many.seats[2].to(&credentials));
    let request = world.request(v1::StatsRequest { follow: true, ..Default::default() });
    let mut samples = client.stats(request).await.unwrap().into_inner();
    assert!(samples.message().await.unwrap().is_some());
    let (input, asked) = mpsc::channel(1);
    let ask = || v1::ExecRequest { part: Some(Ask::Input(b"x".to_vec())) };
    input.send(ask()).await.unwrap();
    let call = client.exec(world.request(ReceiverStream::new(asked)));
    let mut command = call.await.unwrap().into_inner();
    assert!(command.message().await.unwrap().is_some());
    world.called_by(2).await;

    world.many.change(Change::SetNodeRole(manager, NodeRole::Worker)).await;

    // The command's input is still open on this side.
    world.called_by(0).await;
    let refusals = [
        timeout(SOON, samples.message()).await.unwrap().unwrap_err(),
        timeout(SOON, command.message()).await.unwrap().unwrap_err(),
    ];
    for refusal in refusals {
        assert_eq!(refusal.code(), Code::PermissionDenied, "{refusal}");
        assert!(refusal.message().contains("no manager"), "{refusal}");
    }
    drop(input);
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

//! Sessions on any of several managers, over the real port.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use swarm_proto::v1::dispatcher_client::DispatcherClient;
use swarm_types::object::node::{NodeDescription, NodeState};
use swarm_types::spec::node::{NodeRole, NodeSpec};
use swarm_types::{Change, NodeId, TaskId};
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Streaming};

use super::*;
use crate::leader::liveness::MISSED;
use crate::testing::many::{Many, Seat, code, eventually};
use crate::testing::spec;

/// Time between heartbeats in these clusters; a node sends them faster.
const PERIOD: Duration = Duration::from_millis(700);
const GRACE: Duration = PERIOD.saturating_mul(MISSED);
const BEAT: Duration = Duration::from_millis(200);
const SOON: Duration = Duration::from_secs(20);

/// A node's session with one manager.
struct Session {
    id: Vec<u8>,
    client: DispatcherClient<Channel>,
    messages: Streaming<v1::SessionMessage>,
    /// The managers as of the first message.
    managers: Vec<v1::ManagerAddress>,
}

impl Session {
    async fn open(many: &Many, seat: &Seat, node: NodeId) -> Self {
        let mut client = DispatcherClient::new(seat.to(&many.credentials(node, NodeRole::Worker)));
        let mut messages = client.session(opening()).await.unwrap().into_inner();
        let first = messages.message().await.unwrap().unwrap();
        Self { id: first.session_id, client, messages, managers: first.managers }
    }

    async fn beat(&mut self) -> Result<bool, Status> {
        let request = v1::HeartbeatRequest { session_id: self.id.clone(), epoch: 1 };
        self.client.heartbeat(request).await.map(|answer| answer.into_inner().r#move)
    }

    async fn report(&mut self, task: TaskId) -> Result<(), Status> {
        let status = v1::TaskStatus::from(&swarm_types::TaskStatus {
            state: swarm_types::TaskState::Running,
            ..swarm_types::TaskStatus::default()
        });
        let update = v1::TaskUpdate { task: field::put_id(task), status: Some(status) };
        let request = v1::UpdateTaskStatusRequest {
            session_id: self.id.clone(),
            epoch: 1,
            updates: vec![update],
        };
        self.client.update_task_status(request).await.map(drop)
    }

    /// The first message from here on of which that holds; heartbeats go on meanwhile.
    async fn until(&mut self, holds: impl Fn(&v1::SessionMessage) -> bool) -> v1::SessionMessage {
        let deadline = Instant::now() + SOON;
        loop {
            self.beat().await.unwrap();
            match timeout(BEAT, self.messages.message()).await {
                Ok(message) => {
                    let message = message.unwrap().unwrap();
                    if holds(&message) {
                        return message;
                    }
                }
                Err(_) => assert!(Instant::now() < deadline, "never told"),
            }
        }
    }

    /// Why the session ends.
    async fn end(&mut self) -> Code {
        let ended = timeout(SOON, async {
            loop {
                match self.messages.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return Code::Ok,
                    Err(status) => return status.code(),
                }
            }
        });
        ended.await.unwrap()
    }
}

fn opening() -> v1::SessionRequest {
    let description = Some((&NodeDescription::default()).into());
    v1::SessionRequest { description, epoch: 1, ..Default::default() }
}

/// Three managers that are fit and know each other, and a worker.
async fn world() -> (Many, NodeId) {
    let mut many = Many::of(3).await;
    let worker = many.node(NodeRole::Worker).await;
    let mut spec = many.seats[0].snapshot().cluster().unwrap().spec.clone();
    spec.heartbeat_period = PERIOD;
    many.change(Change::UpdateCluster(Box::new(spec))).await;
    for seat in &many.seats {
        eventually("it is fit", || seat.manager.core.is_fit().then_some(())).await;
    }
    (many, worker)
}

fn state(seat: &Seat, node: NodeId) -> NodeState {
    seat.snapshot().node(&node).unwrap().status.state
}

/// Sends heartbeats for that long; the node is never given up.
async fn live(session: &mut Session, seat: &Seat, node: NodeId, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        session.beat().await.unwrap();
        assert_eq!(state(seat, node), NodeState::Ready);
        tokio::time::sleep(BEAT).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_a_follower_is_vouched_for_also_to_the_next_leader_and_is_down_when_silent() {
    let (mut many, worker) = world().await;
    let (leader, follower) = (many.leader().await.node, many.follower().await.node);
    let mut session = Session::open(&many, many.of_node(follower), worker).await;
    let here = |many: &Many| many.of_node(follower).manager.core.clone();

    live(&mut session, many.of_node(follower), worker, 2 * GRACE).await;
    many.kill(leader).await;
    let seat = many.of_node(follower);
    let led = here(&many);
    while led.leader().is_none_or(|now| now == leader) || !led.is_fit() {
        live(&mut session, seat, worker, BEAT).await;
    }
    live(&mut session, seat, worker, 2 * GRACE).await;

    // Silent from here on.
    eventually("it is down", || (state(seat, worker) == NodeState::Down).then_some(())).await;
    assert_eq!(session.end().await, Code::Aborted);
    assert_eq!(session.beat().await.unwrap_err().code(), Code::Aborted);
    many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_moves_is_heard_at_the_manager_it_moved_to_only() {
    let (many, worker) = world().await;
    let [a, b] = [&many.seats[1], &many.seats[2]];
    let mut before = Session::open(&many, a, worker).await;

    let mut after = Session::open(&many, b, worker).await;

    assert_eq!(before.end().await, Code::Aborted, "its manager sees the newer one");
    assert_eq!(code(before.beat()).await, Code::Aborted);
    assert_eq!(code(before.report(TaskId::MIN)).await, Code::Aborted);
    assert_eq!(code(after.beat()).await, Code::Ok);
    let present = b.snapshot().node(&worker).unwrap().session.clone().unwrap();
    assert_eq!((field::put_id(present.id), present.manager), (after.id.clone(), b.node));
    many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_opens_session_after_session_is_sent_away_and_changes_nothing() {
    let (mut many, worker) = world().await;
    let other = many.node(NodeRole::Worker).await;
    let seat = &many.seats[1];
    let mut client = DispatcherClient::new(seat.to(&many.credentials(worker, NodeRole::Worker)));
    let begun = Instant::now();
    for _ in 0..openings::MOST {
        drop(client.session(opening()).await.unwrap());
    }
    let present = || seat.snapshot().node(&worker).unwrap().session.clone().unwrap().id;
    let before = present();

    let refused = client.session(opening()).await.unwrap_err();

    assert!(begun.elapsed() < openings::WINDOW, "too slow to tell");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert_eq!(present(), before);
    Session::open(&many, seat, other).await.beat().await.unwrap();
    many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_comes_from_a_follower_and_only_its_own_node_reports_on_it() {
    let (mut many, worker) = world().await;
    let other = many.node(NodeRole::Worker).await;
    let follower = many.follower().await;
    let mut session = Session::open(&many, follower, worker).await;
    let request = v1::AssignmentsRequest { session_id: session.id.clone(), epoch: 1 };
    let stream = session.client.assignments(request).await.unwrap();
    let mut assignments = stream.into_inner();
    let first = assignments.message().await.unwrap().unwrap();
    assert!(first.updates.is_empty());

    let id = swarm_types::IdSource::system().draw();
    follower.control().create(id, Some(spec("web", 1))).await.unwrap();

    let next = timeout(SOON, assignments.message()).await.unwrap().unwrap().unwrap();
    assert!(!next.updates.is_empty() && next.applied_index > first.applied_index);
    let task = follower.snapshot().tasks().next().unwrap().id;
    let mut stranger = Session::open(&many, &many.seats[0], other).await;
    assert_eq!(code(stranger.report(task)).await, Code::PermissionDenied);
    assert_eq!(code(session.report(task)).await, Code::Ok);
    let seen = follower.snapshot().task(&task).unwrap().status.state;
    assert_eq!(seen, swarm_types::TaskState::Running, "a report is answered when it is agreed on");
    many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_is_behind_or_of_another_epoch_gives_no_orders() {
    let (many, worker) = world().await;
    let follower = many.follower().await;
    let mut client =
        DispatcherClient::new(follower.to(&many.credentials(worker, NodeRole::Worker)));
    let before = follower.snapshot().node(&worker).unwrap().clone();
    let mut ask = async |epoch, obeyed_index| {
        let request = v1::SessionRequest { epoch, obeyed_index, ..opening() };
        code(client.session(request)).await
    };

    assert_eq!(ask(1, 1 << 40).await, Code::FailedPrecondition);
    assert_eq!(ask(2, 0).await, Code::Aborted);

    assert_eq!(*follower.snapshot().node(&worker).unwrap(), before);
    many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_without_a_quorum_sends_its_nodes_away() {
    let (mut many, worker) = world().await;
    let follower = many.follower().await.node;
    let mut session = Session::open(&many, many.of_node(follower), worker).await;
    assert!(!session.beat().await.unwrap());

    for node in many.nodes() {
        if node != follower {
            many.kill(node).await;
        }
    }
    let seat = many.of_node(follower);
    eventually("it notices", || (!seat.manager.core.is_fit()).then_some(())).await;

    assert!(session.beat().await.unwrap(), "move");
    let request = v1::AssignmentsRequest { session_id: session.id.clone(), epoch: 1 };
    assert_eq!(code(session.client.assignments(request)).await, Code::Unavailable);
    assert_eq!(code(session.client.session(opening())).await, Code::Unavailable);
    many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_told_of_settings_and_of_their_nodes_role() {
    let (mut many, worker) = world().await;
    let mut session = Session::open(&many, many.follower().await, worker).await;
    let mut spec = many.seats[0].snapshot().cluster().unwrap().spec.clone();
    spec.heartbeat_period = 2 * PERIOD;

    many.change(Change::UpdateCluster(Box::new(spec))).await;
    session
        .until(|message| u128::from(message.heartbeat_period_ms) == 2 * PERIOD.as_millis())
        .await;

    let spec = NodeSpec { role: NodeRole::Manager, ..NodeSpec::default() };
    many.change(Change::UpdateNode(worker, spec)).await;
    let role = v1::NodeRole::Manager;
    session.until(|message| message.node.as_ref().is_some_and(|it| it.role() == role)).await;
    many.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_told_of_a_manager_that_comes() {
    let (mut many, worker) = world().await;
    let follower = many.follower().await.node;
    let mut session = Session::open(&many, many.of_node(follower), worker).await;
    assert_eq!(session.managers.len(), 3);

    let node = many.node(NodeRole::Manager).await;
    many.join(node).await;
    many.admit(node).await.unwrap();

    let message = session.until(|message| message.managers.len() == 4).await;
    let told: BTreeSet<String> = message.managers.into_iter().map(|it| it.addr).collect();
    assert_eq!(told, many.seats.iter().map(Seat::addr).collect());
    many.end().await;
}

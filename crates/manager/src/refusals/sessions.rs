//! Sessions that are not, or not any more, those of the node that names them.

use futures::future::join_all;
use swarm_proto::v1::dispatcher_client::DispatcherClient;
use swarm_proto::v1::relay_client::RelayClient;
use swarm_proto::{field, v1};
use swarm_types::object::node::NodeDescription;
use swarm_types::spec::node::NodeRole;
use swarm_types::{TaskId, TaskStatus};
use tonic::transport::Channel;
use tonic::{Code, Streaming};

use super::{Many, facts};
use crate::testing::many::code;

/// A session, for as long as it is held.
struct Session {
    id: Vec<u8>,
    messages: Streaming<v1::SessionMessage>,
}

async fn open(channel: &Channel) -> Session {
    let description = Some((&NodeDescription::default()).into());
    let opening = v1::SessionRequest { description, epoch: 1, ..Default::default() };
    let opened = DispatcherClient::new(channel.clone()).session(opening).await;
    let mut messages = opened.unwrap().into_inner();
    let first = messages.message().await.unwrap().unwrap();
    Session { id: first.session_id, messages }
}

/// What every call says that names a session.
async fn said(channel: &Channel, id: &[u8], epoch: u64) -> [Code; 4] {
    let session_id = id.to_vec();
    let (mut dispatcher, mut relay) =
        (DispatcherClient::new(channel.clone()), RelayClient::new(channel.clone()));
    let beat = v1::HeartbeatRequest { session_id: session_id.clone(), epoch };
    let report =
        v1::UpdateTaskStatusRequest { session_id: session_id.clone(), epoch, updates: Vec::new() };
    let ask = v1::AssignmentsRequest { session_id: session_id.clone(), epoch };
    let open = v1::relay_up::Part::Open(v1::RelayOpen { session_id, epoch });
    let serve = tokio_stream::once(v1::RelayUp { part: Some(open) });
    [
        code(dispatcher.heartbeat(beat)).await,
        code(dispatcher.update_task_status(report)).await,
        code(dispatcher.assignments(ask)).await,
        code(relay.serve(serve)).await,
    ]
}

/// What becomes of so many reports in one call, each of a task that is gone.
async fn reports(channel: &Channel, id: &[u8], count: usize) -> Code {
    let status = Some((&TaskStatus::default()).into());
    let update = v1::TaskUpdate { task: field::put_id(TaskId::MIN), status };
    let (session_id, updates) = (id.to_vec(), vec![update; count]);
    let report = v1::UpdateTaskStatusRequest { session_id, epoch: 1, updates };
    code(DispatcherClient::new(channel.clone()).update_task_status(report)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_served_to_its_own_node_while_it_is_the_newest_and_in_its_epoch() {
    let mut many = Many::of(1).await;
    let (node, other) = (many.node(NodeRole::Worker).await, many.node(NodeRole::Worker).await);
    let seat = many.leader().await;
    let to = |node| seat.to(&many.credentials(node, NodeRole::Worker));
    let (own, others) = (to(node), to(other));
    let superseded = open(&own).await;
    let (present, foreign) = (open(&own).await, open(&others).await);
    let before = facts(seat);

    for (which, id, epoch) in [
        ("superseded", &superseded.id, 1),
        ("another node's", &foreign.id, 1),
        ("of another epoch", &present.id, 2),
    ] {
        assert_eq!(said(&own, id, epoch).await, [Code::Aborted; 4], "{which}");
    }

    assert_eq!(said(&own, &present.id, 1).await, [Code::Ok; 4]);
    let reports = [10_000, 10_001].map(|count| reports(&own, &present.id, count));
    assert_eq!(join_all(reports).await, [Code::Ok, Code::InvalidArgument]);
    assert_eq!(facts(seat), before);
    drop((superseded.messages, present.messages, foreign.messages));
    many.end().await;
}

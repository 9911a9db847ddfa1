use futures::FutureExt;
use swarm_types::object::node::{NodeSession, NodeStatus};
use swarm_types::{Change, IdSource, Timestamp};

use swarm_types::object::node::NodeState;

use super::*;
use crate::testing::World;

fn ids<const N: usize>() -> [TaskId; N] {
    let mut ids = IdSource::seeded(7);
    std::array::from_fn(|_| ids.draw())
}

fn carried(hub: &Hub, node: NodeId, id: SessionId) -> Arc<Live> {
    hub.carry(node, id, CancellationToken::new(), || Some(id)).unwrap()
}

fn some(tasks: impl IntoIterator<Item = TaskId>) -> Marks {
    Marks { all: false, tasks: tasks.into_iter().collect() }
}

#[test]
fn a_session_that_was_superseded_before_it_is_carried_is_not_carried() {
    let (hub, mut ids) = (Hub::new(), IdSource::seeded(1));
    let (node, late, newer) = (ids.draw(), ids.draw(), ids.draw());
    let live = carried(&hub, node, newer);

    let carried = hub.carry(node, late, CancellationToken::new(), || Some(newer));

    assert!(carried.is_none());
    assert!(!live.closed.is_cancelled());
    assert_eq!(hub.session(&node).unwrap().id, newer);
}

#[test]
fn a_newer_session_closes_the_one_before_it_and_outlives_its_end() {
    let (hub, mut ids) = (Hub::new(), IdSource::seeded(1));
    let node = ids.draw();
    let before = carried(&hub, node, ids.draw());

    let newer = carried(&hub, node, ids.draw());
    hub.drop_session(&before);

    assert!(before.closed.is_cancelled() && !newer.closed.is_cancelled());
    assert_eq!(hub.session(&node).unwrap().id, newer.id);
}

#[test]
fn a_stream_begins_with_everything_and_then_takes_each_mark_once() {
    let (hub, mut source) = (Hub::new(), IdSource::seeded(1));
    let live = carried(&hub, source.draw(), source.draw());
    let [first, second] = ids();

    let pile = live.begin_stream();

    assert_eq!(pile.take().now_or_never(), Some(Marks::all()));
    live.mark(first);
    live.mark(second);
    live.mark(first);
    assert_eq!(pile.take().now_or_never(), Some(some([first, second])));
    assert_eq!(pile.take().now_or_never(), None);
}

#[test]
fn marks_go_to_the_newest_stream_even_while_an_older_one_waits() {
    let (hub, mut source) = (Hub::new(), IdSource::seeded(1));
    let live = carried(&hub, source.draw(), source.draw());
    let [task] = ids();
    let older = live.begin_stream();
    older.take().now_or_never();
    let mut waiting = Box::pin(older.take());
    assert!((&mut waiting).now_or_never().is_none());

    let newer = live.begin_stream();
    newer.take().now_or_never();
    live.mark(task);

    assert!(older.replaced.is_cancelled());
    assert_eq!(waiting.now_or_never(), None);
    assert_eq!(newer.take().now_or_never(), Some(some([task])));
}

#[test]
fn a_slow_stream_costs_a_bounded_number_of_marks_and_loses_none() {
    let (hub, mut source) = (Hub::new(), IdSource::seeded(1));
    let live = carried(&hub, source.draw(), source.draw());
    let pile = live.begin_stream();
    pile.take().now_or_never();

    for task in ids::<{ MOST_MARKS + 10 }>() {
        live.mark(task);
        assert!(lock(&pile.marks).tasks.len() <= MOST_MARKS);
    }

    assert_eq!(pile.take().now_or_never(), Some(Marks::all()));
}

fn node(id: NodeId, session: SessionId, state: NodeState) -> Node {
    Node {
        id,
        meta: Default::default(),
        spec: Default::default(),
        description: Default::default(),
        status: NodeStatus { state, ..NodeStatus::default() },
        role: Default::default(),
        key_fingerprint: Vec::new(),
        session: Some(NodeSession {
            id: session,
            manager: id,
            boot_id: String::new(),
            opened_at: Timestamp(0),
        }),
        attachments: Vec::new(),
    }
}

#[test]
fn the_session_of_a_node_that_is_down_is_closed() {
    let mut ids = IdSource::seeded(1);
    let (id, session) = (ids.draw(), ids.draw());
    let node = |state| node(id, session, state);
    let hub = Hub::new();
    let live = carried(&hub, id, session);

    hub.node_changed(&node(NodeState::Ready));
    assert!(hub.session(&id).is_some() && !live.closed.is_cancelled());

    hub.node_changed(&node(NodeState::Down));
    assert!(hub.session(&id).is_none() && live.closed.is_cancelled());
}

#[tokio::test]
async fn nodes_that_were_removed_unseen_are_forgotten() {
    let mut world = World::new().await;
    let (hub, mut ids) = (Hub::new(), IdSource::seeded(2));
    let [stays, here, elsewhere]: [NodeId; 3] = std::array::from_fn(|_| ids.draw());
    let session = ids.draw();
    let present = node(stays, session, NodeState::Ready);
    world.change(Change::CreateNode(Box::new(present))).await;
    let live = carried(&hub, here, session);
    for node in [stays, here, elsewhere] {
        hub.hear(node, session);
        assert!(["a", "b"].iter().all(|boot| !lock(&hub.hosts).opened(node, boot)));
    }

    hub.resync(&world.core.raft.snapshot());

    assert!(hub.session(&here).is_none() && live.closed.is_cancelled());
    let heard = |node: NodeId| hub.liveness().age(&node, session, boot_time()).is_some();
    assert_eq!([stays, here, elsewhere].map(heard), [true, false, false]);
    let remembered = |node: NodeId| lock(&hub.hosts).opened(node, "a");
    assert_eq!([stays, here, elsewhere].map(remembered), [true, false, false]);
}

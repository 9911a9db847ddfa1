use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use swarm_types::object::secret::Secret;
use swarm_types::spec::node::{Availability, NodeRole, NodeSpec};
use swarm_types::spec::secret::SecretSpec;
use swarm_types::spec::service::ServiceSpec;
use swarm_types::{Change, Meta, Sensitive, ServiceId};
use tokio::time::timeout;
use tonic::Code;
use v1::ObjectKind as Kind;
use v1::object_event::Action;

use super::*;
use crate::access::Access;
use crate::testing::{World, manager};

const SOON: Duration = Duration::from_secs(20);

fn watch(world: &World, kinds: &[Kind]) -> Events {
    let control = Control::new(world.core.clone(), Access::Local);
    let kinds = kinds.iter().map(|kind| (*kind).into()).collect();
    control.events(Caller::Local, &v1::WatchRequest { kinds }).unwrap()
}

async fn next(events: &mut Events) -> Option<Result<v1::WatchResponse, Status>> {
    timeout(SOON, events.next()).await.expect("an answer")
}

async fn event(events: &mut Events) -> v1::ObjectEvent {
    let mut answer = next(events).await.unwrap().unwrap();
    assert_eq!(answer.events.len(), 1, "{answer:?}");
    answer.events.remove(0)
}

fn attributes<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

fn told_of(event: v1::ObjectEvent) -> BTreeMap<String, String> {
    event.attributes.into_iter().collect()
}

async fn create(world: &mut World) -> (ServiceId, ServiceSpec) {
    let spec = crate::testing::spec("web", 2);
    let control = Control::new(world.core.clone(), Access::Local);
    let created = control.create(world.request(), Some(spec)).await.unwrap().service.unwrap();
    let id = field::id(&created.id, "id").unwrap();
    (id, world.core.raft.snapshot().service(&id).unwrap().spec.clone())
}

#[tokio::test]
async fn a_service_tells_its_image_and_replicas_when_they_change() {
    let mut world = World::new().await;
    let mut events = watch(&world, &[Kind::Service]);
    let first = next(&mut events).await.unwrap().unwrap();
    assert_eq!(first.applied_index, world.core.raft.snapshot().applied());
    assert_eq!(first.events, []);

    let (id, mut spec) = create(&mut world).await;
    let created = event(&mut events).await;
    assert_eq!(
        (created.action(), created.kind(), &*created.name),
        (Action::Create, Kind::Service, "web")
    );
    assert_eq!(created.id, field::put_id(id));
    spec.mode = ServiceMode::Replicated { replicas: 5 };
    world.change(Change::UpdateService(id, Box::new(spec.clone()))).await;
    let scaled = event(&mut events).await;
    assert_eq!(scaled.action(), Action::Update);
    assert_eq!(told_of(scaled), attributes([("replicas.old", "2"), ("replicas.new", "5")]));
    if let swarm_types::spec::task::TaskRuntime::Container(container) = &mut spec.task.runtime {
        "web:2".clone_into(&mut container.image);
    }
    world.change(Change::UpdateService(id, Box::new(spec))).await;
    let changed = told_of(event(&mut events).await);
    assert_eq!(changed["image.new"], "web:2");
    assert!(changed.contains_key("image.old") && !changed.contains_key("replicas.new"));
    world.change(Change::RemoveService(id)).await;
    assert_eq!(event(&mut events).await.action(), Action::Remove);
}

#[tokio::test]
async fn a_node_tells_its_availability_and_only_kinds_that_were_asked_for_come() {
    let mut world = World::new().await;
    let mut events = watch(&world, &[Kind::Node]);
    next(&mut events).await;

    create(&mut world).await;
    let spec = NodeSpec {
        role: NodeRole::Manager,
        availability: Availability::Drain,
        ..NodeSpec::default()
    };
    world.change(Change::UpdateNode(world.node, spec)).await;

    let drained = event(&mut events).await;
    assert_eq!(drained.kind(), Kind::Node);
    let expected = attributes([("availability.old", "active"), ("availability.new", "drain")]);
    assert_eq!(told_of(drained), expected);
}

#[tokio::test]
async fn a_change_of_leader_is_an_update_of_both_nodes() {
    let mut world = World::new().await;
    let other = manager(world.ids.draw());
    let id = other.id;
    world.change(Change::CreateNode(Box::new(other))).await;
    let (tell, leadership) =
        tokio::sync::watch::channel(Leadership::Leader { term: 1, incarnation: 1 });
    let mut watcher = Watcher {
        core: world.core.clone(),
        caller: Caller::Local,
        kinds: [Kind::Node.into()].into(),
        watch: world.core.raft.watch().1,
        leadership,
        leader: Some(world.node),
    };

    // Nobody known to lead, then the same again: nothing to tell.
    for leadership in [
        Leadership::NoQuorum,
        Leadership::Leader { term: 2, incarnation: 1 },
        Leadership::Follower { leader: None },
    ] {
        tell.send(leadership).unwrap();
        assert_eq!(watcher.led().events, []);
    }
    tell.send(Leadership::Follower { leader: Some(id) }).unwrap();
    let told = timeout(SOON, watcher.next()).await.unwrap().unwrap().unwrap();

    let of = |node, leads: bool| {
        let (old, new) = ((!leads).to_string(), leads.to_string());
        let attributes = attributes([("leader.old", &old), ("leader.new", &new)]);
        (Action::Update, Kind::Node, field::put_id(node), attributes)
    };
    let told: Vec<_> = told
        .events
        .into_iter()
        .map(|it| (it.action(), it.kind(), it.id.clone(), told_of(it)))
        .collect();
    assert_eq!(told, [of(world.node, false), of(id, true)]);
}

#[tokio::test]
async fn the_value_of_a_secret_is_not_told() {
    let mut world = World::new().await;
    let mut events = watch(&world, &[]);
    next(&mut events).await;
    let mut spec = SecretSpec::default();
    "key".clone_into(&mut spec.annotations.name);
    spec.data = Sensitive::new(b"hunter2".to_vec());
    let id = world.ids.draw();

    let secret = Secret { id, meta: Meta::default(), spec, internal: false };
    world.change(Change::CreateSecret(Box::new(secret))).await;

    let told = event(&mut events).await;
    assert_eq!((told.kind(), &*told.name), (Kind::Secret, "key"));
    assert_eq!(told.attributes.len(), 0);
}

#[tokio::test]
async fn a_reader_that_falls_behind_is_told_and_the_stream_ends() {
    let mut world = World::new().await;
    let mut events = watch(&world, &[Kind::Task]);
    next(&mut events).await;
    for _ in 0..300 {
        world.change(Change::SetNodeKey(world.node, vec![2; 32])).await;
    }

    let missed = next(&mut events).await.unwrap().unwrap_err();

    assert_eq!(missed.code(), Code::Aborted);
    assert!(next(&mut events).await.is_none());
}

#[tokio::test]
async fn a_stream_ends_with_the_manager_and_with_the_callers_right() {
    let mut world = World::new().await;
    let control = Control::new(world.core.clone(), Access::Certificate);
    let other = manager(world.ids.draw());
    let id = other.id;
    world.change(Change::CreateNode(Box::new(other))).await;
    let mut events = control.events(Caller::Node(id), &v1::WatchRequest::default()).unwrap();
    next(&mut events).await;

    world.change(Change::SetNodeRole(id, NodeRole::Worker)).await;
    let refused = next(&mut events).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);

    let mut events = watch(&world, &[]);
    next(&mut events).await;
    world.core.stopping.cancel();
    assert!(next(&mut events).await.is_none());
}

#[tokio::test]
async fn kinds_that_do_not_exist_are_refused() {
    let world = World::new().await;
    let control = Control::new(world.core.clone(), Access::Local);
    for kind in [0, 99, -1] {
        let request = v1::WatchRequest { kinds: vec![kind] };
        let refused = control.events(Caller::Local, &request).err().unwrap();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}

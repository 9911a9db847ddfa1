use swarm_types::spec::service::ServiceSpec;
use swarm_types::{
    AssignTask, Change, CreateTask, NewTemplate, ObserveTask, OpenSession, ServiceId, TaskStatus,
    Timestamp,
};

use super::*;
use crate::testing::{World, spec};

async fn service(world: &mut World) -> (ServiceId, u64) {
    let id: ServiceId = world.ids.draw();
    let service = swarm_types::Service {
        id,
        meta: swarm_types::Meta::default(),
        spec: ServiceSpec::try_from(spec("web", 3)).unwrap(),
        previous: None,
        endpoint: Default::default(),
        update_status: None,
        job: None,
    };
    world.change(Change::CreateService(Box::new(service))).await;
    let version = world.core.raft.snapshot().service(&id).unwrap().meta.spec_version;
    (id, version)
}

async fn task(world: &mut World, (service, spec_version): (ServiceId, u64), slot: u64) -> TaskId {
    let id: TaskId = world.ids.draw();
    let create = CreateTask {
        id,
        template: NewTemplate::Service { service, spec_version },
        slot,
        node: None,
        desired: TaskState::Running,
        replaces: None,
        start_after: Timestamp(0),
        job_iteration: None,
    };
    world.change(Change::CreateTask(Box::new(create))).await;
    id
}

async fn assign(world: &mut World, task: TaskId) {
    let assign = AssignTask {
        task,
        node: world.node,
        generic: Vec::new(),
        volumes: Vec::new(),
        message: String::new(),
    };
    world.change(Change::SetTaskPending(task, Vec::new())).await;
    world.change(Change::AssignTask(Box::new(assign))).await;
}

fn of(task: TaskId) -> Marks {
    Marks { tasks: [task].into(), ..Marks::default() }
}

/// What a message says: its kind, the tasks in it, and those that are gone.
fn told(message: v1::AssignmentsMessage) -> (Kind, Vec<TaskId>, Vec<TaskId>) {
    let (mut tasks, mut gone) = (Vec::new(), Vec::new());
    for update in &message.updates {
        match update.update.as_ref().unwrap() {
            Update::Task(task) => tasks.push(field::id(&task.id, "id").unwrap()),
            Update::Removed(id) => gone.push(field::id(id, "id").unwrap()),
        }
    }
    (message.kind(), tasks, gone)
}

#[tokio::test]
async fn a_node_is_told_everything_once_and_then_what_managers_decide() {
    let mut world = World::new().await;
    let web = service(&mut world).await;
    let (first, second) = (task(&mut world, web, 1).await, task(&mut world, web, 2).await);
    assign(&mut world, first).await;
    let (mut sent, node) = (Sent::default(), world.node);
    let mut next = |world: &World, marks: &Marks| {
        sent.next(&world.core.raft.snapshot(), node, marks).map(told)
    };

    assert_eq!(next(&world, &Marks::all()), Some((Kind::Complete, vec![first], vec![])));
    assert_eq!(next(&world, &of(second)), None, "not assigned yet");
    assign(&mut world, second).await;
    assert_eq!(next(&world, &of(second)), Some((Kind::Incremental, vec![second], vec![])));
    assert_eq!(next(&world, &Marks::all()), None, "nothing is told twice");

    let desired = TaskState::Shutdown;
    world.change(Change::SetDesired { task: first, desired, reason: String::new() }).await;
    assert_eq!(next(&world, &of(first)), Some((Kind::Incremental, vec![first], vec![])));
}

#[tokio::test]
async fn what_a_node_said_itself_is_not_told_back_and_what_is_gone_is_told_once() {
    let mut world = World::new().await;
    let web = service(&mut world).await;
    let (first, second) = (task(&mut world, web, 1).await, task(&mut world, web, 2).await);
    assign(&mut world, first).await;
    assign(&mut world, second).await;
    let (session, node) = (world.ids.draw(), world.node);
    let open = OpenSession {
        node,
        session,
        manager: node,
        boot_id: String::new(),
        description: Box::default(),
        addr: String::new(),
    };
    world.change(Change::OpenSession(Box::new(open))).await;
    let mut sent = Sent::default();
    let mut next = |world: &World, marks: &Marks| {
        sent.next(&world.core.raft.snapshot(), node, marks).map(told)
    };
    assert!(next(&world, &Marks::all()).is_some());

    for state in [TaskState::Running, TaskState::Failed] {
        let status = TaskStatus { state, ..TaskStatus::default() };
        let observe = ObserveTask { task: first, node, session, status };
        world.change(Change::ObserveTask(Box::new(observe))).await;
        assert_eq!(next(&world, &of(first)), None, "{state}");
        assert_eq!(next(&world, &Marks::all()), None, "{state}");
    }
    world.change(Change::RemoveTask(first)).await;
    assert_eq!(next(&world, &of(first)), Some((Kind::Incremental, vec![], vec![first])));
    assert_eq!(next(&world, &of(first)), None);
    assert_eq!(next(&world, &Marks::all()), None);
}

#[tokio::test]
async fn a_message_applies_to_the_one_before_it_also_when_nothing_is_to_do() {
    let mut world = World::new().await;
    let mut sent = Sent::default();
    let snapshot = world.core.raft.snapshot();

    let first = sent.next(&snapshot, world.node, &Marks::all()).unwrap();
    let web = service(&mut world).await;
    let task = task(&mut world, web, 1).await;
    assign(&mut world, task).await;
    let second = sent.next(&world.core.raft.snapshot(), world.node, &of(task)).unwrap();

    assert_eq!(told(first.clone()), (Kind::Complete, vec![], vec![]));
    assert_eq!(first.applies_to, "");
    assert_eq!(second.applies_to, first.results_in);
    assert!(second.applied_index > first.applied_index);
}

/// The channel holds one message and nobody reads: the stream is blocked when it is closed.
#[tokio::test]
async fn a_stream_nobody_reads_ends_with_its_session() {
    let mut world = World::new().await;
    let web = service(&mut world).await;
    let closed = tokio_util::sync::CancellationToken::new();
    let (node, id) = (world.node, world.ids.draw());
    let live = world.core.hub.carry(node, id, closed.clone(), || Some(id)).unwrap();
    let held = stream(world.core.clone(), live.clone());
    for slot in 1..=3 {
        let task = task(&mut world, web, slot).await;
        assign(&mut world, task).await;
        live.mark(task);
    }

    closed.cancel();

    world.core.tracker.close();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(5), world.core.tracker.wait());
    assert!(ended.await.is_ok());
    drop(held);
}

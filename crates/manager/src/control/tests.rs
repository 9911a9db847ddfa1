use swarm_proto::field;
use tonic::Code;

use super::*;
use crate::testing::{World, spec};

fn control(world: &World) -> Control {
    Control::new(world.core.clone(), Access::Local)
}

async fn create(control: &Control, id: RequestId, name: &str) -> Result<v1::Service, Status> {
    let created = control.create(id, Some(spec(name, 2))).await?;
    Ok(created.service.unwrap())
}

fn update(service: &v1::Service, spec_version: u64, replicas: u64) -> v1::UpdateServiceRequest {
    v1::UpdateServiceRequest {
        request_id: Vec::new(),
        id: service.id.clone(),
        spec_version,
        spec: Some(spec("web", replicas)),
    }
}

#[tokio::test]
async fn a_retry_answers_like_the_first_call_and_does_nothing_more() {
    let mut world = World::new().await;
    let (control, id) = (control(&world), world.request());

    let first = create(&control, id, "web").await.unwrap();
    let again = create(&control, id, "web").await.unwrap();

    assert_eq!(first, again);
    assert_eq!(world.core.raft.snapshot().services().count(), 1);
    let taken = create(&control, world.request(), "WEB").await.unwrap_err();
    assert_eq!(taken.code(), Code::AlreadyExists);
}

#[tokio::test]
async fn an_unnamed_service_keeps_its_made_up_name_when_the_call_is_repeated() {
    let mut world = World::new().await;
    let (control, id) = (control(&world), world.request());

    let first = create(&control, id, "").await.unwrap();
    let again = create(&control, id, "").await.unwrap();

    assert_eq!(first, again);
}

#[tokio::test]
async fn an_update_is_made_once_and_only_on_the_spec_that_was_seen() {
    let mut world = World::new().await;
    let control = control(&world);
    let web = create(&control, world.request(), "web").await.unwrap();
    let id: ServiceId = field::id(&web.id, "id").unwrap();
    let seen = world.core.raft.snapshot().service(&id).unwrap().meta.spec_version;
    let request = world.request();

    let first = control.update(request, id, update(&web, seen, 5)).await.unwrap();
    let again = control.update(request, id, update(&web, seen, 5)).await.unwrap();
    let late = control.update(world.request(), id, update(&web, seen, 7)).await.unwrap_err();

    assert_eq!(first, again);
    assert_eq!(late.code(), Code::FailedPrecondition);
    assert!(late.message().contains("out of sequence"), "{late}");
}

/// The first answer may have been lost; a plain "not found" would say that it never happened.
#[tokio::test]
async fn a_repeated_update_of_a_service_that_is_gone_by_now_says_that_it_was_made() {
    let mut world = World::new().await;
    let control = control(&world);
    let web = create(&control, world.request(), "web").await.unwrap();
    let id: ServiceId = field::id(&web.id, "id").unwrap();
    let seen = world.core.raft.snapshot().service(&id).unwrap().meta.spec_version;
    let (request, removal) = (world.request(), world.request());
    control.update(request, id, update(&web, seen, 5)).await.unwrap();
    control.remove(removal, id).await.unwrap();

    let again = control.update(request, id, update(&web, seen, 5)).await.unwrap_err();

    assert_eq!(again.code(), Code::Aborted, "{again}");
    assert!(control.remove(removal, id).await.is_ok());
    let gone = control.remove(world.request(), id).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
}

#[tokio::test]
async fn what_is_not_served_is_refused_by_name() {
    let mut world = World::new().await;
    let mut round_robin = spec("web", 1);
    round_robin.endpoint.as_mut().unwrap().mode = v1::EndpointMode::DnsRr.into();

    let refused = control(&world).create(world.request(), Some(round_robin)).await.unwrap_err();

    assert_eq!(refused.code(), Code::Unimplemented);
    assert_eq!(refused.message(), "not supported yet: EndpointSpec.Mode");
}

#[tokio::test]
async fn a_service_keeps_its_name_and_mode() {
    let mut world = World::new().await;
    let control = control(&world);
    let web = create(&control, world.request(), "web").await.unwrap();
    let id: ServiceId = field::id(&web.id, "id").unwrap();
    let seen = world.core.raft.snapshot().service(&id).unwrap().meta.spec_version;

    let renamed = v1::UpdateServiceRequest { spec: Some(spec("db", 2)), ..update(&web, seen, 2) };
    let refused = control.update(world.request(), id, renamed).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(refused.message().contains("renaming services"), "{refused}");

    let mut other = spec("web", 2);
    other.task.as_mut().unwrap().force_update = 0;
    other.task.as_mut().unwrap().placement =
        Some(v1::Placement { max_replicas: 1, ..v1::Placement::default() });
    let changed = v1::UpdateServiceRequest { spec: Some(other), ..update(&web, seen, 2) };
    assert!(control.update(world.request(), id, changed).await.is_ok());
}

#[tokio::test]
async fn explain_names_every_node_and_its_filter() {
    let mut world = World::new().await;
    let control = control(&world);
    let web = create(&control, world.request(), "web").await.unwrap();
    let service: ServiceId = field::id(&web.id, "id").unwrap();
    let spec_version = world.core.raft.snapshot().service(&service).unwrap().meta.spec_version;
    let id = world.ids.draw();
    let task = swarm_types::CreateTask {
        id,
        template: swarm_types::NewTemplate::Service { service, spec_version },
        slot: 1,
        node: None,
        desired: swarm_types::TaskState::Running,
        replaces: None,
        start_after: Default::default(),
        job_iteration: None,
    };
    world.change(Change::CreateTask(Box::new(task))).await;
    let ask = |id| v1::ExplainTaskRequest { id: field::put_id(id), stale: false };

    let said = control.explain(ask(id)).await.unwrap();

    let [only] = &said.nodes[..] else { panic!("{said:?}") };
    assert_eq!(only.node, field::put_id(world.node));
    assert_eq!(only.verdict(), v1::node_verdict::Verdict::Refused);
    assert_eq!((&*only.filter, &*only.detail), ("ready", "state is unknown"));
    let stranger: swarm_types::TaskId = world.ids.draw();
    let refused = control.explain(ask(stranger)).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
}

#[tokio::test]
async fn only_stale_reads_have_an_age() {
    let world = World::new().await;
    let control = control(&world);

    assert_eq!(control.view(false).await.unwrap().age_ms, None);
    assert!(control.view(true).await.unwrap().age_ms.is_some());
    world.core.raft.shutdown().await;
    let refused = control.view(false).await.err().unwrap();
    assert!(refused.message().contains("--stale"), "{refused}");
    assert!(control.view(true).await.unwrap().age_ms.is_some());
}

#[tokio::test]
async fn the_port_admits_nobody_without_a_certificate() {
    use v1::control_server::Control as _;
    let world = World::new().await;
    let control = Control::new(world.core.clone(), Access::Certificate);

    let refused = control.remove_service(Request::new(v1::RemoveServiceRequest::default())).await;

    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
}

fn credentials_of(spec: &mut v1::ServiceSpec) -> &mut v1::Sensitive {
    let runtime = spec.task.as_mut().unwrap().runtime.as_mut().unwrap();
    let Some(v1::task_runtime::Runtime::Container(container)) = &mut runtime.runtime else {
        panic!("no container in the spec");
    };
    container.pull.as_mut().unwrap().registry_auth.get_or_insert_default()
}

#[tokio::test]
async fn credentials_are_kept_by_an_update_without_them_and_never_shown() {
    let mut world = World::new().await;
    let control = control(&world);
    let mut with = spec("web", 2);
    credentials_of(&mut with).value = b"secret".to_vec();
    let created = control.create(world.request(), Some(with)).await.unwrap();
    let mut web = created.service.unwrap();
    let id: ServiceId = field::id(&web.id, "id").unwrap();
    let seen = world.core.raft.snapshot().service(&id).unwrap().meta.spec_version;

    let updated = control.update(world.request(), id, update(&web, seen, 5)).await.unwrap();

    let stored = world.core.raft.snapshot().service(&id).unwrap().clone();
    let pull = &stored.spec.task.container().unwrap().pull;
    assert_eq!(pull.registry_auth.expose(), b"secret");
    let get = v1::GetServiceRequest { id: web.id.clone(), stale: true };
    let read = control.service(get).await.unwrap().service.unwrap().service.unwrap();
    for mut shown in [web.spec.take(), updated.service.unwrap().spec, read.spec] {
        assert!(credentials_of(shown.as_mut().unwrap()).value.is_empty());
    }
    let mut previous = read.previous.unwrap().spec.unwrap();
    assert!(credentials_of(&mut previous).value.is_empty());
}

#[tokio::test]
async fn a_rollback_returns_to_the_spec_before_on_what_was_seen() {
    let mut world = World::new().await;
    let control = control(&world);
    let web = create(&control, world.request(), "web").await.unwrap();
    let id: ServiceId = field::id(&web.id, "id").unwrap();
    let version = || world.core.raft.snapshot().service(&id).unwrap().meta.spec_version;
    let request = RequestId::MIN;

    let early = control.roll_back(request, id, version()).await.unwrap_err();
    assert!(early.message().contains("does not have a previous spec"), "{early}");

    let seen = version();
    control.update(IdSource::system().draw(), id, update(&web, seen, 5)).await.unwrap();
    let stale = control.roll_back(IdSource::system().draw(), id, seen).await.unwrap_err();
    assert_eq!(stale.code(), Code::FailedPrecondition);

    let done = control.roll_back(IdSource::system().draw(), id, version()).await.unwrap();
    let service = done.service.unwrap();
    assert_eq!(service.spec, web.spec);
    let state = service.update_status.unwrap().state();
    assert_eq!(state, v1::UpdateState::RollbackStarted);
}

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
    let mut global = spec("web", 1);
    global.task.as_mut().unwrap().networks.clear();

    let refused = control(&world).create(world.request(), Some(global)).await.unwrap_err();

    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(refused.message().starts_with("not supported yet: TaskTemplate.Networks"));
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

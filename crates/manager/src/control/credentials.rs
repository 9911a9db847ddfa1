//! Credentials of registries: stored with a service, shown to nobody but the nodes that pull.

use swarm_proto::v1;
use swarm_types::spec::service::ServiceSpec;
use swarm_types::spec::task::TaskRuntime;

/// A service as users see it.
pub(super) fn without(mut service: v1::Service) -> v1::Service {
    let previous = service.previous.as_mut().and_then(|previous| previous.spec.as_mut());
    for spec in service.spec.iter_mut().chain(previous) {
        blank(spec.task.as_mut());
    }
    service
}

/// The templates of a list of tasks as users see them.
pub(super) fn without_in(mut templates: Vec<v1::Template>) -> Vec<v1::Template> {
    templates.iter_mut().for_each(|template| blank(template.spec.as_mut()));
    templates
}

/// A task as users see it.
pub(super) fn without_of(mut task: v1::Task) -> v1::Task {
    if let Some(v1::task::Template::Own(template)) = &mut task.template {
        blank(template.spec.as_mut());
    }
    task
}

/// An update, with the stored credentials when it brings none.
pub(super) fn kept(stored: &ServiceSpec, mut update: ServiceSpec) -> ServiceSpec {
    if let TaskRuntime::Container(new) = &mut update.task.runtime
        && new.pull.registry_auth.expose().is_empty()
        && let Some(old) = stored.task.container()
    {
        new.pull.clone_from(&old.pull);
    }
    update
}

fn blank(task: Option<&mut v1::TaskSpec>) {
    let runtime = task.and_then(|task| task.runtime.as_mut()?.runtime.as_mut());
    if let Some(v1::task_runtime::Runtime::Container(container)) = runtime
        && let Some(pull) = &mut container.pull
    {
        pull.registry_auth = Some(v1::Sensitive::default());
    }
}

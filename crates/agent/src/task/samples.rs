//! Tasks for tests.

use std::sync::Arc;

use swarm_types::object::Meta;
use swarm_types::spec::Annotations;
use swarm_types::spec::container::ContainerSpec;
use swarm_types::spec::service::EndpointSpec;
use swarm_types::spec::task::{NetworkAttachmentConfig, TaskRuntime, TaskSpec};
use swarm_types::{IdSource, Task, TaskState, TaskStatus, Template, Timestamp};

/// Task `slot` of service `web`, assigned and wanted to run, on the host's network.
pub(crate) fn task(slot: u64, change: impl FnOnce(&mut TaskSpec)) -> Task {
    let mut ids = IdSource::seeded(slot);
    let container = ContainerSpec { image: "web:1".to_owned(), ..ContainerSpec::default() };
    let mut spec = TaskSpec {
        runtime: TaskRuntime::Container(Box::new(container)),
        networks: vec![NetworkAttachmentConfig::default()],
        ..TaskSpec::default()
    };
    change(&mut spec);
    let template = Template {
        service: Some(IdSource::seeded(0).draw()),
        spec_version: 1,
        service_annotations: Annotations { name: "web".to_owned(), ..Annotations::default() },
        endpoint: EndpointSpec::default(),
        global: false,
        spec,
    };
    Task {
        id: ids.draw(),
        meta: Meta::default(),
        template: Arc::new(template),
        slot,
        node: Some(ids.draw()),
        desired: TaskState::Running,
        desired_reason: String::new(),
        status: TaskStatus { state: TaskState::Assigned, ..TaskStatus::default() },
        replaces: None,
        start_after: Timestamp::default(),
        ran_at: Timestamp::default(),
        networks: Vec::new(),
        generic: Vec::new(),
        job_iteration: None,
        volumes: Vec::new(),
    }
}

/// The same task, wanted in another state.
pub(crate) fn wanted(task: &Task, desired: TaskState) -> Task {
    Task { desired, ..task.clone() }
}

/// The same task, as a manager that heard of that state sends it.
pub(crate) fn observed(task: &Task, state: TaskState) -> Task {
    Task { status: TaskStatus { state, ..task.status.clone() }, ..task.clone() }
}

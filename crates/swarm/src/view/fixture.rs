//! Objects for the tests of views and commands.

use std::sync::Arc;

use swarm_types::object::node::{NodeDescription, NodeState, NodeStatus};
use swarm_types::object::task::{TaskStatus, Template};
use swarm_types::spec::node::{NodeRole, NodeSpec};
use swarm_types::spec::service::{PortConfig, PublishMode, ServiceSpec};
use swarm_types::spec::task::TaskRuntime;
use swarm_types::{FreshId, IdSource, Meta, Node, Service, Task, TaskState, Timestamp};

/// A time, in seconds since the epoch.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000_000_000)
}

/// The id that the fixture of that seed has, as tables cut it.
pub(crate) fn short_id<T: FreshId + ToString>(seed: u64) -> String {
    IdSource::seeded(seed).draw::<T>().to_string()[..12].to_owned()
}

/// A service with image `web:1` and an ingress port.
pub(crate) fn service(name: &str, seed: u64) -> Service {
    let mut spec = ServiceSpec::default();
    spec.annotations.name = name.to_owned();
    if let TaskRuntime::Container(container) = &mut spec.task.runtime {
        "docker.io/library/web:1".clone_into(&mut container.image);
    }
    let port = PortConfig { target: 80, published: 8080, ..PortConfig::default() };
    let endpoint =
        swarm_types::object::service::Endpoint { ports: vec![port], ..Default::default() };
    Service {
        id: IdSource::seeded(seed).draw(),
        meta: Meta::default(),
        spec,
        previous: None,
        endpoint,
        update_status: None,
        job: None,
    }
}

/// Port 80 on its node's 8080.
pub(crate) fn host_ports() -> Vec<PortConfig> {
    let mode = PublishMode::Host;
    vec![PortConfig { target: 80, published: 8080, mode, ..PortConfig::default() }]
}

/// A running task of a service.
pub(crate) fn task(service: &Service, slot: u64, seed: u64) -> Task {
    let template = Template {
        service: Some(service.id),
        spec_version: service.meta.spec_version,
        service_annotations: service.spec.annotations.clone(),
        endpoint: service.spec.endpoint.clone(),
        global: false,
        spec: service.spec.task.clone(),
    };
    Task {
        id: IdSource::seeded(seed).draw(),
        meta: Meta::default(),
        template: Arc::new(template),
        slot,
        node: None,
        desired: TaskState::Running,
        desired_reason: String::new(),
        status: TaskStatus { state: TaskState::Running, ..TaskStatus::default() },
        replaces: None,
        start_after: Timestamp::default(),
        networks: Vec::new(),
        generic: Vec::new(),
        job_iteration: None,
        volumes: Vec::new(),
        ran_at: Timestamp::default(),
    }
}

/// A ready manager.
pub(crate) fn node(hostname: &str, seed: u64) -> Node {
    Node {
        id: IdSource::seeded(seed).draw(),
        meta: Meta::default(),
        spec: NodeSpec { role: NodeRole::Manager, ..NodeSpec::default() },
        description: NodeDescription {
            hostname: hostname.to_owned(),
            engine_version: "0.1.0".to_owned(),
            ..NodeDescription::default()
        },
        status: NodeStatus { state: NodeState::Ready, ..NodeStatus::default() },
        role: NodeRole::Manager,
        key_fingerprint: Vec::new(),
        session: None,
        attachments: Vec::new(),
    }
}

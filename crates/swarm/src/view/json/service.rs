//! A service as `GET /services/{id}` shows it.

use serde_json::{Value, json};
use swarm_types::Service;
use swarm_types::object::service::UpdateStatus;
use swarm_types::spec::service::{PortConfig, ServiceMode, ServiceSpec, UpdateConfig};
use swarm_types::spec::task::{
    GenericResource, Placement, PlacementPreference, Resources, RestartCondition, RestartPolicy,
    TaskSpec,
};

use super::container::{container, driver};
use super::{Fields, nanoseconds, time, words};

pub(crate) fn service(service: &Service) -> Value {
    let previous = service.previous.as_ref().map(|previous| spec(&previous.spec));
    Fields::default()
        .with("ID", service.id.as_str())
        .with_meta(&service.meta)
        .with("Spec", spec(&service.spec))
        .with_some("PreviousSpec", previous)
        .with(
            "Endpoint",
            Fields::default()
                .with("Spec", endpoint(&service.spec))
                .with_some("Ports", ports(&service.endpoint.ports)),
        )
        .with_some("UpdateStatus", service.update_status.as_ref().map(update_status))
        .into()
}

fn spec(spec: &ServiceSpec) -> Value {
    Fields::default()
        .with("Name", spec.annotations.name.as_str())
        .with("Labels", json!(spec.annotations.labels))
        .with("TaskTemplate", template(&spec.task))
        .with("Mode", mode(spec.mode))
        .with_some("UpdateConfig", spec.update.as_ref().map(update))
        .with_some("RollbackConfig", spec.rollback.as_ref().map(update))
        .with("EndpointSpec", endpoint(spec))
        .into()
}

fn mode(mode: ServiceMode) -> Value {
    match mode {
        ServiceMode::Replicated { replicas } => json!({ "Replicated": { "Replicas": replicas } }),
        ServiceMode::Global => json!({ "Global": {} }),
        ServiceMode::ReplicatedJob { max_concurrent, total_completions } => json!({
            "ReplicatedJob": { "MaxConcurrent": max_concurrent, "TotalCompletions": total_completions }
        }),
        ServiceMode::GlobalJob => json!({ "GlobalJob": {} }),
    }
}

fn update(config: &UpdateConfig) -> Value {
    Fields::default()
        .with("Parallelism", config.parallelism)
        .with_some("Delay", nanoseconds(config.delay))
        .with("FailureAction", words::failure_action(config.failure_action))
        .with_some("Monitor", nanoseconds(config.monitor))
        .with("MaxFailureRatio", f64::from(config.max_failure_millionths) / 1e6)
        .with("Order", words::update_order(config.order))
        .into()
}

fn endpoint(spec: &ServiceSpec) -> Value {
    Fields::default()
        .with("Mode", words::endpoint_mode(spec.endpoint.mode))
        .with_some("Ports", ports(&spec.endpoint.ports))
        .into()
}

fn ports(ports: &[PortConfig]) -> Vec<Value> {
    let port = |port: &PortConfig| {
        Fields::default()
            .with_some("Name", port.name.as_str())
            .with("Protocol", port.protocol.as_str())
            .with("TargetPort", port.target)
            .with_some("PublishedPort", port.published)
            .with("PublishMode", words::publish_mode(port.mode))
            .into()
    };
    ports.iter().map(port).collect()
}

fn update_status(status: &UpdateStatus) -> Value {
    Fields::default()
        .with("State", words::update_state(status.state))
        .with_some("StartedAt", status.started_at.map(time))
        .with_some("CompletedAt", status.completed_at.map(time))
        .with("Message", status.message.as_str())
        .into()
}

fn template(task: &TaskSpec) -> Value {
    Fields::default()
        .with_some("ContainerSpec", task.container().map(container))
        .with("Resources", resources(&task.resources))
        .with("RestartPolicy", restart(&task.restart))
        .with("Placement", placement(&task.placement))
        .with_some("Networks", networks(task))
        .with_some("LogDriver", task.log_driver.as_ref().map(driver))
        .with("ForceUpdate", task.force_update)
        .with("Runtime", "container")
        .into()
}

fn resources(resources: &Resources) -> Value {
    let limits = Fields::default()
        .with_some("NanoCPUs", resources.limits.nano_cpus)
        .with_some("MemoryBytes", resources.limits.memory_bytes)
        .with_some("Pids", resources.limits.pids);
    let reservations = Fields::default()
        .with_some("NanoCPUs", resources.reservations.nano_cpus)
        .with_some("MemoryBytes", resources.reservations.memory_bytes)
        .with_some("GenericResources", generic(&resources.reservations.generic));
    Fields::default()
        .with("Limits", limits)
        .with("Reservations", reservations)
        .with_some("SwapBytes", resources.swap_bytes)
        .with_some("MemorySwappiness", resources.memory_swappiness)
        .into()
}

fn generic(resources: &[GenericResource]) -> Vec<Value> {
    let one = |resource: &GenericResource| match resource {
        GenericResource::Named { kind, value } => {
            json!({ "NamedResourceSpec": { "Kind": kind, "Value": value } })
        }
        GenericResource::Discrete { kind, value } => {
            json!({ "DiscreteResourceSpec": { "Kind": kind, "Value": value } })
        }
    };
    resources.iter().map(one).collect()
}

fn restart(policy: &RestartPolicy) -> Value {
    let condition = match policy.condition {
        RestartCondition::None => "none",
        RestartCondition::OnFailure => "on-failure",
        RestartCondition::Any => "any",
    };
    Fields::default()
        .with("Condition", condition)
        .with_some("Delay", nanoseconds(policy.delay))
        .with("MaxAttempts", policy.max_attempts)
        .with_some("Window", nanoseconds(policy.window))
        .into()
}

fn placement(placement: &Placement) -> Value {
    let platforms: Vec<Value> = placement
        .platforms
        .iter()
        .map(|it| json!({ "Architecture": it.architecture, "OS": it.os }))
        .collect();
    let spread = |PlacementPreference::Spread { descriptor }: &PlacementPreference| json!({ "Spread": { "SpreadDescriptor": descriptor } });
    Fields::default()
        .with_some("Constraints", json!(placement.constraints))
        .with_some("Preferences", placement.preferences.iter().map(spread).collect::<Vec<_>>())
        .with_some("MaxReplicas", placement.max_replicas)
        .with_some("Platforms", platforms)
        .into()
}

fn networks(task: &TaskSpec) -> Vec<Value> {
    task.networks
        .iter()
        .map(|network| json!({ "Target": words::network(network.target) }))
        .collect()
}

#[cfg(test)]
mod tests {
    use swarm_types::spec::service::ServiceSpec;
    use swarm_types::{IdSource, Meta};

    use super::*;

    #[test]
    fn empty_fields_are_left_out_and_durations_are_nanoseconds() {
        let mut spec = ServiceSpec::default();
        spec.annotations.name = "web".to_owned();
        spec.task.networks = vec![Default::default()];
        let it = Service {
            id: IdSource::seeded(1).draw(),
            meta: Meta { version: 7, ..Meta::default() },
            spec,
            previous: None,
            endpoint: Default::default(),
            update_status: None,
            job: None,
        };

        let shown = service(&it);

        assert_eq!(shown["Version"]["Index"], 7);
        assert_eq!(shown["CreatedAt"], "1970-01-01T00:00:00Z");
        assert_eq!(shown["Spec"]["Mode"]["Replicated"]["Replicas"], 1);
        assert_eq!(shown["Spec"]["TaskTemplate"]["RestartPolicy"]["Delay"], 5_000_000_000_u64);
        assert_eq!(shown["Spec"]["TaskTemplate"]["Networks"][0]["Target"], "host");
        assert!(shown.get("PreviousSpec").is_none());
        assert!(shown["Spec"]["TaskTemplate"]["ContainerSpec"].get("Env").is_none());
    }
}

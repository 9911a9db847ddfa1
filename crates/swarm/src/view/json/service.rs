//! A service as `GET /services/{id}` shows it.

use serde_json::{Value, json};
use swarm_types::Service;
use swarm_types::spec::container::ContainerSpec;
use swarm_types::spec::service::{
    EndpointMode, FailureAction, ServiceMode, ServiceSpec, UpdateConfig, UpdateOrder,
};
use swarm_types::spec::task::{
    NetworkTarget, Placement, Resources, RestartCondition, RestartPolicy, TaskSpec,
};

use super::{Fields, nanoseconds};

pub(crate) fn service(service: &Service) -> Value {
    let previous = service.previous.as_ref().map(|previous| spec(&previous.spec));
    Fields::default()
        .with("ID", service.id.as_str())
        .with_meta(&service.meta)
        .with("Spec", spec(&service.spec))
        .with_some("PreviousSpec", previous)
        .with("Endpoint", json!({ "Spec": endpoint(&service.spec) }))
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
    let action = match config.failure_action {
        FailureAction::Pause => "pause",
        FailureAction::Continue => "continue",
        FailureAction::Rollback => "rollback",
    };
    let order = match config.order {
        UpdateOrder::StopFirst => "stop-first",
        UpdateOrder::StartFirst => "start-first",
    };
    Fields::default()
        .with("Parallelism", config.parallelism)
        .with_some("Delay", nanoseconds(config.delay))
        .with("FailureAction", action)
        .with_some("Monitor", nanoseconds(config.monitor))
        .with("MaxFailureRatio", f64::from(config.max_failure_millionths) / 1e6)
        .with("Order", order)
        .into()
}

fn endpoint(spec: &ServiceSpec) -> Value {
    let mode = match spec.endpoint.mode {
        EndpointMode::Vip => "vip",
        EndpointMode::DnsRr => "dnsrr",
    };
    json!({ "Mode": mode })
}

fn template(task: &TaskSpec) -> Value {
    Fields::default()
        .with_some("ContainerSpec", task.container().map(container))
        .with("Resources", resources(&task.resources))
        .with("RestartPolicy", restart(&task.restart))
        .with("Placement", placement(&task.placement))
        .with_some("Networks", networks(task))
        .with("ForceUpdate", task.force_update)
        .with("Runtime", "container")
        .into()
}

fn container(container: &ContainerSpec) -> Value {
    Fields::default()
        .with("Image", container.image.as_str())
        .with_some("Labels", json!(container.labels))
        .with_some("Command", json!(container.command))
        .with_some("Args", json!(container.args))
        .with_some("Env", json!(container.env))
        .with_some("Dir", container.dir.as_str())
        .with_some("User", container.user.as_str())
        .with_some("StopSignal", container.stop_signal.as_str())
        .with("StopGracePeriod", nanoseconds(container.stop_grace_period))
        .with("DNSConfig", json!({}))
        .with("Isolation", "default")
        .into()
}

fn resources(resources: &Resources) -> Value {
    let limits = Fields::default()
        .with_some("NanoCPUs", resources.limits.nano_cpus)
        .with_some("MemoryBytes", resources.limits.memory_bytes)
        .with_some("Pids", resources.limits.pids);
    let reservations = Fields::default()
        .with_some("NanoCPUs", resources.reservations.nano_cpus)
        .with_some("MemoryBytes", resources.reservations.memory_bytes);
    Fields::default().with("Limits", limits).with("Reservations", reservations).into()
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
    Fields::default()
        .with_some("MaxReplicas", placement.max_replicas)
        .with_some("Platforms", platforms)
        .into()
}

fn networks(task: &TaskSpec) -> Vec<Value> {
    let target = |target: NetworkTarget| match target {
        NetworkTarget::Host => "host".to_owned(),
        NetworkTarget::None => "none".to_owned(),
        NetworkTarget::Network(id) => id.to_string(),
    };
    task.networks.iter().map(|network| json!({ "Target": target(network.target) })).collect()
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

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
use super::{Fields, each, nanoseconds, number, time, words};
use crate::view::ports::published;
use crate::view::with_defaults;

pub(crate) fn service(service: &Service) -> Value {
    let previous = service.previous.as_ref().map(|previous| spec(&previous.spec));
    Fields::default()
        .with("ID", service.id.as_str())
        .with_meta(&service.meta)
        .with("Spec", spec(&with_defaults(&service.spec)))
        .with_some("PreviousSpec", previous)
        .with(
            "Endpoint",
            Fields::default()
                .with("Spec", endpoint(&service.spec))
                .with_some("Ports", ports(&published(service)))
                .without(&["VirtualIPs"]),
        )
        .with_some("UpdateStatus", service.update_status.as_ref().map(update_status))
        .without(&["ServiceStatus", "JobStatus"])
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
    let (key, numbers) = match mode {
        ServiceMode::Replicated { replicas } => {
            ("Replicated", Fields::default().with("Replicas", replicas))
        }
        ServiceMode::Global => ("Global", Fields::default()),
        ServiceMode::ReplicatedJob { max_concurrent, total_completions } => {
            let numbers = Fields::default().with("MaxConcurrent", max_concurrent);
            ("ReplicatedJob", numbers.with("TotalCompletions", total_completions))
        }
        ServiceMode::GlobalJob => ("GlobalJob", Fields::default()),
    };
    let modes = ["Replicated", "Global", "ReplicatedJob", "GlobalJob"];
    let others: Vec<&str> = modes.into_iter().filter(|mode| *mode != key).collect();
    Fields::default().with(key, numbers).without(&others).into()
}

fn update(config: &UpdateConfig) -> Value {
    Fields::default()
        .with("Parallelism", config.parallelism)
        .with_some("Delay", nanoseconds(config.delay))
        .with("FailureAction", words::failure_action(config.failure_action))
        .with_some("Monitor", nanoseconds(config.monitor))
        .with("MaxFailureRatio", number(f64::from(config.max_failure_millionths) / 1e6))
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
    each(ports, |port| {
        Fields::default()
            .with_some("Name", port.name.as_str())
            .with("Protocol", port.protocol.as_str())
            .with("TargetPort", port.target)
            .with_some("PublishedPort", port.published)
            .with("PublishMode", words::publish_mode(port.mode))
    })
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
        .without(&["PluginSpec", "NetworkAttachmentSpec"])
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
    let (named, discrete) = ("NamedResourceSpec", "DiscreteResourceSpec");
    let one = |resource: &GenericResource| {
        let kind = |kind: &str| Fields::default().with("Kind", kind);
        let it = match resource {
            GenericResource::Named { kind: it, value } => Fields::default()
                .with(named, kind(it).with("Value", value.as_str()))
                .without(&[discrete]),
            GenericResource::Discrete { kind: it, value } => {
                Fields::default().with(discrete, kind(it).with("Value", *value)).without(&[named])
            }
        };
        it.into()
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
    let platforms = each(&placement.platforms, |it| {
        Fields::default().with("Architecture", it.architecture.as_str()).with("OS", it.os.as_str())
    });
    let preferences = each(&placement.preferences, |PlacementPreference::Spread { descriptor }| {
        let spread = Fields::default().with("SpreadDescriptor", descriptor.as_str());
        Fields::default().with("Spread", spread)
    });
    Fields::default()
        .with_some("Constraints", json!(placement.constraints))
        .with_some("Preferences", preferences)
        .with_some("MaxReplicas", placement.max_replicas)
        .with_some("Platforms", platforms)
        .into()
}

fn networks(task: &TaskSpec) -> Vec<Value> {
    each(&task.networks, |network| {
        let target = words::network(network.target);
        Fields::default().with("Target", target).without(&["Aliases", "DriverOpts"])
    })
}

#[cfg(test)]
mod tests {
    use swarm_types::spec::service::ServiceSpec;

    use super::*;
    use crate::view::fixture;

    #[test]
    fn empty_fields_are_left_out_and_durations_are_nanoseconds() {
        let mut it = fixture::service("web", 1);
        it.meta.version = 7;
        it.spec = ServiceSpec::default();
        it.spec.task.networks = vec![Default::default()];

        let shown = swarm_template::shown(&service(&it));

        assert_eq!(shown["Version"]["Index"], 7);
        assert_eq!(shown["CreatedAt"], "1970-01-01T00:00:00Z");
        assert_eq!(shown["Spec"]["Mode"], json!({ "Replicated": { "Replicas": 1 } }));
        assert_eq!(shown["Spec"]["TaskTemplate"]["RestartPolicy"]["Delay"], 5_000_000_000_u64);
        assert_eq!(shown["Spec"]["TaskTemplate"]["Networks"], json!([{ "Target": "host" }]));
        assert!(shown.get("PreviousSpec").is_none());
        assert!(shown["Spec"]["TaskTemplate"]["ContainerSpec"].get("Env").is_none());
    }

    #[test]
    fn ports_of_nodes_are_published_too() {
        let mut it = fixture::service("web", 1);
        it.endpoint.ports.clear();
        it.spec.endpoint.ports = fixture::host_ports();

        let shown = swarm_template::shown(&service(&it));

        let port = json!({
            "Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host"
        });
        assert_eq!(shown["Endpoint"]["Ports"], json!([port]));
    }

    #[test]
    fn a_ratio_is_written_as_go_writes_it() {
        let ratio = |max_failure_millionths| {
            let config = UpdateConfig { max_failure_millionths, ..UpdateConfig::default() };
            update(&config)["MaxFailureRatio"].to_string()
        };
        assert_eq!([ratio(0), ratio(250_000), ratio(1_000_000)], ["0", "0.25", "1"]);
    }
}

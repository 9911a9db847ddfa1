//! A service for people.

use swarm_types::Service;
use swarm_types::object::service::UpdateStatus;
use swarm_types::spec::container::ContainerSpec;
use swarm_types::spec::service::{ServiceMode, UpdateConfig};
use swarm_types::spec::task::{Limits, PlacementPreference, TaskSpec};
use swarm_types::text::{binary_size, format_duration};

use super::{Lines, time};
use crate::view::json::words;

/// The service in sections.
pub(crate) fn service(service: &Service) -> String {
    let mut lines = Lines::default();
    let spec = &service.spec;
    lines.line("ID", service.id).line("Name", &spec.annotations.name);
    lines.labels("Labels", &spec.annotations.labels);
    mode(&mut lines, spec.mode);
    if let Some(status) = &service.update_status {
        update_status(&mut lines, status);
    }
    placement(&mut lines, &spec.task);
    for (title, config) in [("UpdateConfig", &spec.update), ("RollbackConfig", &spec.rollback)] {
        if let Some(config) = config {
            rolling(&mut lines, title, config);
        }
    }
    if let Some(it) = spec.task.container() {
        container(&mut lines, it);
    }
    if let Some(driver) = &spec.task.log_driver {
        lines.title("Log Driver").line(" Name", &driver.name);
        lines.labels(" LogOpts", &driver.options);
    }
    resources(&mut lines, &spec.task);
    let networks: Vec<String> =
        spec.task.networks.iter().map(|it| words::network(it.target)).collect();
    lines.some("Networks", networks.join(" "));
    lines.line("Endpoint Mode", words::endpoint_mode(spec.endpoint.mode));
    let ports = &service.endpoint.ports;
    let ports = if ports.is_empty() { &spec.endpoint.ports } else { ports };
    if !ports.is_empty() {
        lines.title("Ports");
    }
    for port in ports {
        lines.line(" PublishedPort", port.published).line("  Protocol", port.protocol.as_str());
        lines
            .line("  TargetPort", port.target)
            .line("  PublishMode", words::publish_mode(port.mode));
    }
    lines.finish()
}

fn mode(lines: &mut Lines, mode: ServiceMode) {
    match mode {
        ServiceMode::Replicated { replicas } => {
            lines.line("Service Mode", "Replicated").line(" Replicas", replicas)
        }
        ServiceMode::Global => lines.line("Service Mode", "Global"),
        ServiceMode::ReplicatedJob { max_concurrent, total_completions } => lines
            .line("Service Mode", "ReplicatedJob")
            .line(" Max Concurrent", max_concurrent)
            .line(" Total Completions", total_completions),
        ServiceMode::GlobalJob => lines.line("Service Mode", "GlobalJob"),
    };
}

fn update_status(lines: &mut Lines, status: &UpdateStatus) {
    lines.title("UpdateStatus").line(" State", words::update_state(status.state));
    lines.some(" Started", status.started_at.map(time).unwrap_or_default());
    lines.some(" Completed", status.completed_at.map(time).unwrap_or_default());
    lines.line(" Message", &status.message);
}

fn placement(lines: &mut Lines, task: &TaskSpec) {
    let it = &task.placement;
    if it.constraints.is_empty() && it.preferences.is_empty() && it.max_replicas == 0 {
        return;
    }
    lines.title("Placement");
    let spread = |PlacementPreference::Spread { descriptor }: &PlacementPreference| {
        format!("spread={descriptor}")
    };
    let preferences: Vec<String> = it.preferences.iter().map(spread).collect();
    lines.some(" Constraints", it.constraints.join(", "));
    lines.some(" Preferences", preferences.join(", "));
    if it.max_replicas > 0 {
        lines.line(" Max Replicas Per Node", it.max_replicas);
    }
}

fn rolling(lines: &mut Lines, title: &str, config: &UpdateConfig) {
    lines.title(title).line(" Parallelism", config.parallelism);
    if !config.delay.is_zero() {
        lines.line(" Delay", format_duration(config.delay));
    }
    lines.line(" On failure", words::failure_action(config.failure_action));
    lines.line(" Monitoring Period", format_duration(config.monitor));
    lines.line(" Max failure ratio", f64::from(config.max_failure_millionths) / 1e6);
    let order = title.trim_end_matches("Config");
    lines.line(&format!(" {order} order"), words::update_order(config.order));
}

fn container(lines: &mut Lines, it: &ContainerSpec) {
    lines.title("ContainerSpec").line(" Image", &it.image);
    lines.some(" Args", it.args.join(" ")).some(" Env", it.env.join(" "));
    lines.some(" Dir", &it.dir);
    lines.some(" Init", it.init.map(|init| init.to_string()).unwrap_or_default());
    lines.some(" User", &it.user);
    if !it.capability_add.is_empty() || !it.capability_drop.is_empty() {
        lines.title("Capabilities");
        lines.some(" Add", it.capability_add.join(", "));
        lines.some(" Drop", it.capability_drop.join(", "));
    }
    lines.labels("SysCtls", &it.sysctls);
    if !it.ulimits.is_empty() {
        lines.title("Ulimits");
    }
    for limit in &it.ulimits {
        lines.line(&format!(" {}", limit.name), format!("{}:{}", limit.soft, limit.hard));
    }
    if !it.mounts.is_empty() {
        lines.title("Mounts");
    }
    for mount in &it.mounts {
        lines.line(" Target", &mount.target).line("  Source", &mount.source);
        lines.line("  ReadOnly", mount.read_only).line("  Type", words::mount_kind(mount.kind));
    }
    if let Some(check) = &it.healthcheck {
        lines.title("Healthcheck").some(" Test", check.test.join(" "));
        lines.line(" Interval", format_duration(check.interval)).line(" Retries", check.retries);
        lines.line(" StartPeriod", format_duration(check.start_period));
        lines.line(" Timeout", format_duration(check.timeout));
    }
}

fn resources(lines: &mut Lines, task: &TaskSpec) {
    let (reserved, limits) = (&task.resources.reservations, &task.resources.limits);
    let amounts = |lines: &mut Lines, cpus: i64, memory: i64| {
        if cpus > 0 {
            #[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
            lines.line(" CPU", cpus as f64 / 1e9);
        }
        if memory > 0 {
            lines.line(" Memory", binary_size(memory.unsigned_abs()));
        }
    };
    lines.title("Resources");
    if reserved.nano_cpus > 0 || reserved.memory_bytes > 0 {
        lines.raw(" Reservations:");
        amounts(lines, reserved.nano_cpus, reserved.memory_bytes);
    }
    if *limits != Limits::default() {
        lines.raw(" Limits:");
        amounts(lines, limits.nano_cpus, limits.memory_bytes);
        if limits.pids > 0 {
            lines.line(" PIDs", limits.pids);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::fixture;

    #[test]
    fn sections_stand_in_dockers_order() {
        let mut web = fixture::service("web", 1);
        web.spec.update = Some(UpdateConfig::default());
        web.spec.task.placement.constraints = vec!["node.role==manager".to_owned()];
        web.spec.task.resources.limits.memory_bytes = 64 << 20;

        let shown = service(&web);

        let at = |label: &str| shown.find(label).unwrap_or_else(|| panic!("no {label}: {shown}"));
        let labels = [
            "ID:",
            "Name:            web",
            "Service Mode:    Replicated",
            " Replicas:       1",
            "Placement:",
            "UpdateConfig:",
            " Update order:   stop-first",
            "ContainerSpec:",
            "Resources:",
            " Memory:         64MiB",
            "Endpoint Mode:   vip",
            "Ports:",
        ];
        assert!(labels.map(at).is_sorted(), "{shown}");
    }
}

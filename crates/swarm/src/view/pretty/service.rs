//! A service for people.

use swarm_types::object::service::{UpdateState, UpdateStatus};
use swarm_types::spec::Driver;
use swarm_types::spec::container::{ContainerSpec, HealthConfig};
use swarm_types::spec::service::{PortConfig, ServiceMode, UpdateConfig};
use swarm_types::spec::task::{Limits, Placement, PlacementPreference, Resources};
use swarm_types::text::{binary_size, format_duration};
use swarm_types::{Service, Timestamp};

use super::Lines;
use crate::view::json::words;
use crate::view::ports::published;
use crate::view::{ago, with_defaults};

/// The service in sections; times are told from `now`.
pub(crate) fn service(service: &Service, now: Timestamp) -> String {
    let mut lines = Lines::default();
    let spec = with_defaults(&service.spec);
    lines.line(format_args!("ID:\t\t{}", service.id));
    lines.line(format_args!("Name:\t\t{}", spec.annotations.name));
    lines.labels("Labels:", " ", &spec.annotations.labels);
    mode(&mut lines, spec.mode);
    if let Some(status) = &service.update_status {
        update_status(&mut lines, status, now);
    }
    placement(&mut lines, &spec.task.placement);
    for (title, config) in [("Update", &spec.update), ("Rollback", &spec.rollback)] {
        if let Some(config) = config {
            rolling(&mut lines, title, config);
        }
    }
    if let Some(it) = spec.task.container() {
        container(&mut lines, it);
    }
    if let Some(driver) = &spec.task.log_driver {
        log_driver(&mut lines, driver);
    }
    resources(&mut lines, &spec.task.resources);
    let networks: Vec<String> =
        spec.task.networks.iter().map(|it| words::network(it.target)).collect();
    lines.some("Networks: ", networks.join(" "));
    lines.line(format_args!("Endpoint Mode:\t{}", words::endpoint_mode(spec.endpoint.mode)));
    ports(&mut lines, &published(service));
    if let Some(check) = spec.task.container().and_then(|it| it.healthcheck.as_ref()) {
        healthcheck(&mut lines, check);
    }
    lines.finish()
}

fn mode(lines: &mut Lines, mode: ServiceMode) {
    match mode {
        ServiceMode::Replicated { replicas } => {
            lines.line("Service Mode:\tReplicated").line(format_args!(" Replicas:\t{replicas}"))
        }
        ServiceMode::Global => lines.line("Service Mode:\tGlobal"),
        ServiceMode::ReplicatedJob { max_concurrent, total_completions } => lines
            .line("Service Mode:\tReplicatedJob")
            .line(format_args!(" Max Concurrent:\t{max_concurrent}"))
            .line(format_args!(" Total Completions:\t{total_completions}")),
        ServiceMode::GlobalJob => lines.line("Service Mode:\tGlobalJob"),
    };
}

fn update_status(lines: &mut Lines, status: &UpdateStatus, now: Timestamp) {
    let told = |at: Option<Timestamp>| at.map(|at| ago(at, now)).unwrap_or_default();
    lines.line("UpdateStatus:");
    lines.line(format_args!(" State:\t\t{}", words::update_state(status.state)));
    lines.some(" Started:\t", told(status.started_at));
    if status.state == UpdateState::Completed {
        lines.some(" Completed:\t", told(status.completed_at));
    }
    lines.line(format_args!(" Message:\t{}", status.message));
}

fn placement(lines: &mut Lines, it: &Placement) {
    let list = |words: &[String]| match words {
        [] => String::new(),
        words => format!("[{}]", words.join(" ")),
    };
    let spread = |PlacementPreference::Spread { descriptor }: &PlacementPreference| {
        format!("spread={descriptor}")
    };
    let preferences: Vec<String> = it.preferences.iter().map(spread).collect();
    lines.line("Placement:");
    lines.some(" Constraints:\t", list(&it.constraints));
    lines.some(" Preferences:   ", list(&preferences));
    if it.max_replicas > 0 {
        lines.line(format_args!(" Max Replicas Per Node:   {}", it.max_replicas));
    }
}

fn rolling(lines: &mut Lines, title: &str, config: &UpdateConfig) {
    lines.line(format_args!("{title}Config:"));
    lines.line(format_args!(" Parallelism:\t{}", config.parallelism));
    if !config.delay.is_zero() {
        lines.line(format_args!(" Delay:\t\t{}", format_duration(config.delay)));
    }
    lines.line(format_args!(" On failure:\t{}", words::failure_action(config.failure_action)));
    if !config.monitor.is_zero() {
        lines.line(format_args!(" Monitoring Period: {}", format_duration(config.monitor)));
    }
    let ratio = f64::from(config.max_failure_millionths) / 1e6;
    lines.line(format_args!(" Max failure ratio: {ratio}"));
    let order = format!("{title} order:");
    lines.line(format_args!(" {order:<18} {}", words::update_order(config.order)));
}

fn container(lines: &mut Lines, it: &ContainerSpec) {
    lines.line("ContainerSpec:").line(format_args!(" Image:\t\t{}", it.image));
    lines.some(" Args:\t\t", it.args.join(" ")).some(" Env:\t\t", it.env.join(" "));
    lines.some(" Dir:\t\t", &it.dir);
    lines.line(format_args!(" Init:\t\t{}", it.init.unwrap_or_default()));
    lines.some(" User: ", &it.user);
    if !it.capability_add.is_empty() || !it.capability_drop.is_empty() {
        lines.line("Capabilities:");
        lines.some(" Add: ", it.capability_add.join(", "));
        lines.some(" Drop: ", it.capability_drop.join(", "));
    }
    if !it.sysctls.is_empty() {
        lines.line("SysCtls:");
    }
    for (key, value) in &it.sysctls {
        lines.line(format_args!(" {key}: {value}"));
    }
    if !it.ulimits.is_empty() {
        lines.line("Ulimits:");
    }
    for limit in &it.ulimits {
        lines.line(format_args!(" {}: {}:{}", limit.name, limit.soft, limit.hard));
    }
    if !it.mounts.is_empty() {
        lines.line("Mounts:");
    }
    for mount in &it.mounts {
        lines.line(format_args!(" Target:\t{}", mount.target));
        lines.line(format_args!("  Source:\t{}", mount.source));
        lines.line(format_args!("  ReadOnly:\t{}", mount.read_only));
        lines.line(format_args!("  Type:\t\t{}", words::mount_kind(mount.kind)));
    }
}

fn log_driver(lines: &mut Lines, driver: &Driver) {
    lines.line("Log Driver:").some(" Name:\t\t", &driver.name);
    if !driver.options.is_empty() {
        lines.line(" LogOpts:");
    }
    for (key, value) in &driver.options {
        lines.line(format_args!("  {:<15} {value}", format!("{key}:")));
    }
    lines.line("");
}

fn resources(lines: &mut Lines, it: &Resources) {
    let (reserved, limits) = (&it.reservations, &it.limits);
    let amounts = |lines: &mut Lines, cpus: i64, memory: i64| {
        if cpus > 0 {
            #[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
            lines.line(format_args!("  CPU:\t\t{}", cpus as f64 / 1e9));
        }
        if memory > 0 {
            lines.line(format_args!("  Memory:\t{}", binary_size(memory.unsigned_abs())));
        }
    };
    lines.line("Resources:");
    if reserved.nano_cpus > 0 || reserved.memory_bytes > 0 {
        lines.line(" Reservations:");
        amounts(lines, reserved.nano_cpus, reserved.memory_bytes);
    }
    if *limits != Limits::default() {
        lines.line(" Limits:");
        amounts(lines, limits.nano_cpus, limits.memory_bytes);
        if limits.pids > 0 {
            lines.line(format_args!("  PIDs:\t\t{}", limits.pids));
        }
    }
}

fn ports(lines: &mut Lines, ports: &[PortConfig]) {
    if !ports.is_empty() {
        lines.line("Ports:");
    }
    for port in ports {
        lines.line(format_args!(" PublishedPort = {}", port.published));
        lines.line(format_args!("  Protocol = {}", port.protocol.as_str()));
        lines.line(format_args!("  TargetPort = {}", port.target));
        lines.line(format_args!("  PublishMode = {}", words::publish_mode(port.mode)));
    }
}

fn healthcheck(lines: &mut Lines, check: &HealthConfig) {
    lines.line(" Healthcheck:");
    lines.line(format_args!("  Interval = {}", format_duration(check.interval)));
    lines.line(format_args!("  Retries = {}", check.retries));
    lines.line(format_args!("  StartPeriod =\t{}", format_duration(check.start_period)));
    lines.line(format_args!("  Timeout =\t{}", format_duration(check.timeout)));
    if !check.test.is_empty() {
        lines.line("  Tests:");
    }
    for word in &check.test {
        lines.line(format_args!("\t Test = {word}"));
    }
}

#[cfg(test)]
mod tests;

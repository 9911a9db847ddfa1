//! What a task means in terms of a container. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use swarm_net::{Attached, HostPort, Mode, Wish};
use swarm_runtime::{AppArmor, ContainerConfig, Log, Privileges, Resources, Seccomp};
use swarm_types::log::LogDriver;
use swarm_types::spec::container::{self, ContainerSpec};
use swarm_types::spec::service::{PortConfig, PublishMode, ServiceSpec};
use swarm_types::spec::task::{NetworkTarget, TaskSpec};
use swarm_types::unsupported::UNSUPPORTED;
use swarm_types::{Task, log};

use super::template::{NodeFacts, Placeholders};
use super::{ExecError, mounts};

/// Label with the grace period in milliseconds: a container whose task is forgotten is stopped
/// as its task asked for, too.
const GRACE: &str = "io.swarm.grace-ms";
/// Characters of a task's id that make a host name, as Docker takes of a container's.
const HOSTNAME: usize = 12;
/// Where the table of what is not served yet speaks of things that only managers act on.
const OF_MANAGERS: [&str; 3] =
    ["TaskTemplate.Placement", "TaskTemplate.Resources.Reservations", "TaskTemplate.ForceUpdate"];

/// What a task's network is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// The host's own; the ports are only recorded.
    Host,
    /// One of its own.
    Own(Wish),
}

/// The container of a task, but for its network and the files that tell of it.
///
/// # Errors
///
/// [`ExecError::Unsupported`] for what a newer manager may ask for and this version cannot do;
/// [`ExecError::Spec`] for what is malformed.
pub(super) fn container(task: &Task, node: &NodeFacts) -> Result<ContainerConfig, ExecError> {
    refuse_unsupported(task)?;
    translate(task, node)
}

fn translate(task: &Task, node: &NodeFacts) -> Result<ContainerConfig, ExecError> {
    let spec = task.spec().container().ok_or(ExecError::Unsupported { field: "TaskTemplate" })?;
    let fill = Placeholders::of(task, node);
    let stop_signal = Some(spec.stop_signal.as_str()).filter(|signal| !signal.is_empty());
    let stop_signal = stop_signal.map(str::parse).transpose();
    let stop_signal = stop_signal.map_err(|error| wrong("StopSignal", &error))?;
    let env = spec.env.iter().map(|pair| fill.fill_value("Env", pair));
    Ok(ContainerConfig {
        id: task.id.to_string(),
        name: task.name(),
        image: spec.image.clone(),
        command: spec.command.clone(),
        args: spec.args.clone(),
        env: env.collect::<Result<_, _>>()?,
        dir: spec.dir.clone(),
        user: spec.user.clone(),
        groups: spec.groups.clone(),
        hostname: hostname(task, spec, &fill)?,
        labels: labels(task, spec),
        stop_signal,
        resources: resources(task.spec(), spec),
        privileges: match spec.privileges.no_new_privileges {
            true => Privileges::NoNew,
            false => Privileges::MayGrow,
        },
        capability_add: spec.capability_add.clone(),
        capability_drop: spec.capability_drop.clone(),
        seccomp: match &spec.privileges.seccomp {
            None | Some(container::Seccomp::Default) => Seccomp::Default,
            Some(container::Seccomp::Unconfined) => Seccomp::Unconfined,
            Some(container::Seccomp::Custom(profile)) => Seccomp::Custom(profile.clone()),
        },
        apparmor: match spec.privileges.apparmor_enabled {
            None => AppArmor::Host,
            Some(true) => AppArmor::Default,
            Some(false) => AppArmor::Unconfined,
        },
        selinux: spec.privileges.selinux.clone(),
        init: spec.init.unwrap_or(false),
        tty: spec.tty,
        open_stdin: spec.open_stdin,
        read_only: spec.read_only,
        mounts: mounts::of(spec, &fill)?,
        sysctls: spec.sysctls.clone(),
        ulimits: spec.ulimits.clone(),
        log: log_of(task.spec())?,
        ..ContainerConfig::default()
    })
}

/// The network a task wants.
///
/// # Errors
///
/// [`ExecError::Unsupported`] for networks between nodes.
pub(super) fn place(task: &Task) -> Result<Place, ExecError> {
    let mode = match &task.spec().networks[..] {
        [] => Mode::Gateway,
        [only] => match only.target {
            NetworkTarget::Host => return Ok(Place::Host),
            NetworkTarget::None => Mode::None,
            NetworkTarget::Network(_) => {
                return Err(ExecError::Unsupported { field: "TaskTemplate.Networks" });
            }
        },
        _ => return Err(ExecError::Unsupported { field: "TaskTemplate.Networks" }),
    };
    let ports = match mode {
        Mode::Gateway => ports(task).into_iter().map(|port| HostPort {
            protocol: port.protocol,
            target: port.target,
            published: port.published,
        }),
        // Nobody could reach them.
        Mode::None => return Ok(Place::Own(Wish { mode, ports: Vec::new() })),
    };
    Ok(Place::Own(Wish { mode, ports: ports.collect() }))
}

/// The ports of a task as they were bound; on the host's network, as they are wished for.
pub(super) fn bound(task: &Task, attached: Option<&Attached>) -> Vec<PortConfig> {
    let mut ports = ports(task);
    if let Some(attached) = attached {
        // In the order of the wish.
        ports.truncate(attached.ports.len());
        for (port, bound) in ports.iter_mut().zip(&attached.ports) {
            port.published = bound.published;
        }
    }
    ports
}

/// The ports of a task that are published on its node.
fn ports(task: &Task) -> Vec<PortConfig> {
    let ports = task.template.endpoint.ports.iter();
    ports.filter(|port| port.mode == PublishMode::Host).cloned().collect()
}

/// The grace period a container was made with; that of a service which names none otherwise.
pub(super) fn grace(labels: &BTreeMap<String, String>) -> Duration {
    let millis = labels.get(GRACE).and_then(|millis| millis.parse().ok());
    millis.map_or(swarm_types::defaults::STOP_GRACE_PERIOD, Duration::from_millis)
}

pub(super) fn wrong(field: &'static str, why: &dyn ToString) -> ExecError {
    ExecError::Spec { field, why: why.to_string() }
}

fn refuse_unsupported(task: &Task) -> Result<(), ExecError> {
    let spec = ServiceSpec { task: task.spec().clone(), ..ServiceSpec::default() };
    let ours = |field: &str| {
        field.starts_with("TaskTemplate.") && !OF_MANAGERS.iter().any(|of| field.starts_with(of))
    };
    match UNSUPPORTED.iter().find(|feature| ours(feature.field) && (feature.present)(&spec)) {
        Some(feature) => Err(ExecError::Unsupported { field: feature.field }),
        None => Ok(()),
    }
}

/// One of its own wherever the network is; on the host's network only when it asks for it.
fn hostname(
    task: &Task,
    spec: &ContainerSpec,
    fill: &Placeholders,
) -> Result<Option<String>, ExecError> {
    if !spec.hostname.is_empty() {
        return fill.fill("Hostname", &spec.hostname).map(Some);
    }
    let short = || task.id.to_string().chars().take(HOSTNAME).collect();
    Ok((place(task)? != Place::Host).then(short))
}

fn labels(task: &Task, spec: &ContainerSpec) -> BTreeMap<String, String> {
    let service = task.service().map(|service| service.to_string()).unwrap_or_default();
    let node = task.node.map(|node| node.to_string()).unwrap_or_default();
    let system = [
        ("com.docker.swarm.task", String::new()),
        ("com.docker.swarm.task.id", task.id.to_string()),
        ("com.docker.swarm.task.name", task.name()),
        ("com.docker.swarm.node.id", node),
        ("com.docker.swarm.service.id", service),
        ("com.docker.swarm.service.name", task.template.service_annotations.name.clone()),
        (GRACE, spec.stop_grace_period.as_millis().to_string()),
    ];
    let mut labels = spec.labels.clone();
    labels.extend(system.map(|(key, value)| (key.to_owned(), value)));
    labels
}

fn resources(task: &TaskSpec, spec: &ContainerSpec) -> Resources {
    let limits = &task.resources.limits;
    let bound = |limit: i64| u64::try_from(limit).unwrap_or(0);
    Resources {
        nano_cpus: bound(limits.nano_cpus),
        memory_bytes: bound(limits.memory_bytes),
        swap_bytes: task.resources.swap_bytes,
        // -1 leaves it to the kernel, as no value does.
        swappiness: task.resources.memory_swappiness.and_then(|value| u64::try_from(value).ok()),
        pids: bound(limits.pids),
        oom_score_adj: spec.oom_score_adj,
    }
}

fn log_of(task: &TaskSpec) -> Result<Log, ExecError> {
    match log::driver(&task.log_driver.clone().unwrap_or_default()) {
        Some(LogDriver::Files(files)) => {
            Ok(Log::Files { max_bytes: files.max_bytes, max_files: files.max_files })
        }
        Some(LogDriver::None) => Ok(Log::None),
        None => Err(ExecError::Unsupported { field: "TaskTemplate.LogDriver" }),
    }
}

#[cfg(test)]
mod tests;

//! What a task means in terms of a container. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use swarm_runtime::{ContainerConfig, Resources};
use swarm_types::Task;
use swarm_types::spec::container::ContainerSpec;
use swarm_types::spec::service::ServiceSpec;
use swarm_types::spec::task::Limits;
use swarm_types::unsupported::UNSUPPORTED;

use super::ExecError;

/// Label with the grace period in milliseconds: a container whose task is forgotten is stopped
/// as its task asked for, too.
const GRACE: &str = "io.swarm.grace-ms";
/// Where the table of what is not served yet speaks of things that only managers act on.
const OF_MANAGERS: [&str; 3] =
    ["TaskTemplate.Placement", "TaskTemplate.Resources.Reservations", "TaskTemplate.ForceUpdate"];

/// The container of a task.
///
/// # Errors
///
/// [`ExecError::Unsupported`] for what a newer manager may ask for and this version cannot do;
/// [`ExecError::Failed`] for a stop signal that is none.
pub(crate) fn container(task: &Task) -> Result<ContainerConfig, ExecError> {
    refuse_unsupported(task)?;
    let spec = task.spec().container().ok_or(ExecError::Unsupported { field: "TaskTemplate" })?;
    let wrong = |source| ExecError::Failed { verb: "prepare", source };
    let stop_signal = Some(spec.stop_signal.as_str()).filter(|signal| !signal.is_empty());
    let stop_signal = stop_signal.map(str::parse).transpose();
    Ok(ContainerConfig {
        id: task.id.to_string(),
        name: task.name(),
        image: spec.image.clone(),
        command: spec.command.clone(),
        args: spec.args.clone(),
        env: spec.env.clone(),
        dir: spec.dir.clone(),
        user: spec.user.clone(),
        labels: labels(task, spec),
        stop_signal: stop_signal.map_err(|unknown| wrong(Box::new(unknown)))?,
        resources: resources(&task.spec().resources.limits),
        ..ContainerConfig::default()
    })
}

/// The grace period a container was made with; that of a service which names none otherwise.
pub(crate) fn grace(labels: &BTreeMap<String, String>) -> Duration {
    let millis = labels.get(GRACE).and_then(|millis| millis.parse().ok());
    millis.map_or(swarm_types::defaults::STOP_GRACE_PERIOD, Duration::from_millis)
}

fn refuse_unsupported(task: &Task) -> Result<(), ExecError> {
    let spec = ServiceSpec { task: task.spec().clone(), ..ServiceSpec::default() };
    let ours = |field: &str| {
        field.starts_with("TaskTemplate.") && !OF_MANAGERS.iter().any(|of| field.starts_with(of))
    };
    let template = |value: &String| value.contains("{{");
    if task.spec().container().is_some_and(|container| container.env.iter().any(template)) {
        return Err(ExecError::Unsupported {
            field: "a template in TaskTemplate.ContainerSpec.Env",
        });
    }
    match UNSUPPORTED.iter().find(|feature| ours(feature.field) && (feature.present)(&spec)) {
        Some(feature) => Err(ExecError::Unsupported { field: feature.field }),
        None => Ok(()),
    }
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

fn resources(limits: &Limits) -> Resources {
    let bound = |limit: i64| u64::try_from(limit).unwrap_or(0);
    Resources {
        nano_cpus: bound(limits.nano_cpus),
        memory_bytes: bound(limits.memory_bytes),
        pids: bound(limits.pids),
        ..Resources::default()
    }
}

#[cfg(test)]
mod tests {
    use swarm_types::spec::task::{Placement, TaskRuntime};

    use super::*;
    use crate::task::samples::task;

    fn with_container(change: impl FnOnce(&mut ContainerSpec)) -> Task {
        task(7, |task| {
            if let TaskRuntime::Container(container) = &mut task.runtime {
                change(container);
            }
        })
    }

    #[test]
    fn a_container_is_named_and_labelled_after_its_task() {
        let task = with_container(|container| {
            container.labels.insert("tier".to_owned(), "front".to_owned());
            container.labels.insert("com.docker.swarm.task.id".to_owned(), "forged".to_owned());
            container.stop_grace_period = Duration::from_millis(1500);
        });

        let config = container(&task).unwrap();

        assert_eq!(config.id, task.id.to_string());
        assert_eq!(config.name, format!("web.7.{}", task.id));
        assert_eq!(config.labels["com.docker.swarm.task.id"], task.id.to_string());
        assert_eq!(config.labels["com.docker.swarm.service.name"], "web");
        assert_eq!(config.labels["tier"], "front");
        assert_eq!(grace(&config.labels), Duration::from_millis(1500));
        assert_eq!(grace(&BTreeMap::new()), Duration::from_secs(10));
    }

    #[test]
    fn what_is_not_served_is_refused_by_name() {
        let read_only = with_container(|container| container.read_only = true);
        let nowhere = task(1, |task| task.networks.clear());
        let odd_signal = with_container(|container| container.stop_signal = "SIGSEND".to_owned());

        let refusal = |task| container(task).unwrap_err().in_full();

        assert!(refusal(&read_only).contains("ContainerSpec.ReadOnly"));
        assert!(refusal(&nowhere).contains("TaskTemplate.Networks"));
        assert!(refusal(&odd_signal).contains("SIGSEND"));
    }

    #[test]
    fn what_only_managers_act_on_is_not_looked_at() {
        let constraints = vec!["node.role==worker".to_owned()];
        let placed = task(1, |task| {
            task.placement = Placement { constraints, ..Placement::default() };
            task.force_update = 3;
        });

        assert!(container(&placed).is_ok());
    }
}

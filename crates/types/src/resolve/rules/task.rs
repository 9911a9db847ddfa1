//! Rules about a task template besides its container: resources, restarts, placement, networks.

use std::time::Duration;

use super::Rule;
use super::form::{shown, too_long, twice};
use crate::constraint::Constraint;
use crate::log;
use crate::spec::Driver;
use crate::spec::task::{
    GenericResource, NetworkAttachmentConfig, NetworkTarget, PlacementPreference, TaskRuntime,
    TaskSpec,
};

/// A thousandth of a CPU, in billionths.
const CPU_MIN: i64 = 1_000_000;
/// 4 MiB.
const MEMORY_MIN: i64 = 4 << 20;

pub(super) const RULES: &[Rule<TaskSpec>] = &[
    Rule {
        id: "runtime",
        field: "TaskTemplate.Runtime",
        says: "an attachment needs a container's id, a plug-in's task needs a kind",
        found: |task| match &task.runtime {
            TaskRuntime::Container(_) => None,
            TaskRuntime::Attachment(it) => it.id.is_empty().then(|| "no id".to_owned()),
            TaskRuntime::Generic { kind, .. } => kind.is_empty().then(|| "no kind".to_owned()),
        },
        breaks: |task| task.runtime = TaskRuntime::Attachment(crate::ContainerRef::default()),
    },
    Rule {
        id: "cpu-limit",
        field: "TaskTemplate.Resources.Limits.NanoCPUs",
        says: "invalid cpu value: must be 0 for none, or at least 0.001 CPU",
        found: |task| below(task.resources.limits.nano_cpus, CPU_MIN),
        breaks: |task| task.resources.limits.nano_cpus = CPU_MIN - 1,
    },
    Rule {
        id: "cpu-reservation",
        field: "TaskTemplate.Resources.Reservations.NanoCPUs",
        says: "invalid cpu value: must be 0 for none, or at least 0.001 CPU",
        found: |task| below(task.resources.reservations.nano_cpus, CPU_MIN),
        breaks: |task| task.resources.reservations.nano_cpus = -CPU_MIN,
    },
    Rule {
        id: "memory-limit",
        field: "TaskTemplate.Resources.Limits.MemoryBytes",
        says: "invalid memory value: must be 0 for none, or at least 4MiB",
        found: |task| below(task.resources.limits.memory_bytes, MEMORY_MIN),
        breaks: |task| task.resources.limits.memory_bytes = MEMORY_MIN - 1,
    },
    Rule {
        id: "memory-reservation",
        field: "TaskTemplate.Resources.Reservations.MemoryBytes",
        says: "invalid memory value: must be 0 for none, or at least 4MiB",
        found: |task| below(task.resources.reservations.memory_bytes, MEMORY_MIN),
        breaks: |task| task.resources.reservations.memory_bytes = -MEMORY_MIN,
    },
    Rule {
        id: "pids-limit",
        field: "TaskTemplate.Resources.Limits.Pids",
        says: "invalid pids value: must be 0 for no limit, or positive",
        found: |task| below(task.resources.limits.pids, 1),
        breaks: |task| task.resources.limits.pids = -1,
    },
    Rule {
        id: "swap",
        field: "TaskTemplate.Resources.SwapBytes",
        says: "swap must be -1 for unlimited or not negative, and needs a memory limit",
        found: |task| {
            let swap = task.resources.swap_bytes?;
            let good = swap >= -1 && task.resources.limits.memory_bytes > 0;
            (!good).then(|| swap.to_string())
        },
        breaks: |task| task.resources.swap_bytes = Some(1 << 30),
    },
    Rule {
        id: "swappiness",
        field: "TaskTemplate.Resources.MemorySwappiness",
        says: "swappiness must be -1 for the kernel's default, or between 0 and 100",
        found: |task| {
            let swappiness = task.resources.memory_swappiness?;
            (!(-1..=100).contains(&swappiness)).then(|| swappiness.to_string())
        },
        breaks: |task| task.resources.memory_swappiness = Some(101),
    },
    Rule {
        id: "generic-resource",
        field: "TaskTemplate.Resources.Reservations.GenericResources",
        says: "a service asks for a positive number of a generic resource, not for named units",
        found: |task| task.resources.reservations.generic.iter().find_map(bad_generic),
        breaks: |task| {
            let named = GenericResource::Named { kind: "gpu".to_owned(), value: "a".to_owned() };
            task.resources.reservations.generic = vec![named];
        },
    },
    Rule {
        id: "generic-resource-twice",
        field: "TaskTemplate.Resources.Reservations.GenericResources",
        says: "a kind of generic resource can be asked for once, by number or by name",
        found: |task| {
            let kinds = task.resources.reservations.generic.iter().map(generic_kind);
            twice(kinds).map(shown)
        },
        breaks: |task| {
            let one = GenericResource::Discrete { kind: "gpu".to_owned(), value: 1 };
            task.resources.reservations.generic = vec![one.clone(), one];
        },
    },
    Rule {
        id: "restart-duration",
        field: "TaskTemplate.RestartPolicy",
        says: "restart delay and window must fit 64 bits of nanoseconds",
        found: |task| too_long(&[task.restart.delay, task.restart.window]),
        breaks: |task| task.restart.delay = Duration::MAX,
    },
    Rule {
        id: "constraint",
        field: "TaskTemplate.Placement.Constraints",
        says: "a constraint is KEY==VALUE or KEY!=VALUE",
        found: |task| {
            task.placement.constraints.iter().find_map(|text| {
                let why = text.parse::<Constraint>().err()?;
                Some(format!("{}: {why}", shown(text)))
            })
        },
        breaks: |task| task.placement.constraints = vec!["node.id=a".to_owned()],
    },
    Rule {
        id: "preference",
        field: "TaskTemplate.Placement.Preferences",
        says: "a preference needs a label to spread over, such as node.labels.rack",
        found: |task| {
            let empty = |it: &PlacementPreference| {
                let PlacementPreference::Spread { descriptor } = it;
                descriptor.trim().is_empty()
            };
            task.placement.preferences.iter().any(empty).then(|| "none".to_owned())
        },
        breaks: |task| {
            let descriptor = String::new();
            task.placement.preferences = vec![PlacementPreference::Spread { descriptor }];
        },
    },
    Rule {
        id: "log-options",
        field: "TaskTemplate.LogDriver.Options",
        says: "max-size is an amount such as 10m, max-file a number that needs max-size",
        found: |task| log::malformed(task.log_driver.as_ref()?),
        breaks: |task| {
            let options = [("max-file".to_owned(), "2".to_owned())].into();
            task.log_driver = Some(Driver { name: "json-file".to_owned(), options });
        },
    },
    Rule {
        id: "network-alone",
        field: "TaskTemplate.Networks",
        says: "the host's network and no network at all exclude any other",
        found: |task| {
            let cluster =
                |it: &NetworkAttachmentConfig| matches!(it.target, NetworkTarget::Network(_));
            let alone = task.networks.len() < 2 || task.networks.iter().all(cluster);
            (!alone).then(|| format!("{} networks", task.networks.len()))
        },
        breaks: |task| {
            let none = NetworkTarget::None;
            task.networks.push(NetworkAttachmentConfig { target: none, ..Default::default() });
        },
    },
    Rule {
        id: "network-twice",
        field: "TaskTemplate.Networks",
        says: "a network can be attached once",
        found: |task| {
            twice(task.networks.iter().map(|it| it.target)).map(|target| match target {
                NetworkTarget::Host => "host twice".to_owned(),
                NetworkTarget::None => "none twice".to_owned(),
                NetworkTarget::Network(id) => format!("{id} twice"),
            })
        },
        breaks: |task| {
            let target = NetworkTarget::Network(crate::NetworkId::MIN);
            let attachment = NetworkAttachmentConfig { target, ..Default::default() };
            task.networks = vec![attachment.clone(), attachment];
        },
    },
];

fn below(value: i64, least: i64) -> Option<String> {
    (value != 0 && value < least).then(|| value.to_string())
}

fn generic_kind(resource: &GenericResource) -> &str {
    match resource {
        GenericResource::Named { kind, .. } | GenericResource::Discrete { kind, .. } => kind,
    }
}

fn bad_generic(resource: &GenericResource) -> Option<String> {
    match resource {
        GenericResource::Named { kind, value } => Some(shown(&format!("{kind}={value}"))),
        GenericResource::Discrete { kind, value } => {
            (kind.is_empty() || *value < 1).then(|| shown(&format!("{kind}={value}")))
        }
    }
}

//! What this version understands and stores, but does not serve yet: refused by name.
//!
//! One table, [`UNSUPPORTED`]. Serving a feature means deleting its row. A test walks every
//! field of a service's spec and demands that each is either served or in the table, so that
//! nothing a user asks for is dropped in silence.

use std::fmt;

use crate::Resolved;
use crate::spec::container::{ContainerSpec, DnsConfig, Isolation, Privileges, PullOptions};
use crate::spec::service::{EndpointMode, ServiceMode, ServiceSpec, UpdateConfig};
use crate::spec::task::{NetworkAttachmentConfig, NetworkTarget, TaskRuntime};

/// One thing that is not served yet.
#[derive(Clone, Copy)]
pub struct Feature {
    /// Its name in Docker's API; what the refusal shows.
    pub field: &'static str,
    /// Whether a resolved spec asks for it.
    pub present: fn(&ServiceSpec) -> bool,
    /// What to do instead; empty when there is nothing to advise.
    pub hint: &'static str,
}

/// A feature that was asked for and is not served yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub struct NotSupported {
    /// Its name in Docker's API.
    pub field: &'static str,
    /// What to do instead; may be empty.
    pub hint: &'static str,
}

impl fmt::Display for NotSupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not supported yet: {}", self.field)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, " ({})", self.hint) }
    }
}

/// Everything that is not served yet, in the order of the API's documentation.
pub const UNSUPPORTED: &[Feature] = &[
    row("Mode.Global", |it| it.mode == ServiceMode::Global),
    row("Mode.ReplicatedJob", |it| matches!(it.mode, ServiceMode::ReplicatedJob { .. })),
    row("Mode.GlobalJob", |it| it.mode == ServiceMode::GlobalJob),
    row("UpdateConfig", |it| changed(it.update.as_ref())),
    row("RollbackConfig", |it| changed(it.rollback.as_ref())),
    row("EndpointSpec.Mode", |it| it.endpoint.mode == EndpointMode::DnsRr),
    row("EndpointSpec.Ports", |it| !it.endpoint.ports.is_empty()),
    row("TaskTemplate.NetworkAttachmentSpec", |it| {
        matches!(it.task.runtime, TaskRuntime::Attachment(_))
    }),
    row("TaskTemplate.PluginSpec", |it| matches!(it.task.runtime, TaskRuntime::Generic { .. })),
    row("TaskTemplate.Resources.SwapBytes", |it| it.task.resources.swap_bytes.is_some()),
    row("TaskTemplate.Resources.MemorySwappiness", |it| {
        it.task.resources.memory_swappiness.is_some()
    }),
    row("TaskTemplate.Resources.Reservations.GenericResources", |it| {
        !it.task.resources.reservations.generic.is_empty()
    }),
    row("TaskTemplate.Placement.Constraints", |it| !it.task.placement.constraints.is_empty()),
    row("TaskTemplate.Placement.Preferences", |it| !it.task.placement.preferences.is_empty()),
    Feature {
        field: "TaskTemplate.Networks",
        present: |it| !on_host_only(&it.task.networks),
        hint: "until networks between nodes are served, pass --network host and no other",
    },
    row("TaskTemplate.Networks.Aliases", |it| any_network(it, |it| !it.aliases.is_empty())),
    row("TaskTemplate.Networks.Addresses", |it| any_network(it, |it| !it.addresses.is_empty())),
    row("TaskTemplate.Networks.DriverOpts", |it| {
        any_network(it, |it| !it.driver_options.is_empty())
    }),
    row("TaskTemplate.LogDriver", |it| it.task.log_driver.is_some()),
    row("TaskTemplate.ForceUpdate", |it| it.task.force_update != 0),
    row("TaskTemplate.References", |it| !it.task.references.is_empty()),
    row("TaskTemplate.ContainerSpec.Hostname", |it| asks(it, |it| !it.hostname.is_empty())),
    row("TaskTemplate.ContainerSpec.Groups", |it| asks(it, |it| !it.groups.is_empty())),
    row("TaskTemplate.ContainerSpec.Privileges", |it| {
        asks(it, |it| it.privileges != Privileges::default())
    }),
    row("TaskTemplate.ContainerSpec.Init", |it| asks(it, |it| it.init == Some(true))),
    row("TaskTemplate.ContainerSpec.TTY", |it| asks(it, |it| it.tty)),
    row("TaskTemplate.ContainerSpec.OpenStdin", |it| asks(it, |it| it.open_stdin)),
    row("TaskTemplate.ContainerSpec.ReadOnly", |it| asks(it, |it| it.read_only)),
    row("TaskTemplate.ContainerSpec.Mounts", |it| asks(it, |it| !it.mounts.is_empty())),
    row("TaskTemplate.ContainerSpec.Healthcheck", |it| asks(it, |it| it.healthcheck.is_some())),
    row("TaskTemplate.ContainerSpec.Hosts", |it| asks(it, |it| !it.hosts.is_empty())),
    row("TaskTemplate.ContainerSpec.DNSConfig", |it| asks(it, |it| it.dns != DnsConfig::default())),
    row("TaskTemplate.ContainerSpec.Secrets", |it| asks(it, |it| !it.secrets.is_empty())),
    row("TaskTemplate.ContainerSpec.Configs", |it| asks(it, |it| !it.configs.is_empty())),
    row("TaskTemplate.ContainerSpec.Isolation", |it| {
        asks(it, |it| it.isolation != Isolation::Default)
    }),
    row("TaskTemplate.ContainerSpec.Sysctls", |it| asks(it, |it| !it.sysctls.is_empty())),
    row("TaskTemplate.ContainerSpec.CapabilityAdd", |it| {
        asks(it, |it| !it.capability_add.is_empty())
    }),
    row("TaskTemplate.ContainerSpec.CapabilityDrop", |it| {
        asks(it, |it| !it.capability_drop.is_empty())
    }),
    row("TaskTemplate.ContainerSpec.Ulimits", |it| asks(it, |it| !it.ulimits.is_empty())),
    row("TaskTemplate.ContainerSpec.OomScoreAdj", |it| asks(it, |it| it.oom_score_adj != 0)),
    row("X-Registry-Auth", |it| asks(it, |it| it.pull != PullOptions::default())),
];

const fn row(field: &'static str, present: fn(&ServiceSpec) -> bool) -> Feature {
    Feature { field, present, hint: "" }
}

fn asks(spec: &ServiceSpec, present: fn(&ContainerSpec) -> bool) -> bool {
    spec.task.container().is_some_and(present)
}

fn changed(config: Option<&UpdateConfig>) -> bool {
    config.is_some_and(|config| *config != UpdateConfig::default())
}

fn on_host_only(networks: &[NetworkAttachmentConfig]) -> bool {
    matches!(networks, [only] if only.target == NetworkTarget::Host)
}

fn any_network(spec: &ServiceSpec, present: fn(&NetworkAttachmentConfig) -> bool) -> bool {
    spec.task.networks.iter().any(present)
}

/// What a new service asks for that is not served yet; empty when it can be created.
#[must_use]
pub fn unsupported(spec: &Resolved<ServiceSpec>) -> Vec<NotSupported> {
    let present = UNSUPPORTED.iter().filter(|feature| (feature.present)(spec));
    present.map(|feature| NotSupported { field: feature.field, hint: feature.hint }).collect()
}

#[cfg(test)]
mod tests;

//! What this version understands and stores, but does not serve yet: refused by name.
//!
//! One table, [`UNSUPPORTED`]. Serving a feature means deleting its row. A test walks every
//! field of a service's spec and demands that each is either served or in the table, so that
//! nothing a user asks for is dropped in silence.

use std::fmt;

use crate::Resolved;
use crate::log;
use crate::spec::container::{ContainerSpec, Isolation};
use crate::spec::mount::{Mount, MountKind};
use crate::spec::service::{EndpointMode, PublishMode, ServiceMode, ServiceSpec};
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
    row("Mode.ReplicatedJob", |it| matches!(it.mode, ServiceMode::ReplicatedJob { .. })),
    row("Mode.GlobalJob", |it| it.mode == ServiceMode::GlobalJob),
    row("EndpointSpec.Mode", |it| it.endpoint.mode == EndpointMode::DnsRr),
    Feature {
        field: "EndpointSpec.Ports.PublishMode",
        present: |it| it.endpoint.ports.iter().any(|port| port.mode == PublishMode::Ingress),
        hint: "until ports are published on every node, publish on the task's node: mode=host,target=...",
    },
    row("TaskTemplate.NetworkAttachmentSpec", |it| {
        matches!(it.task.runtime, TaskRuntime::Attachment(_))
    }),
    row("TaskTemplate.PluginSpec", |it| matches!(it.task.runtime, TaskRuntime::Generic { .. })),
    row("TaskTemplate.Resources.Reservations.GenericResources", |it| {
        !it.task.resources.reservations.generic.is_empty()
    }),
    Feature {
        field: "TaskTemplate.Networks",
        present: |it| any_network(it, |it| matches!(it.target, NetworkTarget::Network(_))),
        hint: "until networks between nodes are served, pass --network host, none or bridge",
    },
    row("TaskTemplate.Networks.Aliases", |it| any_network(it, |it| !it.aliases.is_empty())),
    row("TaskTemplate.Networks.Addresses", |it| any_network(it, |it| !it.addresses.is_empty())),
    row("TaskTemplate.Networks.DriverOpts", |it| {
        any_network(it, |it| !it.driver_options.is_empty())
    }),
    Feature {
        field: "TaskTemplate.LogDriver",
        present: |it| it.task.log_driver.as_ref().is_some_and(|it| log::driver(it).is_none()),
        hint: "there are json-file, local and none",
    },
    Feature {
        field: "TaskTemplate.LogDriver.Options",
        present: |it| it.task.log_driver.as_ref().is_some_and(log::has_other_options),
        hint: "there are max-size and max-file",
    },
    row("TaskTemplate.References", |it| !it.task.references.is_empty()),
    row("TaskTemplate.ContainerSpec.Privileges.CredentialSpec", |it| {
        asks(it, |it| it.privileges.credential_spec.is_some())
    }),
    Feature {
        field: "TaskTemplate.ContainerSpec.Mounts.Type",
        present: |it| asks(it, |it| it.mounts.iter().any(is_of_other_kind)),
        hint: "there are bind, volume and tmpfs",
    },
    Feature {
        field: "TaskTemplate.ContainerSpec.Mounts.VolumeOptions.DriverConfig",
        present: |it| asks(it, |it| it.mounts.iter().any(has_other_driver)),
        hint: "there is local",
    },
    row("TaskTemplate.ContainerSpec.Secrets", |it| asks(it, |it| !it.secrets.is_empty())),
    row("TaskTemplate.ContainerSpec.Configs", |it| asks(it, |it| !it.configs.is_empty())),
    row("TaskTemplate.ContainerSpec.Isolation", |it| {
        asks(it, |it| it.isolation != Isolation::Default)
    }),
];

const fn row(field: &'static str, present: fn(&ServiceSpec) -> bool) -> Feature {
    Feature { field, present, hint: "" }
}

fn asks(spec: &ServiceSpec, present: fn(&ContainerSpec) -> bool) -> bool {
    spec.task.container().is_some_and(present)
}

fn is_of_other_kind(mount: &Mount) -> bool {
    !matches!(mount.kind, MountKind::Bind | MountKind::Volume | MountKind::Tmpfs)
}

fn has_other_driver(mount: &Mount) -> bool {
    let driver = mount.volume.as_ref().and_then(|volume| volume.driver.as_ref());
    driver.is_some_and(|driver| !matches!(driver.name.as_str(), "" | "local"))
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

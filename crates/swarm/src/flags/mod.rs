//! Docker's flags of services, and what they make of a spec.
//!
//! [`grammar`] reads values. [`settings`] and [`rolling`] are the flags that `create` and
//! `update` share: each that was given sets its field, the others leave it alone. [`lists`] adds
//! to the lists of a new spec, [`edit`] adds to and takes from those of one that is there;
//! [`cluster`] are those of the whole cluster. All
//! of it is a function of the flags and the spec; files and the environment are read before.

pub(crate) mod cluster;
pub(crate) mod edit;
pub(crate) mod grammar;
pub(crate) mod lists;
pub(crate) mod rolling;
pub(crate) mod settings;

use swarm_types::spec::container::ContainerSpec;
use swarm_types::spec::service::ServiceSpec;
use swarm_types::spec::task::{NetworkAttachmentConfig, NetworkTarget, TaskRuntime};

/// The container of a service; flags are about nothing else.
pub(crate) fn container(spec: &mut ServiceSpec) -> anyhow::Result<&mut ContainerSpec> {
    match &mut spec.task.runtime {
        TaskRuntime::Container(container) => Ok(container),
        _ => anyhow::bail!("the service runs no containers: its flags do not apply"),
    }
}

/// The networks every node has, as `flag` names one. `None` is `bridge`, which a service has
/// that names none.
pub(crate) fn network(flag: &str, name: &str) -> anyhow::Result<Option<NetworkAttachmentConfig>> {
    let target = match name {
        "bridge" | "default" => return Ok(None),
        "host" => NetworkTarget::Host,
        "none" => NetworkTarget::None,
        _ => anyhow::bail!(
            "{flag} {name}: no such network; networks between nodes are not supported yet, \
             there are bridge, host and none"
        ),
    };
    Ok(Some(NetworkAttachmentConfig { target, ..NetworkAttachmentConfig::default() }))
}

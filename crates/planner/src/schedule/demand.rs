//! What a task asks of a node, read from its template once for all nodes.

use swarm_state::Snapshot;
use swarm_types::Template;
use swarm_types::spec::Driver;
use swarm_types::spec::mount::{Mount, MountKind};
use swarm_types::spec::task::{NetworkTarget, TaskSpec};

use super::constraint::Constraints;
use super::ledger::{Port, host_ports};

/// What a task asks of a node.
pub(super) struct Demand<'a> {
    /// What it runs.
    pub(super) template: &'a Template,
    /// Where it may run.
    pub(super) constraints: Constraints,
    /// The fixed ports it publishes on its node.
    pub(super) ports: Vec<Port>,
    /// The plug-ins it needs there.
    pub(super) plugins: Vec<Needs<'a>>,
}

/// A plug-in a task needs, as nodes report them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Needs<'a> {
    /// `Volume`, `Network` or `Log`.
    pub(super) kind: &'static str,
    /// Its name.
    pub(super) name: &'a str,
}

/// The kind of log drivers, which older nodes do not report.
pub(super) const LOG: &str = "Log";

impl<'a> Demand<'a> {
    /// Reads a template.
    pub(super) fn of(template: &'a Template, view: &'a Snapshot) -> Self {
        Self {
            template,
            constraints: Constraints::read(&template.spec.placement.constraints),
            ports: host_ports(&template.endpoint.ports).collect(),
            plugins: plugins(&template.spec, view),
        }
    }
}

fn plugins<'a>(spec: &'a TaskSpec, view: &'a Snapshot) -> Vec<Needs<'a>> {
    let mounts = spec.container().map_or(&[][..], |container| &container.mounts);
    let volumes = mounts.iter().filter_map(volume_driver);
    let volumes = volumes.filter(|name| *name != "local").map(|name| ("Volume", name));
    let networks = spec.networks.iter().filter_map(|network| match &network.target {
        NetworkTarget::Network(id) => Some(view.network(id)?.spec.driver.name.as_str()),
        _ => None,
    });
    let networks = networks.map(|name| ("Network", name));
    let log = spec.log_driver.iter().map(|driver| driver.name.as_str());
    let log = log.filter(|name| *name != "none").map(|name| (LOG, name));
    let all = volumes.chain(networks).chain(log).filter(|(_, name)| !name.is_empty());
    all.map(|(kind, name)| Needs { kind, name }).collect()
}

fn volume_driver(mount: &Mount) -> Option<&str> {
    let options = mount.volume.as_ref().filter(|_| mount.kind == MountKind::Volume)?;
    options.driver.as_ref().map(|driver: &Driver| driver.name.as_str())
}

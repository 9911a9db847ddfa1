//! Flags of a new service that may be repeated.

use std::path::PathBuf;

use anyhow::Context;
use swarm_types::spec::container::Ulimit;
use swarm_types::spec::mount::Mount;
use swarm_types::spec::service::{PortConfig, ServiceSpec};
use swarm_types::spec::task::{GenericResource, PlacementPreference};

use super::{container, edit, grammar, network};

#[derive(clap::Args, Debug, Default)]
pub(crate) struct Lists {
    /// Label of the service
    #[arg(long, short, value_name = "KEY[=VALUE]", value_parser = grammar::label)]
    label: Vec<(String, String)>,
    /// Label of the containers
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = grammar::label)]
    container_label: Vec<(String, String)>,
    /// Environment variable; KEY alone takes the value from this environment
    #[arg(long, short, value_name = "KEY[=VALUE]", value_parser = grammar::variable)]
    env: Vec<String>,
    /// File of environment variables
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Supplementary group
    #[arg(long)]
    group: Vec<String>,
    /// Mount: type=volume|bind|tmpfs,source=...,target=...
    #[arg(long, value_name = "MOUNT", value_parser = grammar::mount)]
    mount: Vec<Mount>,
    /// Network the tasks are attached to: host, none or bridge
    #[arg(long, value_name = "NETWORK")]
    network: Vec<String>,
    /// Port: [PUBLISHED:]TARGET[/PROTOCOL] or target=...,published=...,mode=...
    #[arg(long, short, value_name = "PORT", value_parser = published)]
    publish: Vec<Ports>,
    /// Line of the hosts file
    #[arg(long, value_name = "NAME:IP", value_parser = grammar::host)]
    host: Vec<String>,
    /// Name server
    #[arg(long, value_name = "IP", value_parser = grammar::address)]
    dns: Vec<String>,
    /// Option of the resolver
    #[arg(long, value_name = "OPTION")]
    dns_option: Vec<String>,
    /// Search domain
    #[arg(long, value_name = "DOMAIN", value_parser = grammar::domain)]
    dns_search: Vec<String>,
    /// Kernel parameter
    #[arg(long, value_name = "KEY=VALUE", value_parser = grammar::pair)]
    sysctl: Vec<(String, String)>,
    /// Limit of a process
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = grammar::ulimit)]
    ulimit: Vec<Ulimit>,
    /// Capability to add
    #[arg(long, value_name = "CAP")]
    cap_add: Vec<String>,
    /// Capability to drop
    #[arg(long, value_name = "CAP")]
    cap_drop: Vec<String>,
    /// User-defined resource
    #[arg(long, value_name = "KIND=NUMBER", value_parser = grammar::generic)]
    generic_resource: Vec<GenericResource>,
    /// Where tasks may run, such as node.role==worker
    #[arg(long, value_name = "EXPRESSION")]
    constraint: Vec<String>,
    /// What to spread over, such as spread=node.labels.rack
    #[arg(long, value_name = "spread=LABEL", value_parser = grammar::preference)]
    placement_pref: Vec<PlacementPreference>,
    /// Secret to mount (not supported yet)
    #[arg(long, value_name = "SECRET")]
    secret: Vec<String>,
    /// Config to mount (not supported yet)
    #[arg(long, value_name = "CONFIG")]
    config: Vec<String>,
}

/// The ports of one flag.
#[derive(Clone, Debug)]
pub(super) struct Ports(pub(super) Vec<PortConfig>);

pub(super) fn published(text: &str) -> Result<Ports, String> {
    grammar::ports(text).map(Ports)
}

impl Lists {
    /// Fills the lists of a new spec.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or a flag is not supported yet.
    pub(crate) fn apply(self, spec: &mut ServiceSpec) -> anyhow::Result<()> {
        edit::refuse_files("--secret", &self.secret)?;
        edit::refuse_files("--config", &self.config)?;
        let env = environment(&self.env_file, self.env)?;
        let (cap_add, cap_drop) = edit::effective(self.cap_add.iter(), self.cap_drop.iter());
        let it = container(spec)?;
        it.env = env;
        it.labels.extend(self.container_label);
        it.groups = self.group;
        it.mounts = self.mount;
        it.hosts = self.host;
        it.dns.nameservers = self.dns;
        it.dns.options = self.dns_option;
        it.dns.search = self.dns_search;
        it.sysctls.extend(self.sysctl);
        it.ulimits = edit::last_of_each(self.ulimit, |limit| limit.name.clone());
        (it.capability_add, it.capability_drop) = (cap_add, cap_drop);
        spec.annotations.labels.extend(self.label);
        spec.endpoint.ports = self.publish.into_iter().flat_map(|ports| ports.0).collect();
        spec.task.placement.constraints = self.constraint;
        spec.task.placement.preferences = self.placement_pref;
        spec.task.resources.reservations.generic = edit::distinct(self.generic_resource)?;
        for name in self.network {
            spec.task.networks.extend(network("--network", &name)?);
        }
        Ok(())
    }
}

/// Files first; of one variable the last stays, at its own place.
fn environment(files: &[PathBuf], variables: Vec<String>) -> anyhow::Result<Vec<String>> {
    let mut all = Vec::new();
    for path in files {
        let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        let read = grammar::env_file(&text).map_err(anyhow::Error::msg);
        all.extend(read.with_context(|| format!("read {}", path.display()))?);
    }
    all.extend(variables.into_iter().map(grammar::from_environment));
    Ok(edit::last_of_each(all, |variable| edit::env_key(variable).to_owned()))
}

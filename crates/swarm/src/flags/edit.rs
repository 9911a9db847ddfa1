//! Flags that add to and take from the lists of a service that is there: `--X-add`, `--X-rm`.
//!
//! What each pair does to its list stands in [`values`]; here stands which list that is.

mod missing;
mod values;

use std::path::PathBuf;

use anyhow::Context;
use swarm_types::spec::container::Ulimit;
use swarm_types::spec::mount::Mount;
use swarm_types::spec::service::{PortConfig, ServiceSpec};
use swarm_types::spec::task::{GenericResource, PlacementPreference};

use super::lists::{Ports, published};
use super::{container, grammar};

pub(super) use values::{distinct, effective, env_key, last_of_each, refuse_files};

#[derive(clap::Args, Debug, Default)]
pub(crate) struct Edits {
    /// Add: label of the service
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = grammar::label)]
    label_add: Vec<(String, String)>,
    /// Remove it
    #[arg(long, value_name = "KEY")]
    label_rm: Vec<String>,
    /// Add: label of the containers
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = grammar::label)]
    container_label_add: Vec<(String, String)>,
    /// Remove it
    #[arg(long, value_name = "KEY")]
    container_label_rm: Vec<String>,
    /// Add: environment variable; KEY alone takes the value from this environment
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = grammar::variable)]
    env_add: Vec<String>,
    /// Remove it
    #[arg(long, value_name = "KEY")]
    env_rm: Vec<String>,
    /// Add: supplementary group
    #[arg(long, value_name = "GROUP")]
    group_add: Vec<String>,
    /// Remove it
    #[arg(long, value_name = "GROUP")]
    group_rm: Vec<String>,
    /// Add: mount: type=volume|bind|tmpfs,source=...,target=...
    #[arg(long, value_name = "MOUNT", value_parser = grammar::mount)]
    mount_add: Vec<Mount>,
    /// Remove it
    #[arg(long, value_name = "TARGET")]
    mount_rm: Vec<String>,
    /// Add: network: host, none or bridge
    #[arg(long, value_name = "NETWORK")]
    network_add: Vec<String>,
    /// Remove it
    #[arg(long, value_name = "NETWORK")]
    network_rm: Vec<String>,
    /// Add: port: [PUBLISHED:]TARGET[/PROTOCOL] or target=...,published=...,mode=...
    #[arg(long, value_name = "PORT", value_parser = published)]
    publish_add: Vec<Ports>,
    /// Remove it; published in mode host: target=...,mode=host
    #[arg(long, value_name = "TARGET[/PROTOCOL]", value_parser = grammar::port_to_remove)]
    publish_rm: Vec<PortConfig>,
    /// Add: line of the hosts file
    #[arg(long, value_name = "NAME:IP", value_parser = grammar::host)]
    host_add: Vec<String>,
    /// Remove it
    #[arg(long, value_name = "NAME[:IP]")]
    host_rm: Vec<String>,
    /// Add: name server
    #[arg(long, value_name = "IP", value_parser = grammar::address)]
    dns_add: Vec<String>,
    /// Remove it
    #[arg(long, value_name = "IP")]
    dns_rm: Vec<String>,
    /// Add: option of the resolver
    #[arg(long, value_name = "OPTION")]
    dns_option_add: Vec<String>,
    /// Remove it
    #[arg(long, value_name = "OPTION")]
    dns_option_rm: Vec<String>,
    /// Add: search domain
    #[arg(long, value_name = "DOMAIN", value_parser = grammar::domain)]
    dns_search_add: Vec<String>,
    /// Remove it
    #[arg(long, value_name = "DOMAIN")]
    dns_search_rm: Vec<String>,
    /// Add: kernel parameter
    #[arg(long, value_name = "KEY=VALUE", value_parser = grammar::pair)]
    sysctl_add: Vec<(String, String)>,
    /// Remove it
    #[arg(long, value_name = "KEY")]
    sysctl_rm: Vec<String>,
    /// Add: limit of a process
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = grammar::ulimit)]
    ulimit_add: Vec<Ulimit>,
    /// Remove it
    #[arg(long, value_name = "NAME")]
    ulimit_rm: Vec<String>,
    /// Add: user-defined resource
    #[arg(long, value_name = "KIND=NUMBER", value_parser = grammar::generic)]
    generic_resource_add: Vec<GenericResource>,
    /// Remove it
    #[arg(long, value_name = "KIND")]
    generic_resource_rm: Vec<String>,
    /// Add: where tasks may run, such as node.role==worker
    #[arg(long, value_name = "EXPRESSION")]
    constraint_add: Vec<String>,
    /// Remove it
    #[arg(long, value_name = "EXPRESSION")]
    constraint_rm: Vec<String>,
    /// Add: what to spread over, such as spread=node.labels.rack
    #[arg(long, value_name = "spread=LABEL", value_parser = grammar::preference)]
    placement_pref_add: Vec<PlacementPreference>,
    /// Remove it
    #[arg(long, value_name = "spread=LABEL", value_parser = grammar::preference)]
    placement_pref_rm: Vec<PlacementPreference>,
    /// Add: secret to mount (not supported yet)
    #[arg(long, value_name = "SECRET")]
    secret_add: Vec<String>,
    /// Remove it
    #[arg(long, value_name = "SECRET")]
    secret_rm: Vec<String>,
    /// Add: config to mount (not supported yet)
    #[arg(long, value_name = "CONFIG")]
    config_add: Vec<String>,
    /// Remove it
    #[arg(long, value_name = "CONFIG")]
    config_rm: Vec<String>,
    /// Capability to add; RESET forgets those added before
    #[arg(long, value_name = "CAP")]
    cap_add: Vec<String>,
    /// Capability to drop; RESET forgets those dropped before
    #[arg(long, value_name = "CAP")]
    cap_drop: Vec<String>,
    /// File of environment variables to add
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
}

impl Edits {
    /// What is to be removed from `spec` and is not there, one sentence each.
    pub(crate) fn missing(&self, spec: &ServiceSpec) -> Vec<String> {
        missing::told(self, spec)
    }

    /// Changes the lists of a spec.
    ///
    /// # Errors
    ///
    /// When a network or resource to add is there or one to remove is not, when a file cannot be
    /// read, or when a flag is not supported yet.
    pub(crate) fn apply(self, spec: &mut ServiceSpec) -> anyhow::Result<()> {
        refuse_files("--secret-add", &self.secret_add)?;
        refuse_files("--secret-rm", &self.secret_rm)?;
        refuse_files("--config-add", &self.config_add)?;
        refuse_files("--config-rm", &self.config_rm)?;
        self.service(spec)?;
        self.container(spec)
    }

    fn service(&self, spec: &mut ServiceSpec) -> anyhow::Result<()> {
        let placement = &mut spec.task.placement;
        values::labels(&mut spec.annotations.labels, &self.label_add, &self.label_rm);
        values::sorted(&mut placement.constraints, &self.constraint_add, &self.constraint_rm);
        placement.preferences.retain(|preference| !self.placement_pref_rm.contains(preference));
        placement.preferences.extend(self.placement_pref_add.iter().cloned());
        let ports = self.publish_add.iter().flat_map(|ports| &ports.0);
        values::ports(&mut spec.endpoint.ports, ports, &self.publish_rm);
        let generic = &mut spec.task.resources.reservations.generic;
        values::generic(generic, &self.generic_resource_add, &self.generic_resource_rm)?;
        values::networks(&mut spec.task.networks, &self.network_add, &self.network_rm)
    }

    fn container(self, spec: &mut ServiceSpec) -> anyhow::Result<()> {
        let mut env = Vec::new();
        for path in &self.env_file {
            let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
            let read = grammar::env_file(&text).map_err(anyhow::Error::msg);
            env.extend(read.with_context(|| format!("read {}", path.display()))?);
        }
        env.extend(self.env_add.into_iter().map(grammar::from_environment));
        let it = container(spec)?;
        values::env(&mut it.env, env, &self.env_rm);
        values::labels(&mut it.labels, &self.container_label_add, &self.container_label_rm);
        values::sorted(&mut it.groups, &self.group_add, &self.group_rm);
        values::mounts(&mut it.mounts, self.mount_add, &self.mount_rm);
        values::hosts(&mut it.hosts, self.host_add, &self.host_rm);
        values::sorted(&mut it.dns.nameservers, &self.dns_add, &self.dns_rm);
        values::sorted(&mut it.dns.options, &self.dns_option_add, &self.dns_option_rm);
        values::sorted(&mut it.dns.search, &self.dns_search_add, &self.dns_search_rm);
        values::labels(&mut it.sysctls, &self.sysctl_add, &self.sysctl_rm);
        values::ulimits(&mut it.ulimits, self.ulimit_add, &self.ulimit_rm);
        let lists = (&mut it.capability_add, &mut it.capability_drop);
        values::capabilities(lists, &self.cap_add, &self.cap_drop);
        Ok(())
    }
}

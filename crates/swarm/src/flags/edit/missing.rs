//! What a flag was to remove and the service does not have. Docker says nothing and goes on; we
//! go on and say so.

use swarm_types::spec::service::{PortConfig, ServiceSpec};
use swarm_types::spec::task::PlacementPreference;

use super::{Edits, values};
use crate::flags::network;
use crate::view::json::words;

/// One sentence for each.
pub(super) fn told(edits: &Edits, spec: &ServiceSpec) -> Vec<String> {
    let mut told = Told::default();
    of_service(&mut told, edits, spec);
    of_container(&mut told, edits, spec);
    told.0
}

#[derive(Default)]
struct Told(Vec<String>);

impl Told {
    fn unless(&mut self, flag: &str, removed: &[String], is_there: impl Fn(&String) -> bool) {
        for word in removed.iter().filter(|word| !is_there(word)) {
            self.0.push(format!("{flag} {word}: the service has none, nothing is removed"));
        }
    }
}

fn of_service(told: &mut Told, edits: &Edits, spec: &ServiceSpec) {
    let placement = &spec.task.placement;
    let constraints = [&placement.constraints[..], &edits.constraint_add].concat();
    told.unless("--label-rm", &edits.label_rm, |key| spec.annotations.labels.contains_key(key));
    told.unless("--constraint-rm", &edits.constraint_rm, |it| constraints.contains(it));
    for wanted in &edits.placement_pref_rm {
        let PlacementPreference::Spread { descriptor } = wanted;
        let removed = [format!("spread={descriptor}")];
        let is_there = placement.preferences.contains(wanted);
        told.unless("--placement-pref-rm", &removed, |_| is_there);
    }
    told.unless("--network-rm", &edits.network_rm, |name| {
        // What is no network is an error of its own.
        let Ok(wanted) = network("", name) else { return true };
        wanted.map_or(spec.task.networks.is_empty(), |wanted| {
            spec.task.networks.iter().any(|it| it.target == wanted.target)
        })
    });
    for wanted in &edits.publish_rm {
        told.0.extend(port(wanted, &spec.endpoint.ports));
    }
}

fn of_container(told: &mut Told, edits: &Edits, spec: &ServiceSpec) {
    let Some(it) = spec.task.container() else { return };
    let has_host = |removed: &String| {
        it.hosts.iter().any(|line| {
            let mut words = line.split_whitespace();
            let address = words.next().unwrap_or_default();
            words.any(|name| values::takes_host(removed, address, name))
        })
    };
    let has_variable = |key: &String| it.env.iter().any(|pair| values::env_key(pair) == key);
    told.unless("--env-rm", &edits.env_rm, has_variable);
    told.unless("--container-label-rm", &edits.container_label_rm, |key| {
        it.labels.contains_key(key)
    });
    told.unless("--group-rm", &edits.group_rm, |group| it.groups.contains(group));
    told.unless("--mount-rm", &edits.mount_rm, |target| {
        it.mounts.iter().any(|mount| mount.target == *target)
    });
    told.unless("--host-rm", &edits.host_rm, has_host);
    told.unless("--dns-rm", &edits.dns_rm, |address| it.dns.nameservers.contains(address));
    told.unless("--dns-option-rm", &edits.dns_option_rm, |word| it.dns.options.contains(word));
    told.unless("--dns-search-rm", &edits.dns_search_rm, |word| it.dns.search.contains(word));
    told.unless("--sysctl-rm", &edits.sysctl_rm, |key| it.sysctls.contains_key(key));
    told.unless("--ulimit-rm", &edits.ulimit_rm, |name| {
        it.ulimits.iter().any(|limit| limit.name == *name)
    });
}

/// A port is removed by target, protocol and mode; one that only differs in the last two is
/// most likely meant.
fn port(wanted: &PortConfig, ports: &[PortConfig]) -> Option<String> {
    if ports.iter().any(|port| values::place(port) == values::place(wanted)) {
        return None;
    }
    let mode = words::publish_mode(wanted.mode);
    let shown = format!("{}/{}", wanted.target, wanted.protocol.as_str());
    let others = ports.iter().filter(|port| port.target == wanted.target);
    let others: Vec<String> = others.map(removal).collect();
    let hint = match others.as_slice() {
        [] => String::new(),
        others => format!("; there is {}", others.join(", ")),
    };
    Some(format!(
        "--publish-rm {shown}: no such port is published in mode {mode}, nothing is removed{hint}"
    ))
}

/// The flag that removes a port.
fn removal(port: &PortConfig) -> String {
    format!(
        "--publish-rm target={},protocol={},mode={}",
        port.target,
        port.protocol.as_str(),
        words::publish_mode(port.mode)
    )
}

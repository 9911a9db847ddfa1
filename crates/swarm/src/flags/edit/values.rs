//! What adding and removing does to each kind of list, as Docker's `service update` does it.

use std::collections::{BTreeMap, BTreeSet};

use swarm_types::spec::container::Ulimit;
use swarm_types::spec::mount::Mount;
use swarm_types::spec::service::{PortConfig, Protocol, PublishMode};
use swarm_types::spec::task::{GenericResource, NetworkAttachmentConfig, NetworkTarget};

use crate::flags::{grammar, network};
use crate::view::json::words;

/// Removes by key first, then adds or replaces.
pub(super) fn labels(
    labels: &mut BTreeMap<String, String>,
    add: &[(String, String)],
    rm: &[String],
) {
    labels.retain(|key, _| !rm.contains(key));
    labels.extend(add.iter().cloned());
}

/// The variable's name.
pub(in crate::flags) fn env_key(variable: &str) -> &str {
    variable.split_once('=').map_or(variable, |(key, _)| key)
}

/// Removes by key first; what is added replaces what has its key, at the end.
pub(super) fn env(env: &mut Vec<String>, add: Vec<String>, rm: &[String]) {
    env.retain(|variable| !rm.iter().any(|key| key == env_key(variable)));
    env.extend(add);
    *env = last_of_each(std::mem::take(env), |variable| env_key(variable).to_owned());
}

/// Of several with one key the last, at its own place.
pub(in crate::flags) fn last_of_each<T>(items: Vec<T>, key: impl Fn(&T) -> String) -> Vec<T> {
    let mut seen = BTreeSet::new();
    let mut kept: Vec<T> = items.into_iter().rev().filter(|item| seen.insert(key(item))).collect();
    kept.reverse();
    kept
}

/// Adds, then removes, and sorts when anything was asked for.
pub(super) fn sorted(list: &mut Vec<String>, add: &[String], rm: &[String]) {
    if add.is_empty() && rm.is_empty() {
        return;
    }
    let all: BTreeSet<String> = list.drain(..).chain(add.iter().cloned()).collect();
    list.extend(all.into_iter().filter(|item| !rm.contains(item)));
}

/// One mount per target; sorted by source, then target.
pub(super) fn mounts(mounts: &mut Vec<Mount>, add: Vec<Mount>, rm: &[String]) {
    if add.is_empty() && rm.is_empty() {
        return;
    }
    mounts.extend(add);
    *mounts = last_of_each(std::mem::take(mounts), |mount| mount.target.clone());
    mounts.retain(|mount| !rm.contains(&mount.target));
    mounts.sort_by(|a, b| (&a.source, &a.target).cmp(&(&b.source, &b.target)));
}

/// Removes by target, protocol and mode; the same port twice is one.
pub(super) fn ports<'a>(
    ports: &mut Vec<PortConfig>,
    add: impl Iterator<Item = &'a PortConfig>,
    rm: &[PortConfig],
) {
    let before = ports.len();
    ports.retain(|port| !rm.iter().any(|removed| place(removed) == place(port)));
    let mut changed = ports.len() != before;
    for port in add {
        if !ports.contains(port) {
            ports.push(port.clone());
            changed = true;
        }
    }
    if changed {
        ports.sort_by_key(|port| {
            format!("{}:{}/{}/{:?}", port.published, port.target, port.protocol.as_str(), port.mode)
        });
    }
}

/// What a port is removed by.
pub(super) const fn place(port: &PortConfig) -> (u16, Protocol, PublishMode) {
    (port.target, port.protocol, port.mode)
}

/// Adds or replaces by kind.
pub(super) fn generic(
    resources: &mut Vec<GenericResource>,
    add: &[GenericResource],
    rm: &[String],
) -> anyhow::Result<()> {
    for kind in rm {
        let before = resources.len();
        resources.retain(|resource| kind_of(resource) != kind);
        anyhow::ensure!(resources.len() != before, "no generic resource {kind:?} to remove");
    }
    for resource in distinct(add.to_vec())? {
        resources.retain(|it| kind_of(it) != kind_of(&resource));
        resources.push(resource);
    }
    Ok(())
}

/// Two of a kind would be a set of names, which services cannot ask for.
pub(in crate::flags) fn distinct(
    resources: Vec<GenericResource>,
) -> anyhow::Result<Vec<GenericResource>> {
    let mut seen = BTreeSet::new();
    for resource in &resources {
        let kind = kind_of(resource);
        anyhow::ensure!(seen.insert(kind), "generic resource {kind:?} is given twice");
    }
    Ok(resources)
}

fn kind_of(resource: &GenericResource) -> &String {
    match resource {
        GenericResource::Named { kind, .. } | GenericResource::Discrete { kind, .. } => kind,
    }
}

/// Adding a network twice is an error, and adding one beside one that stands alone; sorted by
/// target. A service that names none is on `bridge`.
pub(super) fn networks(
    networks: &mut Vec<NetworkAttachmentConfig>,
    add: &[String],
    rm: &[String],
) -> anyhow::Result<()> {
    let mut on_bridge = networks.is_empty();
    for name in rm {
        let removed = network("--network-rm", name)?;
        networks.retain(|it| Some(it.target) != removed.as_ref().map(|network| network.target));
        on_bridge &= removed.is_some();
    }
    for name in add {
        let added = network("--network-add", name)?;
        let there = match &added {
            Some(added) => networks.iter().any(|it| it.target == added.target),
            None => on_bridge,
        };
        anyhow::ensure!(!there, "service is already attached to network {name}");
        let other = if on_bridge { Some("bridge".to_owned()) } else { alone(networks, &added) };
        if let Some(other) = other {
            anyhow::bail!(
                "--network-add {name}: the service is attached to network {other}, and one of \
                 the two excludes the other; pass --network-rm {other} too"
            );
        }
        on_bridge = added.is_none();
        networks.extend(added);
    }
    anyhow::ensure!(
        on_bridge || !networks.is_empty() || !rm.iter().any(|name| name == "bridge"),
        "--network-rm bridge: a service is on bridge when it names no other network; \
         pass --network-add host or none too"
    );
    networks.sort_by_key(|network| network.target);
    Ok(())
}

/// A network that cannot stand beside the one to add, or that one not beside it.
fn alone(
    networks: &[NetworkAttachmentConfig],
    added: &Option<NetworkAttachmentConfig>,
) -> Option<String> {
    let joins = |it: &NetworkAttachmentConfig| matches!(it.target, NetworkTarget::Network(_));
    let added_joins = added.as_ref().is_some_and(joins);
    let other = networks.iter().find(|it| !added_joins || !joins(it));
    other.map(|it| words::network(it.target))
}

/// Removes a name everywhere, or `NAME:IP` at that address; lines without names go.
pub(super) fn hosts(hosts: &mut Vec<String>, add: Vec<String>, rm: &[String]) {
    let mut lines = Vec::<String>::new();
    for line in hosts.drain(..) {
        let mut words = line.split_whitespace();
        let Some(address) = words.next() else { continue };
        let removed = |name: &&str| rm.iter().any(|it| takes_host(it, address, name));
        let names: Vec<&str> = words.filter(|name| !removed(name)).collect();
        if !names.is_empty() {
            lines.push(format!("{address} {}", names.join(" ")));
        }
    }
    lines.extend(add);
    let mut seen = BTreeSet::new();
    hosts.extend(lines.into_iter().filter(|line| seen.insert(line.clone())));
}

/// Whether `NAME` or `NAME:IP` takes that name from the line of that address.
pub(super) fn takes_host(removed: &str, address: &str, name: &str) -> bool {
    match removed.split_once([':', '=']) {
        Some((host, at)) => host == name && at.trim_matches(['[', ']']) == address,
        None => removed == name,
    }
}

/// Adds or replaces by name; sorted by name.
pub(super) fn ulimits(limits: &mut Vec<Ulimit>, add: Vec<Ulimit>, rm: &[String]) {
    if add.is_empty() && rm.is_empty() {
        return;
    }
    limits.retain(|limit| !rm.contains(&limit.name));
    limits.extend(add);
    *limits = last_of_each(std::mem::take(limits), |limit| limit.name.clone());
    limits.sort_by(|a, b| a.name.cmp(&b.name));
}

/// Adding what is dropped only takes the drop back, dropping what is added the addition;
/// `RESET` forgets its list first.
pub(super) fn capabilities(
    (added, dropped): (&mut Vec<String>, &mut Vec<String>),
    add: &[String],
    drop: &[String],
) {
    if add.is_empty() && drop.is_empty() {
        return;
    }
    let (mut add, mut drop) = (grammar::caps(add), grammar::caps(drop));
    let (mut adds, mut drops) = (grammar::caps(added.iter()), grammar::caps(dropped.iter()));
    if add.remove("RESET") {
        adds.clear();
    }
    if drop.remove("RESET") {
        drops.clear();
    }
    for name in drop.difference(&add) {
        if !adds.remove(name) {
            drops.insert(name.clone());
        }
    }
    for name in add {
        if !drops.remove(&name) {
            adds.insert(name);
        }
    }
    (*added, *dropped) = effective(adds.iter(), drops.iter());
}

/// The sorted lists: `ALL` stands for all others, adding wins over dropping.
pub(in crate::flags) fn effective<'a>(
    add: impl Iterator<Item = &'a String>,
    drop: impl Iterator<Item = &'a String>,
) -> (Vec<String>, Vec<String>) {
    let collapsed = |mut names: BTreeSet<String>| {
        names.remove("RESET");
        if names.contains("ALL") { BTreeSet::from(["ALL".to_owned()]) } else { names }
    };
    let (add, drop) = (collapsed(grammar::caps(add)), collapsed(grammar::caps(drop)));
    let drop = drop.difference(&add).cloned().collect();
    (add.into_iter().collect(), drop)
}

/// Secrets and configs come with a later version.
pub(in crate::flags) fn refuse_files(flag: &str, given: &[String]) -> anyhow::Result<()> {
    anyhow::ensure!(given.is_empty(), "{flag} is not supported yet");
    Ok(())
}

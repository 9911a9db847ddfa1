//! Which nodes a task fits on, and what to tell people when there is none.
//!
//! Each filter stands for one reason to refuse a node. They are asked in order, and the first
//! one that refuses a node is its reason. The sentences are Docker's: scripts look for them.

use std::fmt;

use swarm_types::Node;
use swarm_types::object::node::NodeState;
use swarm_types::spec::node::Availability;
use swarm_types::spec::task::Platform;

use super::demand::{Demand, LOG, Needs};
use super::generic;
use super::ledger::Account;

/// A reason to refuse a node, in the order they are asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filter {
    /// The node is ready and takes tasks.
    Ready,
    /// What the task reserves is left on the node. Limits do not count.
    Resources,
    /// The node has the volume, network and log drivers of the task.
    Plugin,
    /// The node satisfies the service's constraints.
    Constraint,
    /// The image runs on the node.
    Platform,
    /// The host-mode ports the task publishes are free there.
    HostPort,
    /// The service may have another task there.
    MaxReplicas,
}

impl Filter {
    const ALL: [Self; 7] = [
        Self::Ready,
        Self::Resources,
        Self::Plugin,
        Self::Constraint,
        Self::Platform,
        Self::HostPort,
        Self::MaxReplicas,
    ];

    /// The word that `explain` shows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Resources => "resource",
            Self::Plugin => "plugin",
            Self::Constraint => "constraint",
            Self::Platform => "platform",
            Self::HostPort => "host-port",
            Self::MaxReplicas => "max-replicas",
        }
    }

    fn passes(self, task: &Demand<'_>, node: &Node, account: &Account) -> bool {
        match self {
            Self::Ready => {
                node.status.state == NodeState::Ready
                    && node.spec.availability == Availability::Active
            }
            Self::Resources => resources(task, node, account),
            Self::Plugin => task.plugins.iter().all(|needs| has_plugin(node, *needs)),
            Self::Constraint => task.constraints.met_by(node),
            Self::Platform => {
                platform(&task.template.spec.placement.platforms, &node.description.platform)
            }
            Self::HostPort => task.ports.iter().all(|port| account.is_free(*port)),
            Self::MaxReplicas => {
                let max = task.template.spec.placement.max_replicas;
                max == 0 || account.of_service(task.template.service) < max
            }
        }
    }

    fn explain(self, nodes: u64) -> String {
        let nodes_text = if nodes == 1 { "1 node".to_owned() } else { format!("{nodes} nodes") };
        match self {
            Self::Ready => format!("{nodes_text} not available for new tasks"),
            Self::Resources => format!("insufficient resources on {nodes_text}"),
            Self::Plugin => format!("missing plugin on {nodes_text}"),
            Self::Constraint => format!("scheduling constraints not satisfied on {nodes_text}"),
            Self::Platform => format!("unsupported platform on {nodes_text}"),
            Self::HostPort => format!("host-mode port already in use on {nodes_text}"),
            Self::MaxReplicas => "max replicas per node limit exceed".to_owned(),
        }
    }
}

/// Why the node does not fit the task; `None` when it does.
pub(super) fn first_refusal(task: &Demand<'_>, node: &Node, account: &Account) -> Option<Filter> {
    Filter::ALL.into_iter().find(|filter| !filter.passes(task, node, account))
}

/// True when a node that did fit still does after more was put on it.
pub(super) fn has_room(task: &Demand<'_>, node: &Node, account: &Account) -> bool {
    [Filter::Resources, Filter::HostPort, Filter::MaxReplicas]
        .into_iter()
        .all(|filter| filter.passes(task, node, account))
}

/// How many nodes each filter refused. Displayed as the reason a task waits.
#[derive(Default)]
pub(super) struct Refusals([u64; Filter::ALL.len()]);

impl Refusals {
    /// Counts a node that `filter` refused.
    pub(super) fn count(&mut self, filter: Filter) {
        self.0[filter as usize] += 1;
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no suitable node")?;
        let mut reasons: Vec<(u64, Filter)> = self.0.into_iter().zip(Filter::ALL).collect();
        reasons.retain(|(nodes, _)| *nodes > 0);
        reasons.sort_by_key(|(nodes, _)| std::cmp::Reverse(*nodes));
        let reasons: Vec<String> =
            reasons.into_iter().map(|(nodes, filter)| filter.explain(nodes)).collect();
        if reasons.is_empty() { Ok(()) } else { write!(f, " ({})", reasons.join("; ")) }
    }
}

fn resources(task: &Demand<'_>, node: &Node, account: &Account) -> bool {
    let wanted = &task.template.spec.resources.reservations;
    let fits = |wanted: i64, total: i64, used: i64| wanted <= total.saturating_sub(used);
    let has = &node.description;
    (wanted.nano_cpus == 0 || fits(wanted.nano_cpus, has.nano_cpus, account.nano_cpus))
        && (wanted.memory_bytes == 0
            || fits(wanted.memory_bytes, has.memory_bytes, account.memory_bytes))
        && (wanted.generic.is_empty()
            || generic::claim(&wanted.generic, &has.generic, account).is_some())
}

/// Drivers that come from plug-ins may carry the tag `latest`. A node that reports no plug-ins,
/// or no log drivers, is not asked for them.
pub(super) fn has_plugin(node: &Node, needs: Needs<'_>) -> bool {
    let plugins = &node.description.plugins;
    let mut of_kind = plugins.iter().filter(|plugin| plugin.kind == needs.kind).peekable();
    if plugins.is_empty() || (needs.kind == LOG && of_kind.peek().is_none()) {
        return true;
    }
    of_kind.any(|plugin| plugin.name.strip_suffix(":latest").unwrap_or(&plugin.name) == needs.name)
}

/// True when the image runs on that platform.
pub(crate) fn platform(supported: &[Platform], node: &Platform) -> bool {
    let matches = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
    supported.is_empty()
        || supported.iter().any(|platform| {
            matches(&platform.os, &node.os)
                && matches(architecture(&platform.architecture), architecture(&node.architecture))
        })
}

/// OCI's name of an architecture that `uname -m` calls otherwise.
fn architecture(name: &str) -> &str {
    match name {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use swarm_types::object::node::Plugin;

    use super::*;

    #[test]
    fn reasons_come_by_the_number_of_nodes_then_in_the_order_of_the_filters() {
        let mut refusals = Refusals::default();
        for filter in [
            Filter::Platform,
            Filter::Constraint,
            Filter::Constraint,
            Filter::Constraint,
            Filter::Plugin,
            Filter::Ready,
            Filter::HostPort,
            Filter::HostPort,
            Filter::MaxReplicas,
        ] {
            refusals.count(filter);
        }

        assert_eq!(
            refusals.to_string(),
            "no suitable node (scheduling constraints not satisfied on 3 nodes; \
             host-mode port already in use on 2 nodes; 1 node not available for new tasks; \
             missing plugin on 1 node; unsupported platform on 1 node; \
             max replicas per node limit exceed)"
        );
        assert_eq!(Refusals::default().to_string(), "no suitable node");
    }

    #[test]
    fn platforms_match_under_both_of_their_names() {
        let of = |os: &str, architecture: &str| Platform {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
        };

        assert!(platform(&[], &of("linux", "x86_64")));
        assert!(platform(&[of("linux", "amd64")], &of("linux", "x86_64")));
        assert!(platform(&[of("linux", "aarch64")], &of("linux", "arm64")));
        assert!(platform(&[of("linux", "s390x"), of("", "")], &of("linux", "x86_64")));
        assert!(!platform(&[of("linux", "arm64")], &of("linux", "x86_64")));
        assert!(!platform(&[of("windows", "amd64")], &of("linux", "x86_64")));
    }

    #[test]
    fn plugins_are_found_by_kind_and_name_with_or_without_the_tag() {
        let mut node = crate::schedule::testing::node();
        let needs = |kind, name| Needs { kind, name };
        assert!(has_plugin(&node, needs("Volume", "nfs")), "it reports no plug-ins at all");

        let plugin = |kind: &str, name: &str| Plugin { kind: kind.into(), name: name.into() };
        node.description.plugins = vec![plugin("Volume", "nfs:latest"), plugin("Network", "vlan")];

        assert!(has_plugin(&node, needs("Volume", "nfs")));
        assert!(has_plugin(&node, needs("Network", "vlan")));
        assert!(!has_plugin(&node, needs("Network", "nfs")));
        assert!(!has_plugin(&node, needs("Volume", "ceph")));
        assert!(has_plugin(&node, needs(LOG, "syslog")), "it reports no log drivers");
        node.description.plugins.push(plugin(LOG, "json-file"));
        assert!(!has_plugin(&node, needs(LOG, "syslog")));
    }

    #[test]
    fn the_filters_stand_in_the_order_they_are_counted_in() {
        for (index, filter) in Filter::ALL.into_iter().enumerate() {
            assert_eq!(filter as usize, index);
        }
    }
}

//! Which nodes a task fits on, and what to tell people when there is none.
//!
//! Each filter stands for one reason to refuse a node. They are asked in order, and the first
//! one that refuses a node is its reason. The sentences are Docker's: scripts look for them.

use std::fmt;

use swarm_types::object::node::NodeState;
use swarm_types::spec::node::Availability;
use swarm_types::spec::task::Platform;
use swarm_types::{Node, Template};

use super::ledger::{Account, host_ports};

/// A reason to refuse a node, in the order they are asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Filter {
    /// The node is ready and takes tasks.
    Ready,
    /// What the task reserves is left on the node. Limits do not count.
    Resources,
    /// The image runs on the node.
    Platform,
    /// The host-mode ports the task publishes are free there.
    HostPort,
    /// The service may have another task there.
    MaxReplicas,
}

impl Filter {
    const ALL: [Self; 5] =
        [Self::Ready, Self::Resources, Self::Platform, Self::HostPort, Self::MaxReplicas];

    fn passes(self, task: &Template, node: &Node, account: &Account) -> bool {
        match self {
            Self::Ready => {
                node.status.state == NodeState::Ready
                    && node.spec.availability == Availability::Active
            }
            Self::Resources => resources(task, node, account),
            Self::Platform => platform(&task.spec.placement.platforms, &node.description.platform),
            Self::HostPort => host_ports(task).all(|port| account.is_free(port)),
            Self::MaxReplicas => {
                let max = task.spec.placement.max_replicas;
                max == 0 || account.of_service(task.service) < max
            }
        }
    }

    fn explain(self, nodes: u64) -> String {
        let nodes_text = if nodes == 1 { "1 node".to_owned() } else { format!("{nodes} nodes") };
        match self {
            Self::Ready => format!("{nodes_text} not available for new tasks"),
            Self::Resources => format!("insufficient resources on {nodes_text}"),
            Self::Platform => format!("unsupported platform on {nodes_text}"),
            Self::HostPort => format!("host-mode port already in use on {nodes_text}"),
            Self::MaxReplicas => "max replicas per node limit exceed".to_owned(),
        }
    }
}

/// Why the node does not fit the task; `None` when it does.
pub(super) fn first_refusal(task: &Template, node: &Node, account: &Account) -> Option<Filter> {
    Filter::ALL.into_iter().find(|filter| !filter.passes(task, node, account))
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

fn resources(task: &Template, node: &Node, account: &Account) -> bool {
    let wanted = &task.spec.resources.reservations;
    let fits = |wanted: i64, total: i64, used: i64| wanted <= total.saturating_sub(used);
    // Nothing counts user-defined resources yet, so nothing may claim them.
    wanted.generic.is_empty()
        && (wanted.nano_cpus == 0
            || fits(wanted.nano_cpus, node.description.nano_cpus, account.nano_cpus))
        && (wanted.memory_bytes == 0
            || fits(wanted.memory_bytes, node.description.memory_bytes, account.memory_bytes))
}

fn platform(supported: &[Platform], node: &Platform) -> bool {
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
    use super::*;

    #[test]
    fn reasons_come_by_the_number_of_nodes_then_in_the_order_of_the_filters() {
        let mut refusals = Refusals::default();
        for filter in [
            Filter::Platform,
            Filter::Ready,
            Filter::HostPort,
            Filter::HostPort,
            Filter::MaxReplicas,
        ] {
            refusals.count(filter);
        }

        assert_eq!(
            refusals.to_string(),
            "no suitable node (host-mode port already in use on 2 nodes; \
             1 node not available for new tasks; unsupported platform on 1 node; \
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
    fn the_filters_stand_in_the_order_they_are_counted_in() {
        for (index, filter) in Filter::ALL.into_iter().enumerate() {
            assert_eq!(filter as usize, index);
        }
    }
}

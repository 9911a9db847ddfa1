//! A node for people.

use swarm_types::Node;
use swarm_types::spec::node::NodeRole;
use swarm_types::text::binary_size;

use super::{Lines, time};
use crate::view::capitalized;
use crate::view::node_list::manager_status;

/// The node; `leads` when its manager does.
pub(crate) fn node(node: &Node, leads: bool) -> String {
    let mut lines = Lines::default();
    let description = &node.description;
    lines.line("ID", node.id).some("Name", &node.spec.annotations.name);
    lines.labels("Labels", &node.spec.annotations.labels);
    lines.line("Hostname", &description.hostname).line("Joined at", time(node.meta.created_at));
    lines.title("Status").line(" State", capitalized(node.status.state.as_str()));
    lines.some(" Message", &node.status.message);
    lines.line(" Availability", capitalized(node.spec.availability.as_str()));
    lines.line(" Address", &node.status.addr);
    if node.role == NodeRole::Manager {
        lines.title("Manager Status").line(" Address", &node.manager_addr);
        lines.line(" Raft Status", capitalized(manager_status(node, false)));
        lines.line(" Leader", if leads { "Yes" } else { "No" });
    }
    lines.title("Platform").line(" Operating System", &description.platform.os);
    lines.line(" Architecture", &description.platform.architecture);
    lines.title("Resources").line(" CPUs", description.nano_cpus / 1_000_000_000);
    lines.line(" Memory", binary_size(description.memory_bytes.unsigned_abs()));
    if !description.plugins.is_empty() {
        lines.title("Plugins");
        for plugin in &description.plugins {
            lines.line(&format!(" {}", plugin.kind), &plugin.name);
        }
    }
    lines.line("Engine Version", &description.engine_version);
    lines.labels("Engine Labels", &description.engine_labels);
    lines.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::fixture;

    #[test]
    fn a_node_is_shown_in_dockers_order() {
        let shown = node(&fixture::node("m1", 1), true);

        let at = |label: &str| shown.find(label).unwrap_or_else(|| panic!("no {label}: {shown}"));
        let labels = [
            "ID:",
            "Hostname:",
            "Joined at:",
            "Status:",
            " State:          Ready",
            " Leader:         Yes",
        ];
        assert!(labels.map(at).is_sorted());
    }
}

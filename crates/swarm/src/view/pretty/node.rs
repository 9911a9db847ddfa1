//! A node for people.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use swarm_client::{Managers, Standing};
use swarm_types::Node;
use swarm_types::object::node::NodeDescription;
use swarm_types::text::binary_size;

use super::{Lines, time};
use crate::view::capitalized;
use crate::view::node_list::reachability;

/// The node, and how its manager stands among the others.
pub(crate) fn node(node: &Node, managers: &Managers) -> String {
    let mut lines = Lines::default();
    lines.line(format_args!("ID:\t\t\t{}", node.id));
    lines.some("Name:\t\t\t", &node.spec.annotations.name);
    lines.labels("Labels:", " - ", &node.spec.annotations.labels);
    lines.line(format_args!("{:<23}\t{}", "Hostname:", node.description.hostname));
    lines.line(format_args!("{:<23}\t{}", "Joined at:", time(node.meta.created_at)));
    lines.line("Status:");
    lines.line(format_args!(" State:\t\t\t{}", capitalized(node.status.state.as_str())));
    lines.some(" Message:\t\t", &node.status.message);
    let availability = capitalized(node.spec.availability.as_str());
    lines.line(format_args!("{:<23}\t{availability}", " Availability:"));
    lines.some(" Address:\t\t", &node.status.addr);
    if let Some(standing) = managers.standing(node) {
        let leads = standing == Standing::Leader;
        lines.line("Manager Status:");
        lines.line(format_args!(" Address:\t\t{}", managers.addr(node)));
        lines.line(format_args!(" Raft Status:\t\t{}", capitalized(reachability(standing))));
        lines.line(format_args!(" Leader:\t\t{}", if leads { "Yes" } else { "No" }));
    }
    description(&mut lines, &node.description);
    lines.finish()
}

fn description(lines: &mut Lines, it: &NodeDescription) {
    lines.line("Platform:");
    lines.line(format_args!(" Operating System:\t{}", it.platform.os));
    lines.line(format_args!(" Architecture:\t\t{}", it.platform.architecture));
    lines.line("Resources:");
    lines.line(format_args!(" CPUs:\t\t\t{}", it.nano_cpus / 1_000_000_000));
    lines.line(format_args!(" Memory:\t\t{}", binary_size(it.memory_bytes.unsigned_abs())));
    let mut plugins = BTreeMap::<&str, Vec<&str>>::new();
    for plugin in &it.plugins {
        plugins.entry(&plugin.kind).or_default().push(&plugin.name);
    }
    if !plugins.is_empty() {
        lines.line("Plugins:");
    }
    for (kind, names) in plugins {
        lines.line(format_args!(" {kind}:\t\t{}", names.join(", ")));
    }
    lines.line(format_args!("Engine Version:\t\t{}", it.engine_version));
    lines.labels("Engine Labels:", " - ", &it.engine_labels);
    if !it.tls.trust_root.is_empty() {
        lines.line("TLS Info:").line(" TrustRoot:").line(&it.tls.trust_root);
        lines.line(format_args!(" Issuer Subject:\t{}", STANDARD.encode(&it.tls.issuer_subject)));
        let key = STANDARD.encode(&it.tls.issuer_public_key);
        lines.line(format_args!(" Issuer Public Key:\t{key}"));
    }
}

#[cfg(test)]
mod tests {
    use swarm_types::object::node::Plugin;

    use super::*;
    use crate::view::fixture;

    /// Labels, order and tabs are those of Docker 28 for such a node.
    #[test]
    fn a_node_is_laid_out_as_docker_does() {
        let mut m1 = fixture::node("m1", 1);
        m1.spec.annotations.labels = [("x".to_owned(), "y".to_owned())].into();
        m1.status.addr = "10.0.0.5".to_owned();
        m1.description.nano_cpus = 2_000_000_000;
        m1.description.memory_bytes = 4_124_000_000;
        let plugin = |kind: &str, name: &str| Plugin { kind: kind.into(), name: name.into() };
        m1.description.plugins =
            vec![plugin("Network", "overlay"), plugin("Log", "json-file"), plugin("Network", "b")];

        let expected = "\
ID:\t\t\tM1
Labels:
 - x=y
Hostname:              \tm1
Joined at:             \t1970-01-01 00:00:00.0 +0000 utc
Status:
 State:\t\t\tReady
 Availability:         \tActive
 Address:\t\t10.0.0.5
Manager Status:
 Address:\t\t10.0.0.5:2377
 Raft Status:\t\tReachable
 Leader:\t\tYes
Platform:
 Operating System:\tlinux
 Architecture:\t\tx86_64
Resources:
 CPUs:\t\t\t2
 Memory:\t\t3.841GiB
Plugins:
 Log:\t\tjson-file
 Network:\t\toverlay, b
Engine Version:\t\t0.1.0"
            .replace("M1", m1.id.as_str());
        m1.description.platform.os = "linux".to_owned();
        m1.description.platform.architecture = "x86_64".to_owned();
        let addrs = [(m1.id, "10.0.0.5:2377".to_owned())].into();
        let managers = Managers { leader: Some(m1.id), addrs, ..Managers::default() };
        assert_eq!(node(&m1, &managers), expected);
    }
}

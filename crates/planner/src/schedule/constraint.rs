//! Which nodes satisfy a service's constraints.
//!
//! All of them must hold. Values are compared whole, ASCII case ignored; a label that is missing
//! compares as the empty text, so `==` fails on it and `!=` holds. What is malformed or names
//! nothing known holds nowhere, whatever the operator.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use swarm_types::Node;
use swarm_types::constraint::{Constraint, Key, Op};

/// Constraints, read once for many nodes.
#[derive(Debug, Default)]
pub(crate) struct Constraints(Vec<Read>);

/// One constraint as typed, and as understood.
#[derive(Debug)]
struct Read {
    text: String,
    constraint: Option<Constraint>,
}

impl Constraints {
    /// Reads the texts. Malformed ones are kept: they hold nowhere.
    pub(crate) fn read(texts: &[String]) -> Self {
        let read = |text: &String| Read { text: text.clone(), constraint: text.parse().ok() };
        Self(texts.iter().map(read).collect())
    }

    /// True when the node satisfies every constraint.
    pub(crate) fn met_by(&self, node: &Node) -> bool {
        self.broken_by(node).is_none()
    }

    /// The first constraint that the node does not satisfy, as typed.
    pub(super) fn broken_by(&self, node: &Node) -> Option<&str> {
        let holds = |read: &&Read| read.constraint.as_ref().is_some_and(|it| holds(it, node));
        self.0.iter().find(|read| !holds(read)).map(|read| read.text.as_str())
    }
}

/// True when the node satisfies every constraint. For a single look; see [`Constraints`].
pub(crate) fn met(constraints: &[String], node: &Node) -> bool {
    Constraints::read(constraints).met_by(node)
}

fn holds(constraint: &Constraint, node: &Node) -> bool {
    let found = match &constraint.key {
        Key::NodeId => node.id.as_str(),
        Key::NodeHostname => &node.description.hostname,
        Key::NodeIp => return address_holds(constraint, &node.status.addr),
        Key::NodeRole => node.role.as_str(),
        Key::PlatformOs => &node.description.platform.os,
        Key::PlatformArch => &node.description.platform.architecture,
        Key::NodeLabel(name) => label(&node.spec.annotations.labels, name),
        Key::EngineLabel(name) => label(&node.description.engine_labels, name),
        Key::Unknown(_) => return false,
    };
    found.eq_ignore_ascii_case(&constraint.value) == (constraint.op == Op::Eq)
}

/// A node whose address is unknown lies in no subnet.
fn address_holds(constraint: &Constraint, found: &str) -> bool {
    let Ok(wanted) = constraint.value.parse::<IpNetwork>() else { return false };
    let found = found.parse::<IpAddr>().map(|address| address.to_canonical());
    let inside = found.is_ok_and(|address| wanted.contains(address));
    inside == (constraint.op == Op::Eq)
}

/// The value of a label; empty when it is missing.
pub(super) fn label<'n>(labels: &'n BTreeMap<String, String>, name: &str) -> &'n str {
    labels.get(name).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::testing::node;
    use swarm_types::spec::node::NodeRole;

    fn rack() -> Node {
        let mut node = node();
        node.role = NodeRole::Manager;
        "Host-1".clone_into(&mut node.description.hostname);
        "10.1.2.3".clone_into(&mut node.status.addr);
        node.spec.annotations.labels.insert("Rack".to_owned(), "R1".to_owned());
        node.description.engine_labels.insert("disk".to_owned(), "ssd".to_owned());
        node
    }

    fn holds(text: &str) -> bool {
        met(&[text.to_owned()], &rack())
    }

    #[test]
    fn every_key_is_compared_whole_and_without_case() {
        let id = format!("node.id=={}", rack().id);
        for text in [
            id.as_str(),
            "node.hostname==host-1",
            "NODE.Role == MANAGER",
            "node.platform.os==LINUX",
            "node.platform.arch==x86_64",
            "node.labels.Rack==r1",
            "engine.labels.disk==SSD",
        ] {
            assert!(holds(text), "{text}");
            assert!(!holds(&text.replace("==", "!=")), "{text} turned round");
            assert!(!holds(&format!("{text}x")), "{text}x");
        }
    }

    #[test]
    fn what_a_node_reports_is_not_put_into_other_words() {
        assert!(!holds("node.platform.arch==amd64"));
        assert!(!holds("node.hostname==host*"));
    }

    #[test]
    fn a_label_that_is_missing_differs_from_everything() {
        for text in ["node.labels.rack", "node.labels.zone", "engine.labels.Disk"] {
            assert!(!holds(&format!("{text}==r1")), "{text}");
            assert!(holds(&format!("{text}!=r1")), "{text}");
        }
    }

    #[test]
    fn addresses_are_compared_with_addresses_and_subnets() {
        for text in ["node.ip==10.1.2.3", "node.ip==10.1.0.0/16", "node.ip!=10.2.0.0/16"] {
            assert!(holds(text), "{text}");
        }
        for text in ["node.ip==10.1.2.4", "node.ip!=10.1.0.0/16", "node.ip==2001:db8::/32"] {
            assert!(!holds(text), "{text}");
        }
        for text in ["node.ip==10.1", "node.ip!=10.1", "node.ip!=10.1.2.3/33", "node.ip!=here"] {
            assert!(!holds(text), "a malformed address holds nowhere: {text}");
        }
        let mut unknown = rack();
        unknown.status.addr.clear();
        assert!(!met(&["node.ip==10.1.2.3".to_owned()], &unknown));
        assert!(met(&["node.ip!=10.1.2.3".to_owned()], &unknown));
    }

    #[test]
    fn what_is_not_understood_holds_nowhere() {
        for text in ["node.color==red", "node.color!=red", "node.id", "a", "node.id==a@b", ""] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn all_must_hold_and_the_first_that_does_not_is_named() {
        let texts = ["node.role==manager", "node.labels.Rack==r2", "node.id==x"];
        let constraints = Constraints::read(&texts.map(str::to_owned));

        assert_eq!(constraints.broken_by(&rack()), Some("node.labels.Rack==r2"));
        assert!(met(&[], &rack()));
    }

    proptest! {
        /// Of `==` and `!=` with one value exactly one holds, whatever the node has.
        #[test]
        fn the_operators_are_opposites(
            key in "(node\\.(id|role|hostname|labels\\.a)|engine\\.labels\\.a)",
            (has, value) in ("[a-c]{0,2}", "[a-cA-C]{1,2}"),
        ) {
            let mut node = node();
            node.spec.annotations.labels.insert("a".to_owned(), has.clone());
            node.description.hostname = has;

            let holds = |op| met(&[format!("{key}{op}{value}")], &node);

            prop_assert_ne!(holds("=="), holds("!="));
        }
    }
}

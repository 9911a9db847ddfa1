//! Tells two hosts with one identity from one host that starts again. Pure.
//!
//! A boot id is made anew by every boot and never comes back: one that does belongs to another
//! host, such as a copy of a machine.

use std::collections::{BTreeMap, VecDeque};

use swarm_types::NodeId;

/// Boot ids of a node that are remembered.
const MOST: usize = 4;

/// The boot ids of the sessions of each node, the newest last.
#[derive(Debug)]
pub(crate) struct Hosts(BTreeMap<NodeId, VecDeque<String>>);

impl Hosts {
    pub(crate) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Notes the boot id of the node's present session. True when it was there before another
    /// one, which is told once for every time they take turns. An empty one says nothing.
    pub(crate) fn opened(&mut self, node: NodeId, boot_id: &str) -> bool {
        let boots = self.0.entry(node).or_default();
        if boot_id.is_empty() || boots.back().is_some_and(|last| last == boot_id) {
            return false;
        }
        let before = boots.len();
        boots.retain(|boot| boot != boot_id);
        let returned = boots.len() < before;
        if boots.len() >= MOST {
            boots.pop_front();
        }
        boots.push_back(boot_id.to_owned());
        returned
    }

    /// Forgets a node that is gone.
    pub(crate) fn forget(&mut self, node: &NodeId) {
        self.0.remove(node);
    }

    /// Forgets all nodes but these.
    pub(crate) fn retain(&mut self, is_there: impl Fn(&NodeId) -> bool) {
        self.0.retain(|node, _| is_there(node));
    }
}

#[cfg(test)]
mod tests {
    use swarm_types::IdSource;

    use super::*;

    #[test]
    fn only_a_boot_id_that_comes_back_is_of_another_host() {
        let mut ids = IdSource::seeded(1);
        let (node, other) = (ids.draw(), ids.draw());
        let mut hosts = Hosts::new();

        let mut told = |node, boots: &[&str]| -> Vec<bool> {
            boots.iter().map(|boot| hosts.opened(node, boot)).collect()
        };

        assert_eq!(told(node, &["a", "a", "b", "b", "", "c"]), [false; 6], "it restarts");
        assert_eq!(told(other, &["a", "b"]), [false; 2], "another node");
        assert_eq!(told(node, &["b", "c", "c", "b"]), [true, true, false, true], "they take turns");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut hosts, node) = (Hosts::new(), IdSource::seeded(1).draw());

        for boot in 0..100 {
            hosts.opened(node, &boot.to_string());
        }

        assert_eq!(hosts.0[&node].len(), MOST);
        hosts.forget(&node);
        assert!(hosts.0.is_empty());
    }
}

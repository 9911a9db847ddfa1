//! Which of the nodes that fit is best: tasks are spread evenly.
//!
//! Preferences make a tree: each is a level, each value of its label a branch. A task goes down
//! the branch with the fewest tasks of its service, ended ones aside, at every level; a branch
//! that takes no more is left out. Without preferences the tree is one leaf.
//!
//! In a leaf the best node is the one with the fewest recent failures of the service (from five
//! on), then with the fewest tasks of the service, then with the fewest tasks; equal nodes come
//! by id. Load plays no part. Each step costs O(log) of what stands beside each other.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};

use swarm_types::Node;
use swarm_types::spec::task::{Placement, PlacementPreference};

use super::constraint::label;

/// A node that fits, and its worth; the smallest is the best.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    /// Recent failures of the service, 0 when they are few.
    pub(super) failures: u32,
    /// Wanted tasks of the service.
    pub(super) of_service: u64,
    /// Wanted tasks.
    pub(super) total: u64,
    /// The node.
    pub(super) node: &'a Node,
}

impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let load = |it: &Self| (it.failures, it.of_service, it.total);
        load(self).cmp(&load(other)).then_with(|| self.node.id.cmp(&other.node.id))
    }
}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate<'_> {}

/// The nodes that have the same values of the labels so far.
#[derive(Default)]
pub(super) struct Branch<'a> {
    /// Wanted tasks of the service below, also on nodes that do not fit.
    tasks: u64,
    /// By value of the next label; empty in a leaf.
    branches: BTreeMap<&'a str, Branch<'a>>,
    /// Those of the branches that may take more, by their tasks.
    order: BinaryHeap<Reverse<(u64, &'a str)>>,
    nodes: BinaryHeap<Reverse<Candidate<'a>>>,
}

impl<'a> Branch<'a> {
    /// Counts a node's tasks of the service below the values of its labels; the place where it
    /// stands is a leaf.
    pub(super) fn enter(
        &mut self,
        path: &[Level<'_>],
        node: &'a Node,
        of_service: u64,
    ) -> &mut Self {
        self.tasks += of_service;
        match path {
            [] => self,
            [level, rest @ ..] => {
                self.branches.entry(level.value(node)).or_default().enter(rest, node, of_service)
            }
        }
    }

    /// Adds a node that fits to a leaf.
    pub(super) fn push(&mut self, candidate: Candidate<'a>) {
        self.nodes.push(Reverse(candidate));
    }

    /// Says that all nodes are there.
    pub(super) fn close(&mut self) {
        for (value, branch) in &mut self.branches {
            branch.close();
            self.order.push(Reverse((branch.tasks, value)));
        }
    }

    /// Offers a task to the best node, to the next best when that one declines, and so on.
    /// `offer` says what a node that takes it is worth then; one that declines is left out from
    /// here on. False when all have declined.
    pub(super) fn place(
        &mut self,
        offer: &mut impl FnMut(Candidate<'a>) -> Option<Candidate<'a>>,
    ) -> bool {
        while let Some(Reverse(best)) = self.nodes.pop() {
            if let Some(now) = offer(best) {
                self.nodes.push(Reverse(now));
                self.tasks += 1;
                return true;
            }
        }
        while let Some(Reverse((_, value))) = self.order.pop() {
            let Some(branch) = self.branches.get_mut(value) else { continue };
            if branch.place(offer) {
                self.order.push(Reverse((branch.tasks, value)));
                self.tasks += 1;
                return true;
            }
        }
        false
    }
}

/// One level of the tree: a label to spread over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Level<'a> {
    /// A label of the node's spec.
    Node(&'a str),
    /// A label set on the machine.
    Engine(&'a str),
}

const NODE: &str = "node.labels.";
const ENGINE: &str = "engine.labels.";

impl<'a> Level<'a> {
    /// The levels of a placement, most important first. What names no label is left out.
    pub(super) fn of(placement: &'a Placement) -> Vec<Self> {
        let level = |preference: &'a PlacementPreference| {
            let PlacementPreference::Spread { descriptor } = preference;
            let node = after(NODE, descriptor).map(Self::Node);
            node.or_else(|| after(ENGINE, descriptor).map(Self::Engine))
        };
        placement.preferences.iter().filter_map(level).collect()
    }

    /// The branch a node is in; nodes without the label are in one, that of the empty value.
    fn value<'n>(&self, node: &'n Node) -> &'n str {
        match self {
            Self::Node(name) => label(&node.spec.annotations.labels, name),
            Self::Engine(name) => label(&node.description.engine_labels, name),
        }
    }
}

fn after<'a>(prefix: &str, text: &'a str) -> Option<&'a str> {
    let (head, name) = text.split_at_checked(prefix.len())?;
    (head.eq_ignore_ascii_case(prefix) && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_labels_make_levels() {
        let descriptors = ["node.labels.a", "node.id", "ENGINE.labels.B", "node.labels.", ""];
        let spread = |it: &str| PlacementPreference::Spread { descriptor: it.to_owned() };
        let placement = Placement {
            preferences: descriptors.into_iter().map(spread).collect(),
            ..Placement::default()
        };

        assert_eq!(Level::of(&placement), [Level::Node("a"), Level::Engine("B")]);
    }
}

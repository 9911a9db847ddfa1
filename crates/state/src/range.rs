//! Ordered scans of persistent maps and sets.
//!
//! immutable-chunkmap 2.1.5 documents `range` as O(log n + m), yet it visits every inner node
//! left of the bound. This walks down to the bound instead.

use immutable_chunkmap::map::NodeRef;

/// The pairs from `from` to `to`, both included, in order. O(log n + m).
pub(crate) fn range<'a, K: Ord + Clone, V: Clone, const N: usize>(
    root: Option<NodeRef<'a, K, V, N>>,
    from: K,
    to: K,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    let nodes = Nodes::seek(root, &from);
    let pairs = nodes.flat_map(|node| node.pairs()).skip_while(move |(key, _)| **key < from);
    pairs.take_while(move |(key, _)| **key <= to)
}

/// Nodes in order, from the first that holds a key at or above a bound.
struct Nodes<'a, K: Ord + Clone, V: Clone, const N: usize> {
    /// Nodes still to come, nearest last; their left sides are behind us.
    stack: Vec<NodeRef<'a, K, V, N>>,
}

impl<'a, K: Ord + Clone, V: Clone, const N: usize> Nodes<'a, K, V, N> {
    fn seek(root: Option<NodeRef<'a, K, V, N>>, from: &K) -> Self {
        let mut stack = Vec::with_capacity(24);
        let mut next = root;
        while let Some(node) = next {
            let starts_above = node.pairs().next().is_some_and(|(first, _)| from < first);
            if starts_above {
                next = node.left();
                stack.push(node);
            } else if node.pairs().last().is_some_and(|(last, _)| from <= last) {
                stack.push(node);
                break;
            } else {
                next = node.right();
            }
        }
        Self { stack }
    }
}

impl<'a, K: Ord + Clone, V: Clone, const N: usize> Iterator for Nodes<'a, K, V, N> {
    type Item = NodeRef<'a, K, V, N>;

    fn next(&mut self) -> Option<Self::Item> {
        let node = self.stack.pop()?;
        let mut below = node.right();
        while let Some(next) = below {
            below = next.left();
            self.stack.push(next);
        }
        Some(node)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use immutable_chunkmap::set::Set;
    use proptest::prelude::*;

    use super::*;

    proptest! {
           /// Same as the ordered set of the standard library, also after removals.
           #[test]
           fn scans_agree_with_a_btree(
               keys: Vec<u16>, gone: Vec<u16>, from: u16, to: u16, near in 0..9u16
           ) {
               let mut set: Set<u16, 4> = Set::new();
               let mut model = BTreeSet::new();
               for key in &keys {
                   set.insert_cow(*key);
    model.insert(*key);
               }
               for key in gone.iter().chain(keys.iter().step_by(3)) {
                   set.remove_cow(key);
    model.remove(key);
               }
               let exact = keys.first().copied().unwrap_or(7);
               for (from, to) in [(from, to), (0, u16::MAX), (exact, exact.saturating_add(near))] {
                   let found: Vec<u16> = range(set.root(), from, to).map(|(key, ())| *key).collect();
                   let wanted = model.iter().copied().filter(|key| (from..=to).contains(key));
                   prop_assert_eq!(found, wanted.collect::<Vec<_>>());
               }
           }
       }
}

//! Who hears whom.
//!
//! A cut is one direction between two nodes. The sender believes the other has a hardware address
//! that nobody has: its packets go out and reach no one, without an error, whether a connection
//! is new or old, and the other direction does not notice.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::Ipv4Addr;

use crate::DevError;
use crate::links::{Mac, inside};
use crate::record::{Cut, Member, Record};
use crate::underlay::NODE_LINK;

/// Whose packets are lost, seen from the nodes that are cut off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Theirs, and those to them.
    Both,
    /// Those to them.
    In,
    /// Theirs.
    Out,
}

/// The hardware address of no one.
const fn nobody(subnet: u8) -> Mac {
    [0x02, 0x53, 0x57, 0xff, subnet, 0xff]
}

/// The cuts that set `group` apart from `others`. Within the group nothing changes.
///
/// # Errors
///
/// [`DevError::Refused`] when nothing is to be cut: a test that goes on would test nothing.
pub(crate) fn cuts(
    group: &[String],
    others: &[String],
    direction: Direction,
) -> Result<BTreeSet<Cut>, DevError> {
    let mut cuts = BTreeSet::new();
    for node in group {
        for other in others.iter().filter(|other| !group.contains(other)) {
            if direction != Direction::In {
                cuts.insert(Cut { from: node.clone(), to: other.clone() });
            }
            if direction != Direction::Out {
                cuts.insert(Cut { from: other.clone(), to: node.clone() });
            }
        }
    }
    if cuts.is_empty() {
        let why = "that cuts nobody off: name some nodes, and others with --from if it is not all";
        return Err(DevError::Refused(why.to_owned()));
    }
    Ok(cuts)
}

/// Brings a node's namespace to what the record says.
pub(crate) fn apply(record: &Record, node: Member, netns: &File) -> Result<(), DevError> {
    let name = node.name();
    let of_node = record.cuts.iter().filter(|cut| cut.from == name);
    let wanted: BTreeSet<Ipv4Addr> =
        of_node.filter_map(|cut| record.node(&cut.to)).map(|other| record.address(other)).collect();
    let nobody = nobody(record.subnet);
    inside(Some(netns), async |links| {
        let found: BTreeSet<Ipv4Addr> = links.fixed(NODE_LINK, nobody).await?.into_iter().collect();
        for address in wanted.difference(&found) {
            links.fix(NODE_LINK, *address, nobody).await?;
        }
        for address in found.difference(&wanted) {
            links.unfix(NODE_LINK, *address).await?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn one_way_is_seen_from_those_cut_off() {
        let cut = |from: &str, to: &str| Cut { from: from.into(), to: to.into() };
        let of = |direction| cuts(&names(&["m1"]), &names(&["m1", "w1"]), direction).unwrap();

        assert_eq!(of(Direction::In), [cut("w1", "m1")].into());
        assert_eq!(of(Direction::Out), [cut("m1", "w1")].into());
        assert_eq!(of(Direction::Both), [cut("m1", "w1"), cut("w1", "m1")].into());
    }

    #[test]
    fn a_cut_of_nothing_is_refused() {
        for (group, others) in [(&["m1"][..], &["m1"][..]), (&[], &["m1"]), (&["m1"], &[])] {
            let refused = cuts(&names(group), &names(others), Direction::Both);

            assert!(matches!(refused, Err(DevError::Refused(_))), "{group:?} {others:?}");
        }
    }

    proptest! {
        /// Both directions are the sum of each, and nobody is cut off from its own side.
        #[test]
        fn directions_add_up(group: BTreeSet<u8>, others: BTreeSet<u8>) {
            let names = |set: &BTreeSet<u8>| set.iter().map(u8::to_string).collect::<Vec<_>>();
            let (group, others) = (names(&group), names(&others));

            let [both, inward, outward] = [Direction::Both, Direction::In, Direction::Out]
                .map(|direction| cuts(&group, &others, direction).unwrap_or_default());

            prop_assert!(inward.is_disjoint(&outward));
            prop_assert_eq!(&inward | &outward, both.clone());
            prop_assert!(both.iter().all(|cut| group.contains(&cut.from) != group.contains(&cut.to)));
        }
    }
}

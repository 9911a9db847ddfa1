//! Which slots a scale-down gives up.

use std::collections::BTreeMap;

use swarm_types::TaskState;

use super::place::Place;

/// Parts the slots into those that stay and those that go.
///
/// First go slots without a node or with more than one task; then, from the most loaded node
/// down, those that do not run and those with the higher numbers. The order is total, so every
/// leader chooses alike.
pub(super) fn choose(mut slots: Vec<Place<'_>>, keep: usize) -> (Vec<Place<'_>>, Vec<Place<'_>>) {
    if slots.len() <= keep {
        return (slots, Vec::new());
    }
    slots.sort_by_key(|slot| (!runs(slot), slot.slot));
    let mut on_node = BTreeMap::new();
    let mut ranked: Vec<(usize, Place<'_>)> = slots
        .into_iter()
        .map(|slot| match slot.only().and_then(|task| task.node) {
            Some(node) => {
                let count = on_node.entry(node).or_insert(0_usize);
                *count += 1;
                (*count, slot)
            }
            None => (usize::MAX, slot),
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut stay: Vec<Place<'_>> = ranked.into_iter().map(|(_, slot)| slot).collect();
    let go = stay.split_off(keep.min(stay.len()));
    (stay, go)
}

fn runs(slot: &Place<'_>) -> bool {
    slot.wanted().any(|task| task.status.state == TaskState::Running)
}

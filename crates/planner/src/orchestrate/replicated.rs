//! Replicated services: as many slots as replicas, one task wanted in each.
//!
//! New slots take the lowest free numbers. A slot whose task ended for good stays taken. Slots
//! that are not needed lose all their tasks.

use std::collections::BTreeMap;
use std::sync::Arc;

use swarm_types::Task;

use super::fill::Fill;
use super::place::{Place, slots};
use super::wish::Wish;
use super::{Served, remove, serve, victims};
use crate::draft::{Draft, decided_service};
use crate::{MAX_CHANGES, Reason};

/// Plans one replicated service.
pub(super) fn service(draft: &mut Draft<'_>, wish: &Wish<'_>, replicas: u64, tasks: &[Arc<Task>]) {
    let replicas = usize::try_from(replicas).unwrap_or(usize::MAX);
    let now = draft.now;
    let (held, dead): (Vec<_>, Vec<_>) =
        slots(tasks).into_iter().partition(|slot| slot.is_held(now));
    let (stay, go) = victims::choose(held, replicas);
    let mut dead: BTreeMap<u64, Place<'_>> =
        dead.into_iter().map(|slot| (slot.slot, slot)).collect();
    let fill = free_numbers(&stay, replicas - stay.len());
    let fill: Vec<_> = fill
        .into_iter()
        .map(|number| dead.remove(&number).unwrap_or(Place::slot(number)))
        .collect();

    match serve(draft, wish, &stay, &fill) {
        Served::Advanced => return,
        Served::Part(made) if dead.is_empty() && !wish.is_mixed() => {
            let rest = Fill::rest(wish.service, replicas, &stay, &fill, made);
            rest.into_iter().for_each(|rest| draft.fill_on(wish.service.id, rest));
        }
        Served::Part(_) | Served::Places => {}
    }
    for slot in go {
        give_up(draft, wish, &slot, Reason::ScaledDown);
    }
    for slot in dead.into_values() {
        give_up(draft, wish, &slot, Reason::SlotUnused);
    }
}

/// The lowest numbers that no slot has; not more than a plan can fill.
fn free_numbers(slots: &[Place<'_>], count: usize) -> Vec<u64> {
    let mut taken: Vec<u64> = slots.iter().map(|slot| slot.slot).collect();
    taken.sort_unstable();
    let mut taken = taken.into_iter().peekable();
    let free = (1..).filter(|number| {
        while taken.next_if(|next| next < number).is_some() {}
        taken.next_if_eq(number).is_none()
    });
    free.take(count.min(MAX_CHANGES)).collect()
}

fn give_up(draft: &mut Draft<'_>, wish: &Wish<'_>, slot: &Place<'_>, reason: Reason) {
    for task in &slot.tasks {
        remove(draft, task, reason, decided_service(wish.service));
    }
}

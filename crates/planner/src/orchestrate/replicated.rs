//! Replicated services: as many slots as replicas, one task wanted in each.
//!
//! New slots take the lowest free numbers. A slot whose task ended for good stays taken. Slots
//! that are not needed lose all their tasks, and an update goes on when they have: which of them
//! go is chosen anew in each round, so one that is under way in a slot that goes may have to be
//! counted in the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use swarm_types::{ObjectId, Task, TaskState};

use super::fill::Fill;
use super::place::{Place, slots};
use super::wish::Wish;
use super::{Served, removal, serve, update, victims};
use crate::draft::{Draft, decided_service, decided_task};
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

    let rollout = if go.is_empty() { update::look(draft, wish, &stay, []) } else { None };
    match serve(draft, wish, rollout, (&stay, &fill)) {
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

/// Gives up a slot by one group: with a part of its tasks gone, a slot that is kept after all
/// would not show how far an update came in it.
fn give_up(draft: &mut Draft<'_>, wish: &Wish<'_>, slot: &Place<'_>, reason: Reason) {
    if slot.tasks.iter().any(|task| draft.touched(task.id)) {
        return;
    }
    let left: Vec<&Task> =
        slot.tasks.iter().copied().filter(|task| task.desired < TaskState::Remove).collect();
    let Some(newest) = left.last() else { return };
    let expect = left.iter().map(|task| decided_task(task)).chain(decided_service(wish.service));
    let changes = left.iter().flat_map(|task| removal(task, reason)).collect();
    draft.decide(reason, ObjectId::Task(newest.id), expect.collect(), changes);
}

//! A service of many tasks gets them by several plans. What is left is remembered beside the
//! marks, so that the next plan goes on from there and does not look at the service again.
//!
//! Losing it costs one look at the service. A plan goes by it only while the service is the same
//! and the slots are empty, so that nothing rests on what is remembered.

use swarm_types::{Service, ServiceId};

use super::birth::Birth;
use super::place::Place;
use super::wish::Wish;
use crate::Reason;
use crate::draft::Draft;

/// Slots of a service that follow all it has, and get their first tasks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fill {
    /// Version of the service it was decided on.
    version: u64,
    /// The first slot that was filled.
    first: u64,
    /// The next one.
    next: u64,
    /// The last one.
    last: u64,
}

impl Fill {
    /// What is left of `fill`, whose places from `made` on did not fit into the plan, with the
    /// slots after them that `replicas` calls for. `None` when those do not follow all others.
    pub(super) fn rest(
        service: &Service,
        replicas: usize,
        stay: &[Place<'_>],
        fill: &[Place<'_>],
        made: usize,
    ) -> Option<Self> {
        let next = fill.get(made)?.slot;
        let follows = |place: &Place<'_>| place.slot < next;
        let fresh = fill[made..].iter().all(|place| place.tasks.is_empty());
        if !fresh || !stay.iter().all(follows) {
            return None;
        }
        let before = fill[..made].iter().rev();
        let first = before.take_while(|place| place.tasks.is_empty()).last();
        let left = u64::try_from(replicas.checked_sub(stay.len() + made)?).ok()?;
        Some(Self {
            version: service.meta.version,
            first: first.map_or(next, |place| place.slot),
            next,
            last: next.checked_add(left.checked_sub(1)?)?,
        })
    }

    /// True when an earlier plan has filled the slot.
    pub(crate) fn has_made(&self, slot: u64) -> bool {
        (self.first..self.next).contains(&slot)
    }
}

/// How far a plan came with a fill.
pub(crate) enum Filled {
    /// To the end.
    Whole,
    /// So far.
    Part(Fill),
    /// The service has to be looked at: it is not as it was.
    Changed,
}

/// Goes on filling a service.
pub(crate) fn resume(draft: &mut Draft<'_>, id: ServiceId, fill: Fill) -> Filled {
    let service = draft.view.service(&id).cloned();
    let Some(service) = service.filter(|it| it.meta.version == fill.version) else {
        return Filled::Changed;
    };
    let wish = Wish::of(&service, &[]);
    let taken = draft.view.tasks_in_slots(&id, fill.next, fill.last).next().map(|task| task.slot);
    for slot in fill.next..=fill.last {
        draft.examined += 1;
        if taken == Some(slot) {
            return Filled::Changed;
        }
        let place = &Place::slot(slot);
        let birth = Birth { wish: &wish, place, beside: None };
        birth.plan(draft, Reason::SlotEmpty, Default::default(), Default::default());
        if draft.is_full() {
            return Filled::Part(Fill { next: slot, ..fill });
        }
    }
    Filled::Whole
}

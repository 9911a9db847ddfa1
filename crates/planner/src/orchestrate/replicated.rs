//! Replicated services: as many slots as replicas, one task wanted in each.
//!
//! New slots take the lowest free numbers. A slot whose task ended for good stays taken. Slots
//! that are not needed lose all their tasks. Tasks of an older spec stay as they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use swarm_types::{
    Change, CreateTask, Expect, NewTemplate, ObjectId, Service, Task, TaskId, TaskState, Template,
    Timestamp,
};

use super::slot::{Slot, slots};
use super::{remove, restart, start, victims};
use crate::draft::{Draft, Place, Waiting, decided_service, decided_task};
use crate::{MAX_CHANGES, Reason, allocate};

/// Plans one replicated service.
pub(super) fn service(
    draft: &mut Draft<'_>,
    service: &Service,
    replicas: u64,
    tasks: &[Arc<Task>],
) {
    let replicas = usize::try_from(replicas).unwrap_or(usize::MAX);
    let now = draft.now;
    let (held, dead): (Vec<_>, Vec<_>) =
        slots(tasks).into_iter().partition(|slot| slot.is_held(now));
    let (stay, go) = victims::choose(held, replicas);
    let mut dead: BTreeMap<u64, Slot<'_>> =
        dead.into_iter().map(|slot| (slot.number, slot)).collect();
    let template = template(service);

    let fill = free_numbers(&stay, replicas - stay.len());
    let fill: Vec<_> = fill.into_iter().map(|number| (number, dead.remove(&number))).collect();
    for slot in go {
        give_up(draft, service, &slot, Reason::ScaledDown);
    }
    for slot in dead.into_values() {
        give_up(draft, service, &slot, Reason::SlotUnused);
    }
    for slot in &stay {
        keep_up(draft, service, &template, slot);
    }
    for (number, slot) in fill {
        let before = slot.map(|slot| slot.tasks).unwrap_or_default();
        let birth = Birth { service, template: &template, slot: number, before: &before };
        birth.plan(draft, Reason::SlotEmpty, Timestamp::default(), Default::default());
    }
}

/// The lowest numbers that no slot has; not more than a plan can fill.
fn free_numbers(slots: &[Slot<'_>], count: usize) -> Vec<u64> {
    let mut taken: Vec<u64> = slots.iter().map(|slot| slot.number).collect();
    taken.sort_unstable();
    let mut taken = taken.into_iter().peekable();
    let free = (1..).filter(|number| {
        while taken.next_if(|next| next < number).is_some() {}
        taken.next_if_eq(number).is_none()
    });
    free.take(count.min(MAX_CHANGES)).collect()
}

fn give_up(draft: &mut Draft<'_>, service: &Service, slot: &Slot<'_>, reason: Reason) {
    for task in &slot.tasks {
        remove(draft, task, reason, decided_service(service));
    }
}

/// Replaces what ended or lost its node, and starts what was held back.
fn keep_up(draft: &mut Draft<'_>, service: &Service, template: &Arc<Template>, slot: &Slot<'_>) {
    for (index, task) in slot.tasks.iter().enumerate() {
        if !task.wanted() || draft.touched(task.id) {
            continue;
        }
        let lost = task.node.is_some_and(|node| draft.is_invalid(node));
        let ended = task.status.state.is_terminal();
        let delay_ends = start::delay_ends(task, &slot.tasks, draft.now);
        if ended && !lost && delay_ends > draft.now {
            // It ended before it was to start. Replaced now, a task that can never be prepared
            // would be replaced as fast as it fails.
            draft.wake(service.id, delay_ends);
        } else if lost || ended {
            let has_successor = slot.tasks[index + 1..].iter().any(|later| later.wanted());
            let birth = Birth { service, template, slot: slot.number, before: &slot.tasks };
            let replace = !has_successor && restart::allowed(task, &slot.tasks, draft.now);
            // A task whose node failed or was drained has done nothing wrong: its replacement
            // only keeps what is left of the delay it was under itself.
            let delay = task.spec().restart.delay;
            let start_after = if lost { delay_ends } else { draft.now.after(delay) };
            retire(draft, task, lost, replace.then_some((birth, start_after)));
        } else if task.desired == TaskState::Ready {
            raise(draft, service, task, &slot.tasks[..index], delay_ends);
        }
    }
}

/// Wants a task ended, and its replacement in the same group.
fn retire(
    draft: &mut Draft<'_>,
    task: &Task,
    lost: bool,
    replacement: Option<(Birth<'_>, Timestamp)>,
) {
    let cause = if lost { Reason::NodeInvalid } else { Reason::TaskEnded };
    let stop = Change::SetDesired {
        task: task.id,
        desired: TaskState::Shutdown,
        reason: cause.to_string(),
    };
    let node = task.node.filter(|_| lost).map(|node| draft.unchanged(node));
    let Some((birth, start_after)) = replacement else {
        let expect = node.into_iter().collect();
        draft.decide_on(task, Reason::NotReplaced, expect, vec![stop]);
        return;
    };
    let expect = [decided_task(task)].into_iter().chain(node).collect();
    birth.plan(draft, cause, start_after, (expect, vec![stop]));
}

/// Lets a task start when its gate is open, else asks to be woken when it opens.
fn raise(
    draft: &mut Draft<'_>,
    service: &Service,
    task: &Task,
    before: &[&Task],
    delay_ends: Timestamp,
) {
    let since = task.meta.created_at;
    let opens = start::opens(draft, before.iter().copied(), since, delay_ends);
    if opens > draft.now {
        draft.wake(service.id, opens);
        return;
    }
    let start = Change::SetDesired {
        task: task.id,
        desired: TaskState::Running,
        reason: Reason::MayStart.to_string(),
    };
    let expect = start::not_waited_for(draft, before);
    draft.decide_on(task, Reason::MayStart, expect, vec![start]);
}

/// A new task in a slot.
struct Birth<'a> {
    service: &'a Service,
    template: &'a Arc<Template>,
    slot: u64,
    /// The tasks the slot has had, oldest first.
    before: &'a [&'a Task],
}

impl Birth<'_> {
    /// Makes the task, after what happens to its predecessor in the same group.
    fn plan(
        self,
        draft: &mut Draft<'_>,
        reason: Reason,
        start_after: Timestamp,
        (mut expect, mut changes): (Vec<Expect>, Vec<Change>),
    ) {
        let now = draft.now;
        let opens = start::opens(draft, self.before.iter().copied(), now, start_after);
        let id = draft.task_id();
        expect.extend(decided_service(self.service));
        expect.extend(start::not_waited_for(draft, self.before));
        let desired = if opens > now { TaskState::Ready } else { TaskState::Running };
        changes.push(Change::CreateTask(Box::new(CreateTask {
            id,
            template: NewTemplate::Service {
                service: self.service.id,
                spec_version: self.service.meta.spec_version,
            },
            slot: self.slot,
            node: None,
            desired,
            replaces: self.before.last().map(|task| task.id),
            start_after,
            job_iteration: None,
        })));
        let pending = allocate::pending(id, &self.template.spec);
        let is_pending = pending.is_some();
        changes.extend(pending);
        let about = ObjectId::Service(self.service.id);
        let Some(group) = draft.decide(reason, about, expect, changes) else { return };
        if desired == TaskState::Ready {
            draft.wake(self.service.id, opens);
        }
        if is_pending {
            draft.wait(self.waiting(id, now, group));
        }
    }

    fn waiting(&self, task: TaskId, since: Timestamp, group: usize) -> Waiting {
        Waiting {
            task,
            slot: self.slot,
            template: Arc::clone(self.template),
            node: None,
            since,
            told: String::new(),
            group: Place::Existing(group),
        }
    }
}

/// What new tasks of the service run, as far as placing them is concerned.
fn template(service: &Service) -> Arc<Template> {
    Arc::new(Template {
        service: Some(service.id),
        spec_version: service.meta.spec_version,
        service_annotations: service.spec.annotations.clone(),
        endpoint: service.spec.endpoint.clone(),
        global: false,
        spec: service.spec.task.clone(),
    })
}

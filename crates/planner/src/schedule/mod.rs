//! Finds a node for each task that waits.
//!
//! Tasks of one service and spec version are alike and are placed together: one pass over the
//! nodes, then O(log nodes) per task. [`filter`] says which nodes fit, [`spread`] which of those
//! is best, [`ledger`] what each node has left. Tasks with a preset node come first and are only
//! confirmed. Nothing is ever moved to make room.

mod filter;
mod ledger;
mod spread;

use std::collections::BTreeMap;

use swarm_types::{ServiceId, Task, TaskId, TaskState};

pub(crate) use ledger::Ledger;

use crate::draft::{Draft, Place, Waiting, decided_task};

const CONFIRMED: &str = "scheduler confirmed task can run on preassigned node";

/// Hands a task of the snapshot to the scheduler if it waits for a node.
pub(crate) fn enqueue(draft: &mut Draft<'_>, task: &Task) {
    let waits = task.status.state == TaskState::Pending && task.desired <= TaskState::Complete;
    if !waits || draft.touched(task.id) {
        return;
    }
    draft.wait(Waiting::of(task, Place::Own(decided_task(task))));
}

/// Places what waits.
///
/// The ledger leaves as it came: what is placed here is charged to it only meanwhile.
pub(crate) fn place(draft: &mut Draft<'_>, ledger: &mut Ledger, waiting: Vec<Waiting>) {
    let (preset, open): (Vec<_>, Vec<_>) =
        waiting.into_iter().partition(|waiting| waiting.node.is_some());
    let mut charged = Vec::new();
    for waiting in &preset {
        confirm(draft, ledger, waiting, &mut charged);
    }
    for group in groups(open) {
        spread::place(draft, ledger, &group, &mut charged);
    }
    for (node, template) in charged {
        ledger.refund(node, &template, true);
    }
}

/// Tasks that are alike, those that wait longest first.
fn groups(waiting: Vec<Waiting>) -> Vec<Vec<Waiting>> {
    let mut groups: BTreeMap<Kind, Vec<Waiting>> = BTreeMap::new();
    for task in waiting {
        groups.entry(Kind::of(&task)).or_default().push(task);
    }
    let mut groups: Vec<Vec<Waiting>> = groups.into_values().collect();
    for group in &mut groups {
        group.sort_by_key(|waiting| (waiting.slot, waiting.since, waiting.task));
    }
    let oldest = |group: &Vec<Waiting>| group.iter().map(|waiting| waiting.since).min();
    groups.sort_by_key(oldest);
    groups
}

/// What tasks have in common that are placed together.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Service(ServiceId, u64),
    Loose(TaskId),
}

impl Kind {
    fn of(waiting: &Waiting) -> Self {
        match waiting.template.service {
            Some(service) => Self::Service(service, waiting.template.spec_version),
            None => Self::Loose(waiting.task),
        }
    }
}

/// Confirms a preset node, or says why the task has to wait for it.
fn confirm(
    draft: &mut Draft<'_>,
    ledger: &mut Ledger,
    waiting: &Waiting,
    charged: &mut Vec<spread::Charged>,
) {
    let view = draft.view;
    let mut refusals = filter::Refusals::default();
    if let Some(node) = waiting.node.and_then(|node| view.node(&node)) {
        match filter::first_refusal(&waiting.template, node, ledger.account(node.id)) {
            Some(filter) => refusals.count(filter),
            None => {
                if draft.assign(waiting, node, CONFIRMED) {
                    spread::charge(ledger, node.id, &waiting.template, charged);
                }
                return;
            }
        }
    }
    draft.explain(waiting, &refusals.to_string());
}

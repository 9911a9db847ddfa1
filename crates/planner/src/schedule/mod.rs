//! Finds a node for each task that waits.
//!
//! Tasks of one service and spec version are alike and are placed together: one pass over the
//! nodes, then O(log nodes) per task. [`filter`] says which nodes fit, [`tree`] which of those
//! is best, [`ledger`] what each node has left. Tasks with a preset node come first and are only
//! confirmed. Nothing is ever moved to make room.

pub(crate) mod constraint;
mod demand;
mod explain;
mod failures;
pub(crate) mod filter;
mod generic;
mod ledger;
#[cfg(test)]
mod testing;
mod tree;

use std::collections::BTreeMap;
use std::sync::Arc;

use swarm_types::spec::task::GenericResource;
use swarm_types::{Node, NodeId, ServiceId, Task, TaskId, TaskState, Template};

pub use explain::{NodeVerdict, Verdict, explain};
pub(crate) use failures::Failures;
pub use filter::Filter;
pub(crate) use ledger::Ledger;

use crate::draft::{Draft, Place, Waiting, decided_task};
use demand::Demand;
use failures::Many;
use filter::{Refusals, first_refusal, has_room};
use ledger::{Account, UNUSED, Use};
use tree::{Branch, Candidate, Level};

const ASSIGNED: &str = "scheduler assigned task to node";
const CONFIRMED: &str = "scheduler confirmed task can run on preassigned node";

/// What the scheduler knows of the nodes besides the snapshot.
pub(crate) struct Books<'a> {
    /// What is in use on each.
    pub(crate) ledger: &'a mut Ledger,
    /// Where tasks have failed of late.
    pub(crate) failures: &'a Failures,
}

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
pub(crate) fn place(draft: &mut Draft<'_>, books: Books<'_>, waiting: Vec<Waiting>) {
    let (preset, open): (Vec<_>, Vec<_>) =
        waiting.into_iter().partition(|waiting| waiting.node.is_some());
    let mut charges = Charges { ledger: books.ledger, made: Vec::new() };
    for waiting in &preset {
        confirm(draft, &mut charges, waiting);
    }
    for group in groups(open) {
        spread(draft, &mut charges, books.failures, &group);
    }
    charges.take_back();
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

/// What this round puts on the nodes, on top of what is there.
struct Charges<'a> {
    ledger: &'a mut Ledger,
    made: Vec<(NodeId, Arc<Template>, Vec<GenericResource>)>,
}

impl Charges<'_> {
    fn add(&mut self, node: NodeId, template: &Arc<Template>, generic: Vec<GenericResource>) {
        self.ledger.account_mut(node).charge(used(template, &generic));
        self.made.push((node, Arc::clone(template), generic));
    }

    fn take_back(self) {
        for (node, template, generic) in self.made {
            self.ledger.refund(node, used(&template, &generic));
        }
    }
}

fn used<'t>(template: &'t Template, generic: &'t [GenericResource]) -> Use<'t> {
    Use { template, generic, bound: &[], wanted: true }
}

/// What the task is given of the node's user-defined resources; `None` when the node has become
/// too small.
fn given(task: &Demand<'_>, node: &Node, account: &Account) -> Option<Vec<GenericResource>> {
    let wanted = &task.template.spec.resources.reservations.generic;
    if wanted.is_empty() {
        return Some(Vec::new());
    }
    generic::claim(wanted, &node.description.generic, account)
}

/// Confirms a preset node, or says why the task has to wait for it.
fn confirm(draft: &mut Draft<'_>, charges: &mut Charges<'_>, waiting: &Waiting) {
    let (view, template) = (draft.view, Arc::clone(&waiting.template));
    let demand = Demand::of(&template, view);
    let mut refusals = Refusals::default();
    draft.examined += 1;
    if let Some(node) = waiting.node.and_then(|node| view.node(&node)) {
        let account = charges.ledger.account(node.id);
        let refusal = first_refusal(&demand, node, account);
        let given = given(&demand, node, account);
        match (refusal, given) {
            (None, Some(given)) => {
                if draft.assign(waiting, node, given.clone(), CONFIRMED) {
                    charges.add(node.id, &template, given);
                }
                return;
            }
            (filter, _) => refusals.count(filter.unwrap_or(Filter::Resources)),
        }
    }
    draft.explain(waiting, &refusals.to_string());
}

/// Places tasks that are alike. Each goes to the best node that fits by then; those that fit
/// nowhere are told why.
fn spread(
    draft: &mut Draft<'_>,
    charges: &mut Charges<'_>,
    failures: &Failures,
    tasks: &[Waiting],
) {
    let Some(template) = tasks.first().map(|task| Arc::clone(&task.template)) else { return };
    let demand = Demand::of(&template, draft.view);
    let avoided = failures.many(template.service, template.spec_version, draft.now);
    let mut nodes = candidates(draft, charges.ledger, &demand, &avoided);
    let mut tasks = tasks.iter();
    while let Some(waiting) = tasks.as_slice().first() {
        let placed = nodes.place(&mut |best| {
            let node = best.node;
            let account = charges.ledger.account(node.id);
            if !has_room(&demand, node, account) {
                return None;
            }
            let given = given(&demand, node, account)?;
            let mut load = 0;
            if draft.assign(waiting, node, given.clone(), ASSIGNED) {
                charges.add(node.id, &template, given);
                load = 1;
            }
            let (of_service, total) = (best.of_service + load, best.total + load);
            Some(Candidate { of_service, total, ..best })
        });
        if !placed {
            break;
        }
        tasks.next();
    }
    if !tasks.as_slice().is_empty() {
        let text = refusals(draft, charges.ledger, &demand).to_string();
        tasks.for_each(|waiting| draft.explain(waiting, &text));
    }
}

/// The nodes that fit now, and where the others' tasks are: the one pass over all nodes.
fn candidates<'a>(
    draft: &mut Draft<'a>,
    ledger: &Ledger,
    demand: &Demand<'_>,
    avoided: &Many,
) -> Branch<'a> {
    let levels = Level::of(&demand.template.spec.placement);
    let mut root = Branch::default();
    for (node, account) in with_accounts(draft, ledger) {
        let of_service = account.of_service(demand.template.service);
        let leaf = root.enter(&levels, node, of_service);
        if first_refusal(demand, node, account).is_none() {
            let failures = avoided.on(node.id);
            leaf.push(Candidate { failures, of_service, total: account.wanted, node });
        }
    }
    root.close();
    root
}

fn refusals(draft: &mut Draft<'_>, ledger: &Ledger, demand: &Demand<'_>) -> Refusals {
    let mut refusals = Refusals::default();
    for (node, account) in with_accounts(draft, ledger) {
        if let Some(filter) = first_refusal(demand, node, account) {
            refusals.count(filter);
        }
    }
    refusals
}

/// Every node with what is in use on it. Both come in the order of their ids, so that none has
/// to be looked up.
fn with_accounts<'a, 'l>(
    draft: &mut Draft<'a>,
    ledger: &'l Ledger,
) -> impl Iterator<Item = (&'a Arc<Node>, &'l Account)> {
    let view = draft.view;
    let mut accounts = ledger.accounts().peekable();
    let examined = &mut draft.examined;
    view.nodes().map(move |node| {
        *examined += 1;
        while accounts.next_if(|(id, _)| **id < node.id).is_some() {}
        let account = accounts.next_if(|(id, _)| **id == node.id);
        (node, account.map_or(&UNUSED, |(_, account)| account))
    })
}

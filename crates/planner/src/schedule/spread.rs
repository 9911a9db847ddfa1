//! Which of the nodes that fit is best: tasks are spread evenly.
//!
//! Best is the node with the fewest recent failures of the service (from five on), then with
//! the fewest tasks of the service, then with the fewest tasks; equal nodes come by id. Load
//! plays no part.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use swarm_types::{NodeId, ServiceId, TaskState, Template};

use super::filter::{Refusals, first_refusal};
use super::ledger::Ledger;
use crate::draft::{Draft, Waiting};

const ASSIGNED: &str = "scheduler assigned task to node";
/// Time in which failures of a service speak against a node.
const FAILURE_WINDOW: Duration = Duration::from_secs(300);
/// Failures from which on a node is avoided.
const MAX_FAILURES: u32 = 5;

/// A task that was counted on a node.
pub(super) type Charged = (NodeId, Arc<Template>);

/// A node's worth for one service; the smallest is the best.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    failures: u32,
    of_service: u64,
    total: u64,
    node: NodeId,
}

/// Places tasks that are alike. Each goes to the best node that fits by then; those that fit
/// nowhere are told why.
pub(super) fn place(
    draft: &mut Draft<'_>,
    ledger: &mut Ledger,
    tasks: &[Waiting],
    charged: &mut Vec<Charged>,
) {
    let Some(template) = tasks.first().map(|task| Arc::clone(&task.template)) else { return };
    let view = draft.view;
    let mut nodes = candidates(draft, ledger, &template);
    let mut tasks = tasks.iter();
    while let Some(waiting) = tasks.as_slice().first() {
        let Some(Reverse(best)) = nodes.pop() else { break };
        let Some(node) = view.node(&best.node) else { continue };
        if first_refusal(&template, node, ledger.account(node.id)).is_some() {
            continue;
        }
        if draft.assign(waiting, node, ASSIGNED) {
            charge(ledger, node.id, &template, charged);
        }
        nodes.push(Reverse(Rank::of(node.id, best.failures, ledger, &template)));
        tasks.next();
    }
    if tasks.as_slice().is_empty() {
        return;
    }
    let text = refusals(draft, ledger, &template).to_string();
    tasks.for_each(|waiting| draft.explain(waiting, &text));
}

fn refusals(draft: &mut Draft<'_>, ledger: &Ledger, template: &Template) -> Refusals {
    let mut refusals = Refusals::default();
    let view = draft.view;
    for node in view.nodes() {
        draft.examined += 1;
        if let Some(filter) = first_refusal(template, node, ledger.account(node.id)) {
            refusals.count(filter);
        }
    }
    refusals
}

/// Counts a task that was placed.
pub(super) fn charge(
    ledger: &mut Ledger,
    node: NodeId,
    template: &Arc<Template>,
    charged: &mut Vec<Charged>,
) {
    ledger.charge(node, template, true);
    charged.push((node, Arc::clone(template)));
}

/// The nodes that fit now: the one pass over all nodes.
fn candidates(
    draft: &mut Draft<'_>,
    ledger: &Ledger,
    template: &Template,
) -> BinaryHeap<Reverse<Rank>> {
    let failures = match template.service {
        Some(service) => failures(draft, service, template.spec_version),
        None => BTreeMap::new(),
    };
    let view = draft.view;
    let mut nodes = Vec::new();
    for node in view.nodes() {
        draft.examined += 1;
        if first_refusal(template, node, ledger.account(node.id)).is_none() {
            let failures = failures.get(&node.id).copied().unwrap_or(0);
            nodes.push(Reverse(Rank::of(node.id, failures, ledger, template)));
        }
    }
    nodes.into()
}

impl Rank {
    fn of(node: NodeId, failures: u32, ledger: &Ledger, template: &Template) -> Self {
        let account = ledger.account(node);
        let of_service = account.of_service(template.service);
        Self { failures, of_service, total: account.wanted, node }
    }
}

/// Recent failures by node of the service's tasks at one spec version, as far as its kept tasks
/// tell. Nodes with fewer than [`MAX_FAILURES`] are left out.
fn failures(draft: &mut Draft<'_>, service: ServiceId, spec_version: u64) -> BTreeMap<NodeId, u32> {
    let mut failures = BTreeMap::new();
    let view = draft.view;
    for task in view.tasks_of_service(&service) {
        draft.examined += 1;
        let failed = matches!(task.status.state, TaskState::Failed | TaskState::Rejected);
        let recent = draft.now.since(task.status.applied_at) < FAILURE_WINDOW;
        if let Some(node) = task.node
            && failed
            && recent
            && task.spec_version() == spec_version
        {
            *failures.entry(node).or_insert(0) += 1;
        }
    }
    failures.retain(|_, count| *count >= MAX_FAILURES);
    failures
}

//! What each node thinks of a task, for people.

use swarm_state::Snapshot;
use swarm_types::object::node::NodeState;
use swarm_types::spec::task::{GenericResource, Platform, Reservations};
use swarm_types::{Node, NodeId, Task, Timestamp};

use super::demand::Demand;
use super::filter::{Filter, first_refusal, has_plugin};
use super::generic;
use super::ledger::Account;
use super::{Failures, Ledger};

/// What a node thinks of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeVerdict {
    /// The node.
    pub node: NodeId,
    /// What it comes to.
    pub verdict: Verdict,
    /// For people: what is missing and how much, or what the node's rank rests on.
    pub detail: String,
}

/// What a node's opinion of a task comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The node takes the task.
    Fits,
    /// The first filter that refuses it.
    Refused(Filter),
    /// The task is on this node.
    Assigned,
}

/// Asks every node about a task: of one that waits whether it takes it, of one that has a node
/// whether it would take it today, with the task's own share given back.
///
/// A task with a preset node concerns that node only. `now` is the leader's clock; the cost
/// grows with all tasks of the cluster. Verdicts come in the order of the nodes' ids.
#[must_use]
pub fn explain(view: &Snapshot, task: &Task, now: Timestamp) -> Vec<NodeVerdict> {
    let mut ledger = Ledger::of(view);
    ledger.strike(task);
    let mut failures = Failures::default();
    if let Some(service) = task.service() {
        view.tasks_of_service(&service).for_each(|task| failures.note(task));
    }
    let avoided = failures.many(task.service(), task.spec_version(), now);
    let demand = Demand::of(&task.template, view);
    let preset = task.node.filter(|_| task.template.global);
    let concerned = view.nodes().filter(|node| preset.is_none_or(|preset| preset == node.id));
    concerned
        .map(|node| {
            let account = ledger.account(node.id);
            let refusal = first_refusal(&demand, node, account);
            let detail = match refusal {
                Some(filter) => lacks(filter, &demand, node, account),
                None => rank(&demand, account, avoided.on(node.id)),
            };
            let here = task.may_run() && task.node == Some(node.id);
            let verdict = match refusal {
                _ if here => Verdict::Assigned,
                Some(filter) => Verdict::Refused(filter),
                None => Verdict::Fits,
            };
            NodeVerdict { node: node.id, verdict, detail }
        })
        .collect()
}

/// What the rank of a node that fits rests on.
fn rank(task: &Demand<'_>, account: &Account, failures: u32) -> String {
    let of_service = account.of_service(task.template.service);
    let mut text = format!("has {of_service} of the service, {} in all", account.wanted);
    if failures > 0 {
        text.push_str(&format!("; avoided after {failures} failures in 5 minutes"));
    }
    text
}

/// What is missing, and how much.
fn lacks(filter: Filter, task: &Demand<'_>, node: &Node, account: &Account) -> String {
    match filter {
        Filter::Ready if node.status.state != NodeState::Ready => {
            format!("state is {}", node.status.state.as_str())
        }
        Filter::Ready => format!("availability is {}", node.spec.availability.as_str()),
        Filter::Resources => {
            lacking(&task.template.spec.resources.reservations, node, account).join("; ")
        }
        Filter::Plugin => {
            let missing = task.plugins.iter().find(|needs| !has_plugin(node, **needs));
            missing.map_or_else(String::new, |it| format!("no {} driver {}", it.kind, it.name))
        }
        Filter::Constraint => {
            format!("{} does not hold", task.constraints.broken_by(node).unwrap_or_default())
        }
        Filter::Platform => {
            let images = task.template.spec.placement.platforms.iter().map(platform_text);
            let images: Vec<String> = images.collect();
            let found = platform_text(&node.description.platform);
            format!("is {found}, the image is for {}", images.join(", "))
        }
        Filter::HostPort => {
            let taken = task.ports.iter().find(|port| !account.is_free(**port));
            taken.map_or_else(String::new, |(protocol, port)| {
                format!("port {port}/{} is in use", protocol.as_str())
            })
        }
        Filter::MaxReplicas => {
            let has = account.of_service(task.template.service);
            format!(
                "has {has} of the service, at most {}",
                task.template.spec.placement.max_replicas
            )
        }
    }
}

fn platform_text(platform: &Platform) -> String {
    let or_any = |text: &str| if text.is_empty() { "any" } else { text }.to_owned();
    format!("{}/{}", or_any(&platform.os), or_any(&platform.architecture))
}

/// Each resource of which too little is left.
fn lacking(wanted: &Reservations, node: &Node, account: &Account) -> Vec<String> {
    let has = &node.description;
    let mut texts = Vec::new();
    let amounts = [
        ("CPUs", 1_000_000_000, wanted.nano_cpus, has.nano_cpus, account.nano_cpus),
        ("MiB of memory", 1 << 20, wanted.memory_bytes, has.memory_bytes, account.memory_bytes),
    ];
    for (name, unit, wanted, total, used) in amounts {
        let left = total.saturating_sub(used);
        if wanted > 0 && wanted > left {
            let [wanted, left, total] = [wanted, left, total].map(|it| hundredths(it, unit));
            texts.push(format!("needs {wanted} {name}, {left} of {total} left"));
        }
    }
    for resource in &wanted.generic {
        if generic::claim(std::slice::from_ref(resource), &has.generic, account).is_none() {
            let (GenericResource::Discrete { kind, .. } | GenericResource::Named { kind, .. }) =
                resource;
            let count = match resource {
                GenericResource::Discrete { value, .. } => *value,
                GenericResource::Named { .. } => 1,
            };
            let left = generic::left(kind, &has.generic, account).count();
            texts.push(format!("needs {count} {kind}, {left} left"));
        }
    }
    texts
}

/// An amount in a unit, with up to two decimals.
fn hundredths(amount: i64, unit: i64) -> String {
    let hundredths = amount.saturating_mul(100) / unit;
    let sign = if hundredths < 0 { "-" } else { "" };
    let (whole, rest) = (hundredths.unsigned_abs() / 100, hundredths.unsigned_abs() % 100);
    let text = format!("{sign}{whole}.{rest:02}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

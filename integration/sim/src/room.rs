//! Which node takes a task: worked out from the state a second time, to judge the planner by.

use std::collections::BTreeSet;

use swarm_state::Snapshot;
use swarm_types::object::node::NodeState;
use swarm_types::spec::node::Availability;
use swarm_types::spec::task::GenericResource;
use swarm_types::{Node, NodeId, Task};

/// Whether a node keeps what it has: it is neither gone nor down nor drained.
pub(crate) fn keeps(view: &Snapshot, id: NodeId) -> bool {
    view.node(&id).is_some_and(|node| {
        node.status.state != NodeState::Down && node.spec.availability != Availability::Drain
    })
}

/// Whether a task may be on a node, beside all others that are there.
pub(crate) fn takes(view: &Snapshot, node: &Node, task: &Task) -> bool {
    let open =
        node.status.state == NodeState::Ready && node.spec.availability == Availability::Active;
    open && task.spec().placement.constraints.iter().all(|it| meets(node, it)) && {
        let others = view.tasks_on_node(&node.id).filter(|it| it.may_run() && it.id != task.id);
        let others: Vec<&Task> = others.map(AsRef::as_ref).collect();
        has_room(node, task, &others)
    }
}

/// Services of the simulator ask for labels only.
fn meets(node: &Node, constraint: &str) -> bool {
    let wish = constraint.strip_prefix("node.labels.").and_then(|it| it.split_once("=="));
    let (label, value) = wish.unwrap();
    node.spec.annotations.labels.get(label).is_some_and(|found| found == value)
}

fn has_room(node: &Node, task: &Task, others: &[&Task]) -> bool {
    let has = &node.description;
    let all = || others.iter().copied().chain([task]);
    let bytes: i64 = all().map(|it| it.spec().resources.reservations.memory_bytes).sum();
    let cpus: i64 = all().map(|it| it.spec().resources.reservations.nano_cpus).sum();
    let given: usize = others.iter().map(|it| it.generic.len()).sum();
    let taken: BTreeSet<_> = others.iter().flat_map(|it| ports(it)).collect();
    let most = task.spec().placement.max_replicas;
    let alike = others.iter().filter(|it| it.wanted() && it.service() == task.service()).count();
    bytes <= has.memory_bytes
        && cpus <= has.nano_cpus
        && given + units(task) <= has.generic.len()
        && ports(task).all(|port| !taken.contains(&port))
        && (most == 0 || (alike as u64) < most)
}

fn ports(task: &Task) -> impl Iterator<Item = (swarm_types::spec::service::Protocol, u16)> {
    task.template.endpoint.ports.iter().map(|port| (port.protocol, port.published))
}

/// Units of the node's own kind that the task asks for.
fn units(task: &Task) -> usize {
    let count = |wish: &GenericResource| match wish {
        GenericResource::Discrete { value, .. } => usize::try_from(*value).unwrap(),
        GenericResource::Named { .. } => 1,
    };
    task.spec().resources.reservations.generic.iter().map(count).sum()
}

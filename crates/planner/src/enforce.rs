//! Which tasks a node has no room for any more, because it became smaller.
//!
//! The tasks that are there longest stay. Constraints are looked at where tasks are decided on;
//! platforms, ports and limits per node are not looked at again.

use swarm_types::object::node::NodeState;
use swarm_types::spec::node::Availability;
use swarm_types::{NodeId, ServiceId, Task};

use crate::draft::Draft;

/// Evicts what a node has no room for. The services of those tasks, which are decided on again.
pub(crate) fn node(draft: &mut Draft<'_>, id: NodeId) -> Vec<ServiceId> {
    let view = draft.view;
    let Some(node) = view.node(&id) else { return Vec::new() };
    let serves = node.spec.availability == Availability::Active;
    if !serves || node.status.state == NodeState::Down {
        return Vec::new();
    }
    let counts = |task: &&Task| task.may_run() && task.wanted();
    let mut tasks: Vec<&Task> =
        view.tasks_on_node(&id).map(|task| &**task).filter(counts).collect();
    draft.examined += tasks.len();
    tasks.sort_by_key(|task| (task.meta.spec_version, task.id));
    let (mut cpus, mut memory) = (node.description.nano_cpus, node.description.memory_bytes);
    let mut services = Vec::new();
    for task in tasks {
        let reserved = &task.spec().resources.reservations;
        let (wants_cpus, wants_memory) = (reserved.nano_cpus, reserved.memory_bytes);
        let fits = |wanted: i64, left: i64| wanted <= 0 || wanted <= left;
        if fits(wants_cpus, cpus) && fits(wants_memory, memory) {
            cpus = cpus.saturating_sub(wants_cpus);
            memory = memory.saturating_sub(wants_memory);
        } else if let Some(service) = task.service() {
            draft.evict(task.id);
            services.push(service);
        }
    }
    services
}

//! What a cluster has to look like at rest, when nothing but nodes is missing.

use std::collections::BTreeMap;
use std::sync::Arc;

use swarm_planner::{Scope, plan};
use swarm_state::Snapshot;
use swarm_types::object::node::NodeState;
use swarm_types::object::service::UpdateState;
use swarm_types::spec::service::ServiceMode;
use swarm_types::{IdSource, Service, Task, TaskState};

use crate::{Cluster, room};

/// Each service has its places. In each one task is wanted, which runs or waits for room, or the
/// newest ended for good; and nothing is left of services that are gone, nor wanted on nodes that
/// are down or drained.
pub(crate) fn check(cluster: &Cluster) {
    let view = cluster.view();
    view.services().for_each(|service| is_served(&view, service));
    for task in view.tasks() {
        assert!(view.service(&task.service().unwrap()).is_some(), "{task:?} is left");
        let node = task.node.filter(|_| task.wanted());
        assert!(node.is_none_or(|node| room::keeps(&view, node)), "{task:?} is wanted in vain");
        assert!(task.wanted() || has_ended(&view, task), "{task:?} lingers");
    }
    let mut ids = IdSource::seeded(0);
    let rest = plan(&view, Scope::All, &mut ids, cluster.now);
    assert!(rest.groups.is_empty(), "a full pass finds more to do: {rest:?}");
}

fn is_served(view: &Snapshot, service: &Service) {
    let places = match service.spec.mode {
        ServiceMode::Replicated { replicas } => usize::try_from(replicas).unwrap(),
        _ => view.nodes().filter(|node| room::keeps(view, node.id)).count(),
    };
    let mut slots: BTreeMap<_, &Arc<Task>> = BTreeMap::new();
    for task in view.tasks_of_service(&service.id) {
        let node = task.node.filter(|_| task.template.global);
        if node.is_some_and(|node| !room::keeps(view, node)) {
            continue;
        }
        // A start-first update that stopped withdraws its new task, and the older one stays.
        let held = slots.get(&(task.slot, node)).filter(|it| it.wanted());
        assert!(!(held.is_some() && task.wanted()), "{held:?} is wanted beside {task:?}");
        if held.is_none() {
            slots.insert((task.slot, node), task);
        }
    }
    assert_eq!(slots.len(), places, "{slots:?}");
    let waits = |task: &Task| task.wanted() && waits_for_room(view, task);
    let any_waits = slots.values().any(|task| waits(task));
    for task in slots.into_values() {
        let runs = task.wanted() && task.status.state == TaskState::Running;
        let limited = task.spec().restart != Default::default();
        let ended = limited && !task.wanted() && has_ended(view, task);
        assert!(runs || waits(task) || ended, "{task:?}");
        // An update waits with what waits, and a paused one for its user.
        let current = task.spec() == &service.spec.task || any_waits || is_paused(service);
        assert!(!task.wanted() || current, "{task:?} is not updated to {service:?}");
    }
    assert!(any_waits || !is_updating(service), "{service:?} is updated for ever");
}

fn has_ended(view: &Snapshot, task: &Task) -> bool {
    let node = task.node.and_then(|node| view.node(&node));
    task.status.state.is_terminal() || node.is_some_and(|it| it.status.state == NodeState::Down)
}

/// It says so, and it is so.
fn waits_for_room(view: &Snapshot, task: &Task) -> bool {
    let mut own = view.nodes().filter(|node| task.node.is_none_or(|own| own == node.id));
    let room = own.any(|node| room::takes(view, node, task));
    task.status.state == TaskState::Pending
        && task.status.err.starts_with("no suitable node (")
        && !room
}

fn is_paused(service: &Service) -> bool {
    use UpdateState::{Paused, RollbackPaused};
    matches!(update(service), Some(Paused | RollbackPaused))
}

fn is_updating(service: &Service) -> bool {
    use UpdateState::{RollbackStarted, Updating};
    matches!(update(service), Some(Updating | RollbackStarted))
}

fn update(service: &Service) -> Option<UpdateState> {
    service.update_status.as_ref().map(|status| status.state)
}

//! What a cluster has to look like when all is well again.

use std::collections::BTreeMap;
use std::sync::Arc;

use swarm_planner::{Scope, plan};
use swarm_types::spec::service::ServiceMode;
use swarm_types::{IdSource, Task, TaskState};

use crate::Cluster;

/// Each service has its slots. Of each one task is wanted, which runs or waits for room, or the
/// newest ended for good; and nothing is left of services that are gone.
pub(crate) fn check(cluster: &Cluster) {
    let view = cluster.view();
    for service in view.services() {
        let places = match service.spec.mode {
            ServiceMode::Replicated { replicas } => usize::try_from(replicas).unwrap(),
            _ => view.nodes().count(),
        };
        let mut slots: BTreeMap<_, &Arc<Task>> = BTreeMap::new();
        for task in view.tasks_of_service(&service.id) {
            let place = (task.slot, task.node.filter(|_| task.template.global));
            // A start-first update that stopped withdraws its new task, and the older one stays.
            let held = slots.get(&place).filter(|it| it.wanted());
            assert!(!(held.is_some() && task.wanted()), "{held:?} is wanted beside {task:?}");
            if held.is_none() {
                slots.insert(place, task);
            }
        }
        assert_eq!(slots.len(), places, "{slots:?}");
        for task in slots.into_values() {
            let runs = task.wanted() && task.status.state == TaskState::Running;
            let waits = task.wanted() && task.status.err.starts_with("no suitable node (");
            let limited = task.spec().restart != Default::default();
            let ended = limited && !task.wanted() && task.status.state.is_terminal();
            assert!(runs || waits || ended, "{task:?}");
        }
    }
    for task in view.tasks() {
        assert!(view.service(&task.service().unwrap()).is_some(), "{task:?} is left");
        assert!(task.wanted() || task.status.state.is_terminal(), "{task:?} lingers");
    }
    let mut ids = IdSource::seeded(0);
    let rest = plan(&view, Scope::All, &mut ids, cluster.now);
    assert!(rest.groups.is_empty(), "a full pass finds more to do: {rest:?}");
}

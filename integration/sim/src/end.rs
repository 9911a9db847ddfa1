//! What a cluster has to look like when all is well again.

use std::collections::BTreeMap;
use std::sync::Arc;

use swarm_planner::{Scope, plan};
use swarm_types::spec::service::ServiceMode;
use swarm_types::{IdSource, Task, TaskState};

use crate::Cluster;

/// Each service has its slots, of each of which the newest task runs, waits for room, or ended
/// for good; and nothing is left of services that are gone.
pub(crate) fn check(cluster: &Cluster) {
    let view = cluster.view();
    for service in view.services() {
        let places = match service.spec.mode {
            ServiceMode::Replicated { replicas } => usize::try_from(replicas).unwrap(),
            _ => view.nodes().count(),
        };
        let mut slots: BTreeMap<_, &Arc<Task>> = BTreeMap::new();
        for task in view.tasks_of_service(&service.id) {
            slots.insert((task.slot, task.node.filter(|_| task.template.global)), task);
        }
        assert_eq!(slots.len(), places, "{slots:?}");
        for newest in slots.into_values() {
            let runs = newest.wanted() && newest.status.state == TaskState::Running;
            let waits = newest.wanted() && newest.status.err.starts_with("no suitable node (");
            let limited = newest.spec().restart != Default::default();
            let ended = limited && !newest.wanted() && newest.status.state.is_terminal();
            assert!(runs || waits || ended, "{newest:?}");
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

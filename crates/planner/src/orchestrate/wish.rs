//! What a service asks of its tasks, and which tasks are something else: the dirty ones.
//!
//! Tasks of one spec version are alike, so each version is compared once. A task that differs in
//! its placement alone, and runs where the new placement allows it, is left alone; so is one that
//! differs only in how its image is pulled.

use std::collections::BTreeMap;
use std::sync::Arc;

use swarm_types::object::service::UpdateState;
use swarm_types::spec::service::{UpdateConfig, UpdateOrder};
use swarm_types::spec::task::{TaskRuntime, TaskSpec};
use swarm_types::{Service, Task, Template};

use crate::draft::Draft;
use crate::schedule::constraint::Constraints;

/// A service as its tasks should be.
pub(super) struct Wish<'a> {
    /// The service.
    pub(super) service: &'a Service,
    /// What new tasks run, as far as placing them is concerned.
    pub(super) template: Arc<Template>,
    /// Where they may run.
    pub(super) constraints: Constraints,
    versions: BTreeMap<u64, Difference>,
}

/// How tasks of one spec version differ from what is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Difference {
    Nothing,
    Placement,
    More,
}

impl<'a> Wish<'a> {
    /// What `service` asks of `tasks`.
    pub(super) fn of(service: &'a Service, tasks: &[Arc<Task>]) -> Self {
        let mut versions = BTreeMap::new();
        for task in tasks {
            versions
                .entry(task.spec_version())
                .or_insert_with(|| difference(service, &task.template));
        }
        let constraints = Constraints::read(&service.spec.task.placement.constraints);
        Self { service, template: template(service), constraints, versions }
    }

    /// True when some task may be dirty.
    pub(super) fn is_mixed(&self) -> bool {
        self.versions.values().any(|difference| *difference != Difference::Nothing)
    }

    /// True when the task has to be replaced by one of the present spec.
    pub(super) fn is_dirty(&self, draft: &Draft<'_>, task: &Task) -> bool {
        match self.versions.get(&task.spec_version()) {
            Some(Difference::Nothing) => false,
            Some(Difference::Placement) => {
                let node = task.node.and_then(|node| draft.view.node(&node));
                !node.is_some_and(|node| self.constraints.met_by(node))
            }
            Some(Difference::More) | None => true,
        }
    }

    /// Where the update stands; `None` before the first.
    pub(super) fn state(&self) -> Option<UpdateState> {
        self.service.update_status.as_ref().map(|status| status.state)
    }

    /// True while a roll-back is under way, or was stopped.
    pub(super) fn rolls_back(&self) -> bool {
        matches!(self.state(), Some(UpdateState::RollbackStarted | UpdateState::RollbackPaused))
    }

    /// How tasks are replaced at present.
    pub(super) fn config(&self) -> UpdateConfig {
        let spec = &self.service.spec;
        let config = if self.rolls_back() { &spec.rollback } else { &spec.update };
        config.clone().unwrap_or_default()
    }

    /// Whether the old task stops before the new one starts.
    pub(super) fn order(&self) -> UpdateOrder {
        let spec = &self.service.spec;
        let config = if self.rolls_back() { &spec.rollback } else { &spec.update };
        config.as_ref().map_or_else(UpdateOrder::default, |config| config.order)
    }
}

fn difference(service: &Service, found: &Template) -> Difference {
    let (wanted, spec) = (&service.spec.task, &found.spec);
    if found.spec_version == service.meta.spec_version {
        return Difference::Nothing;
    }
    if found.endpoint != service.spec.endpoint {
        return Difference::More;
    }
    if wanted == spec {
        return Difference::Nothing;
    }
    let as_found = TaskSpec { runtime: pulled_like(wanted, spec), ..wanted.clone() };
    if as_found == *spec {
        return Difference::Nothing;
    }
    let placed = TaskSpec { placement: spec.placement.clone(), ..as_found };
    if placed == *spec { Difference::Placement } else { Difference::More }
}

/// What `wanted` runs, pulled as `found` was.
fn pulled_like(wanted: &TaskSpec, found: &TaskSpec) -> TaskRuntime {
    let mut runtime = wanted.runtime.clone();
    if let (TaskRuntime::Container(container), Some(found)) = (&mut runtime, found.container()) {
        container.pull = found.pull.clone();
    }
    runtime
}

fn template(service: &Service) -> Arc<Template> {
    Arc::new(Template {
        service: Some(service.id),
        spec_version: service.meta.spec_version,
        service_annotations: service.spec.annotations.clone(),
        endpoint: service.spec.endpoint.clone(),
        global: service.spec.mode == swarm_types::spec::service::ServiceMode::Global,
        spec: service.spec.task.clone(),
    })
}

//! What has to be planned: collected from events, so that a round looks at nothing else.
//!
//! Losing a mark only delays a decision until the next full pass; a mark too many costs time.

use std::collections::{BTreeMap, BTreeSet};

use swarm_state::{Batch, Event, Snapshot};
use swarm_types::object::node::{NodeDescription, NodeState};
use swarm_types::spec::node::{NodeRole, NodeSpec};
use swarm_types::spec::service::ServiceMode;
use swarm_types::{
    Group, Node, NodeId, Object, ObjectId, Service, ServiceId, Task, TaskId, TaskState, Timestamp,
};

use crate::draft::task_of;
use crate::orchestrate::Fill;
use crate::schedule::{Books, Failures, Ledger};

/// Part of the cluster to plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Everything: on becoming leader, and now and then.
    All,
    /// One service, present or removed.
    Service(ServiceId),
    /// The services with tasks on a node, the global ones, and every task that waits for one.
    Node(NodeId),
}

/// What has to be planned.
///
/// Belongs to one leader's driver, which starts with [`Scope::All`], notes every batch in order,
/// and marks everything again when it missed one.
#[derive(Debug, Default)]
pub struct Dirty {
    all: bool,
    services: BTreeSet<ServiceId>,
    nodes: BTreeSet<NodeId>,
    tasks: BTreeSet<TaskId>,
    // Places of global services.
    places: BTreeSet<(ServiceId, NodeId)>,
    // Services that get their first tasks by several plans; none that is marked otherwise.
    fills: BTreeMap<ServiceId, Fill>,
    // Removed services that may have tasks still; those are planned one by one.
    gone: BTreeSet<ServiceId>,
    // Every global service, once it had to be known; kept up from the events.
    globals: Option<BTreeSet<ServiceId>>,
    // Some node may have room now, so every waiting task is tried again.
    room: bool,
    wakes: BTreeMap<ServiceId, Timestamp>,
    ledger: Option<Ledger>,
    failures: Failures,
}

/// What one round plans.
#[derive(Default)]
pub(crate) struct Work {
    /// Services to plan.
    pub(crate) services: BTreeSet<ServiceId>,
    /// Tasks to look at whose service is gone, or that never had one; a rest may name others,
    /// which stand for theirs.
    pub(crate) loose: BTreeSet<TaskId>,
    /// Nodes whose room may have shrunk.
    pub(crate) nodes: BTreeSet<NodeId>,
    /// Places of global services to plan; none of a service in `services`.
    pub(crate) places: BTreeSet<(ServiceId, NodeId)>,
    /// Services to go on filling.
    pub(crate) fills: BTreeMap<ServiceId, Fill>,
    /// Try every waiting task, not only those of the services.
    pub(crate) room: bool,
}

impl Dirty {
    /// Marks a part of the cluster.
    pub fn mark(&mut self, scope: Scope) {
        match scope {
            Scope::All => {
                self.all = true;
                self.ledger = None;
            }
            Scope::Service(service) => {
                self.services.insert(service);
            }
            Scope::Node(node) => {
                self.nodes.insert(node);
                self.room = true;
            }
        }
    }

    /// Marks what the events of one entry may call for. Batches come in order; one that is
    /// missing calls for [`Scope::All`].
    pub fn note(&mut self, batch: &Batch) {
        if let Some(ledger) = &mut self.ledger {
            ledger.note(batch);
        }
        for event in &batch.events {
            self.follow_globals(event);
            match event {
                Event::Removed(Object::Service(service)) => {
                    self.gone.insert(service.id);
                    self.services.insert(service.id);
                }
                Event::Created(object) | Event::Removed(object) => self.appeared(object),
                Event::Updated { old: Object::Task(old), new: Object::Task(new) } => {
                    self.task_changed(old, new);
                }
                Event::Updated { old: Object::Node(old), new: Object::Node(new) } => {
                    self.node_changed(old, new);
                }
                Event::Updated { old: Object::Cluster(old), new: Object::Cluster(new) } => {
                    self.all |= old.spec.task_history_limit != new.spec.task_history_limit;
                }
                Event::Updated { new, .. } => self.appeared(new),
            }
        }
    }

    fn follow_globals(&mut self, event: &Event) {
        let Some(globals) = &mut self.globals else { return };
        match event {
            Event::Created(Object::Service(new))
            | Event::Updated { new: Object::Service(new), .. }
                if is_global(new) =>
            {
                globals.insert(new.id);
            }
            Event::Removed(Object::Service(old)) => {
                globals.remove(&old.id);
            }
            _ => {}
        }
    }

    /// Marks what a refused group was about, so that it is decided again. For refusals that
    /// another look may change; the caller paces those that come again and again.
    pub fn retry(&mut self, group: &Group) {
        self.tasks.extend(group.changes.iter().filter_map(task_of));
        for expect in &group.expect {
            match expect.object {
                ObjectId::Service(service) => {
                    self.services.insert(service);
                }
                ObjectId::Task(task) => {
                    self.tasks.insert(task);
                }
                _ => {}
            }
        }
    }

    /// True when a round has something to look at: marks, or a delay that is over.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.all
            || self.room
            || !self.services.is_empty()
            || !self.nodes.is_empty()
            || !self.tasks.is_empty()
            || !self.places.is_empty()
            || !self.fills.is_empty()
            || self.wakes.values().any(|at| *at <= now)
    }

    fn appeared(&mut self, object: &Object) {
        match object {
            Object::Service(service) => {
                self.services.insert(service.id);
            }
            Object::Task(task) => {
                self.task(task);
                self.room |= task.may_run();
            }
            Object::Node(node) => self.mark(Scope::Node(node.id)),
            Object::Cluster(_) => self.all = true,
            _ => {}
        }
    }

    fn task(&mut self, task: &Task) {
        self.failures.note(task);
        let left = task.service().filter(|service| !self.gone.contains(service));
        match (left, task.node) {
            (Some(service), Some(node)) if task.template.global => {
                self.places.insert((service, node));
            }
            (Some(service), _) if self.is_fill(service, task) => {}
            (Some(service), _) => _ = self.services.insert(service),
            (None, _) => _ = self.tasks.insert(task.id),
        }
    }

    /// True when the task is as the plan wanted it that made it to fill a slot: then its service
    /// need not be looked at before all slots are filled.
    fn is_fill(&self, service: ServiceId, task: &Task) -> bool {
        let fill = self.fills.get(&service).filter(|fill| fill.has_made(task.slot));
        let fresh = task.desired == TaskState::Running && task.replaces.is_none();
        fill.is_some() && fresh && task.status.state <= TaskState::Assigned
    }

    /// Only the steps a decision depends on count: most reports are of a task on its way. That a
    /// task runs matters when it took over from another: an update may wait for it.
    fn task_changed(&mut self, old: &Task, new: &Task) {
        let step = |task: &Task| {
            let state = task.status.state;
            let runs = state == TaskState::Running && task.replaces.is_some();
            (task.desired, runs, state.is_terminal(), state.min(TaskState::Assigned))
        };
        if step(old) != step(new) {
            self.task(new);
        }
        self.room |= old.may_run() && !new.may_run();
    }

    fn node_changed(&mut self, old: &Node, new: &Node) {
        if fitness(old) != fitness(new) {
            self.mark(Scope::Node(new.id));
        }
    }

    /// Takes what is due out of the marks.
    pub(crate) fn take(&mut self, view: &Snapshot, now: Timestamp) -> Work {
        let mut work = Work {
            services: std::mem::take(&mut self.services),
            loose: BTreeSet::new(),
            nodes: std::mem::take(&mut self.nodes),
            places: std::mem::take(&mut self.places),
            fills: std::mem::take(&mut self.fills),
            room: std::mem::take(&mut self.room) || self.all,
        };
        let due = self.wakes.iter().filter(|(_, at)| **at <= now).map(|(service, _)| *service);
        work.services.extend(due);
        if !work.nodes.is_empty() && !self.all {
            let globals = self.globals.get_or_insert_with(|| globals(view));
            for node in work.nodes.clone() {
                work.places.extend(globals.iter().map(|service| (*service, node)));
                view.tasks_on_node(&node).for_each(|task| work.add(view, task));
            }
        }
        for task in std::mem::take(&mut self.tasks) {
            view.task(&task).into_iter().for_each(|task| work.add(view, task));
        }
        if std::mem::take(&mut self.all) {
            work.nodes.extend(view.nodes().map(|node| node.id));
            work.services.extend(view.services().map(|service| service.id));
            view.tasks().for_each(|task| work.add(view, task));
            let loose = work.loose.iter().filter_map(|task| view.task(task)?.service());
            self.gone = loose.collect();
        }
        work.services.iter().for_each(|service| {
            self.wakes.remove(service);
        });
        let Work { services, places, .. } = &mut work;
        places.retain(|(service, _)| !services.contains(service));
        work
    }

    /// Keeps what a round left over, and when it wants to look again.
    pub(crate) fn keep(&mut self, rest: Work, wakes: BTreeMap<ServiceId, Timestamp>) {
        self.services.extend(rest.services);
        self.tasks.extend(rest.loose);
        self.nodes.extend(rest.nodes);
        self.places.extend(rest.places);
        self.fills.extend(rest.fills);
        self.room |= rest.room;
        for (service, at) in wakes {
            let wake = self.wakes.entry(service).or_insert(at);
            *wake = at.min(*wake);
        }
    }

    /// The earliest time a service wants to be looked at again.
    pub(crate) fn wake_at(&self) -> Option<Timestamp> {
        self.wakes.values().min().copied()
    }

    /// The ledger at the snapshot's index, and how many tasks were counted to make it.
    pub(crate) fn books(&mut self, view: &Snapshot) -> (Books<'_>, usize) {
        let mut counted = 0;
        if self.ledger.as_ref().is_none_or(|ledger| ledger.applied() != view.applied()) {
            self.ledger = None;
            self.failures.retain(|service| view.service(service).is_some());
            for task in view.tasks() {
                self.failures.note(task);
                counted += 1;
            }
        }
        let ledger = self.ledger.get_or_insert_with(|| Ledger::of(view));
        (Books { ledger, failures: &self.failures }, counted)
    }
}

/// What decides which tasks a node can have.
fn fitness(node: &Node) -> (NodeState, &str, NodeRole, &NodeSpec, &NodeDescription) {
    (node.status.state, &node.status.addr, node.role, &node.spec, &node.description)
}

fn globals(view: &Snapshot) -> BTreeSet<ServiceId> {
    view.services().filter(|service| is_global(service)).map(|service| service.id).collect()
}

fn is_global(service: &Service) -> bool {
    service.spec.mode == ServiceMode::Global
}

impl Work {
    fn add(&mut self, view: &Snapshot, task: &Task) {
        let service = task.service().filter(|service| view.service(service).is_some());
        match (service, task.node) {
            (Some(service), Some(node)) if task.template.global => {
                self.places.insert((service, node));
            }
            (Some(service), _) => _ = self.services.insert(service),
            (None, _) => _ = self.loose.insert(task.id),
        }
    }
}

//! What holds after every entry, whatever failed; checked for what the entry touched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use swarm_state::{Batch, Event, Snapshot};
use swarm_types::object::node::NodeState;
use swarm_types::spec::service::{UpdateConfig, UpdateOrder};
use swarm_types::spec::task::RestartCondition;
use swarm_types::{NodeId, Object, Service, ServiceId, Task, TaskId, TaskState, Timestamp};

use crate::room;

/// How long a task may take to end before another may start in its place.
const PATIENCE: Duration = Duration::from_secs(60);

/// The rules, and what they have to remember of the history.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// Tasks by which an update exchanged one that ran.
    exchanged: BTreeMap<ServiceId, BTreeSet<TaskId>>,
}

/// One entry: the state before and after it, what it changed, and the time.
pub(crate) struct Step<'a> {
    pub(crate) before: &'a Snapshot,
    pub(crate) after: &'a Snapshot,
    pub(crate) batch: &'a Batch,
    pub(crate) now: Timestamp,
}

impl Rules {
    /// Checks one entry.
    ///
    /// # Panics
    ///
    /// When a rule is broken; that is what the simulator is for.
    pub(crate) fn check(&mut self, step: &Step<'_>) {
        let (mut nodes, mut services) = (BTreeSet::new(), BTreeSet::new());
        for event in &step.batch.events {
            let task = match event {
                Event::Created(Object::Task(task)) => {
                    self.note_exchange(step, task);
                    restarts_as_often_as_it_may(step.after, task);
                    rests_before_a_restart(step.before, task);
                    task
                }
                Event::Updated { old: Object::Task(old), new: Object::Task(new) } => {
                    grows(old, new);
                    new
                }
                _ => continue,
            };
            fits_where_it_is_put(step, task);
            nodes.extend(task.node);
            services.extend(task.service());
            one_wanted(step.after, task);
            waits_for_its_turn(step, task);
        }
        nodes.iter().for_each(|node| nothing_given_twice(step.after, *node));
        services.iter().for_each(|service| self.parallelism_kept(step.after, *service));
    }

    fn note_exchange(&mut self, step: &Step<'_>, task: &Task) {
        let replaced = task.replaces.and_then(|id| step.before.task(&id));
        let runs = replaced.is_some_and(|old| {
            let other_spec = old.spec_version() != task.spec_version();
            let keeps = old.node.is_some_and(|node| room::keeps(step.before, node));
            other_spec && old.may_run() && old.wanted() && keeps
        });
        if let Some(service) = task.service().filter(|_| runs) {
            self.exchanged.entry(service).or_default().insert(task.id);
        }
    }

    /// No more tasks are on their way at once than the update allows.
    fn parallelism_kept(&mut self, view: &Snapshot, id: ServiceId) {
        let (Some(service), Some(exchanged)) = (view.service(&id), self.exchanged.get_mut(&id))
        else {
            return;
        };
        exchanged.retain(|task| view.task(task).is_some_and(|task| flies(task)));
        let spec = &service.spec;
        let limits = [&spec.update, &spec.rollback].map(|it| it.as_ref().map_or(1, parallelism));
        let most = limits.into_iter().max().unwrap_or(u64::MAX);
        // What a node that is gone for the moment had on its way comes back with it.
        let of_spec = |task: &TaskId| {
            view.task(task).is_some_and(|it| it.spec_version() == service.meta.spec_version)
        };
        let flying: Vec<_> = exchanged.iter().filter(|task| of_spec(task)).collect();
        let found = flying.len() as u64;
        let tasks = || flying.iter().filter_map(|task| view.task(task)).collect::<Vec<_>>();
        assert!(found <= most, "at most {most} may be exchanged at once: {:#?}", tasks());
    }
}

fn parallelism(config: &UpdateConfig) -> u64 {
    if config.parallelism == 0 { u64::MAX } else { config.parallelism }
}

fn flies(task: &Task) -> bool {
    task.wanted() && task.ran_at == Timestamp::default() && !task.status.state.is_terminal()
}

/// A task that is assigned now may be where it is.
fn fits_where_it_is_put(step: &Step<'_>, task: &Task) {
    let assigned = |view: &Snapshot| {
        view.task(&task.id).is_some_and(|it| it.status.state >= TaskState::Assigned)
    };
    let Some(node) = task.node.and_then(|node| step.after.node(&node)) else { return };
    if !assigned(step.before) && task.status.state == TaskState::Assigned {
        assert!(room::takes(step.after, node, task), "{task:?} does not fit on {node:?}");
    }
}

/// Tasks of one spec follow each other in a place as often as the spec allows.
fn restarts_as_often_as_it_may(view: &Snapshot, task: &Task) {
    let policy = &task.spec().restart;
    let alike = same_place(view, task).filter(|it| it.spec_version() == task.spec_version());
    let restarts = alike.count().saturating_sub(1) as u64;
    let most = match policy.condition {
        RestartCondition::None => 0,
        _ if policy.max_attempts == 0 || !policy.window.is_zero() => u64::MAX,
        _ => policy.max_attempts,
    };
    assert!(restarts <= most, "{task:?} is restart {restarts} of {most}");
}

/// What takes over from a task that ended by itself is held back for a while.
fn rests_before_a_restart(before: &Snapshot, task: &Task) {
    use TaskState::{Complete, Failed, Rejected};
    let Some(old) = task.replaces.and_then(|id| before.task(&id)) else { return };
    let by_itself = old.wanted() && matches!(old.status.state, Complete | Failed | Rejected);
    let alike = old.spec_version() == task.spec_version();
    if by_itself && alike && old.node.is_some_and(|node| room::keeps(before, node)) {
        assert_eq!(task.desired, TaskState::Ready, "{task:?} follows {old:?} at once");
    }
}

/// What is wanted and observed of a task only grows.
fn grows(old: &Task, new: &Task) {
    assert!(old.desired <= new.desired, "{old:?} to {new:?}");
    assert!(old.status.state <= new.status.state, "{old:?} to {new:?}");
}

/// Tasks of the place of a task: of its slot, or of its node for global services.
fn same_place<'a>(view: &'a Snapshot, task: &'a Task) -> impl Iterator<Item = &'a Arc<Task>> {
    let service = task.service();
    let tasks = service.into_iter().flat_map(move |service| {
        let tasks: Vec<&Arc<Task>> = view.tasks_in_slot(&service, task.slot).collect();
        tasks
    });
    tasks.filter(|it| !task.template.global || it.node == task.node)
}

/// True when tasks of the service may run beside those they take over from.
fn starts_first(view: &Snapshot, service: Option<ServiceId>) -> bool {
    let starts = |service: &Arc<Service>| {
        let configs = [&service.spec.update, &service.spec.rollback];
        let order = |config: &Option<UpdateConfig>| config.as_ref().map(|config| config.order);
        configs.into_iter().any(|config| order(config) == Some(UpdateOrder::StartFirst))
    };
    service.and_then(|service| view.service(&service)).is_none_or(starts)
}

/// One task is wanted per place, and beside it at most one that a start-first update exchanges.
fn one_wanted(view: &Snapshot, task: &Task) {
    let wanted: Vec<_> = same_place(view, task).filter(|it| it.wanted()).collect();
    let most = 1 + usize::from(starts_first(view, task.service()));
    assert!(wanted.len() <= most, "these are wanted in one place: {wanted:?}");
}

/// No task was let start while one before it in the place may run on a node that is not down,
/// unless that one was waited for long enough.
fn waits_for_its_turn(step: &Step<'_>, task: &Task) {
    let starts =
        |view: &Snapshot| view.task(&task.id).is_some_and(|it| it.desired == TaskState::Running);
    if !starts(step.after) || starts(step.before) {
        return;
    }
    let earlier = same_place(step.after, task).take_while(|it| it.id != task.id);
    for other in earlier.filter(|it| it.may_run()) {
        if other.wanted() {
            assert!(starts_first(step.after, task.service()), "{task:?} runs beside {other:?}");
            continue;
        }
        let node = other.node.and_then(|node| step.after.node(&node));
        let lost = node.is_none_or(|node| node.status.state == NodeState::Down);
        let waited = step.now.since(task.meta.created_at) >= PATIENCE;
        assert!(lost || waited, "{task:?} does not wait for {other:?}");
    }
}

/// No port, no byte, no CPU and no unit of a node is given twice.
fn nothing_given_twice(view: &Snapshot, id: NodeId) {
    let Some(node) = view.node(&id) else { return };
    let (mut ports, mut bytes, mut cpus) = (BTreeSet::new(), 0, 0);
    let (mut units, mut given) = (BTreeSet::new(), 0);
    for task in view.tasks_on_node(&id).filter(|task| task.may_run()) {
        for port in &task.template.endpoint.ports {
            let is_new = ports.insert((port.protocol, port.published));
            assert!(is_new, "port {} of {id} is given twice", port.published);
        }
        let reserved = &task.spec().resources.reservations;
        bytes += reserved.memory_bytes;
        cpus += reserved.nano_cpus;
        given += task.generic.len();
        units.extend(&task.generic);
    }
    assert!(bytes <= node.description.memory_bytes, "{bytes} bytes of {id} are reserved");
    assert!(cpus <= node.description.nano_cpus, "{cpus} nano-CPUs of {id} are reserved");
    assert_eq!(units.len(), given, "a unit of {id} is given twice");
    assert!(units.iter().all(|unit| node.description.generic.contains(unit)));
}

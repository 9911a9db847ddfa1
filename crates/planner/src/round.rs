//! One round of planning: every stage once, in a fixed order, over what is marked.

use std::sync::Arc;

use swarm_state::Snapshot;
use swarm_types::{IdSource, NodeId, ServiceId, Task, TaskId, Timestamp};

use crate::dirty::Work;
use crate::draft::Draft;
use crate::orchestrate::Filled;
use crate::{Dirty, Plan, Scope, allocate, enforce, orchestrate, reap, schedule};

/// Plans a part of the cluster from nothing but a snapshot.
///
/// The costs grow with the whole cluster as soon as a task has to be placed; a driver that
/// follows the events calls [`round`] instead.
#[must_use]
pub fn plan(view: &Snapshot, scope: Scope, ids: &mut IdSource, now: Timestamp) -> Plan {
    let mut dirty = Dirty::default();
    dirty.mark(scope);
    round(view, &mut dirty, ids, now)
}

/// Plans what is marked, and takes the marks away.
///
/// `view` must hold every batch that `dirty` has noted; `now` is the leader's wall clock and is
/// what delays are counted from. The caller proposes the groups, notes the batches that come of
/// it, marks refused groups by [`Dirty::retry`], and calls again until the plan is empty.
#[must_use]
pub fn round(view: &Snapshot, dirty: &mut Dirty, ids: &mut IdSource, now: Timestamp) -> Plan {
    let mut work = dirty.take(view, now);
    let mut draft = Draft::new(view, ids, now);
    let mut rest = Work::default();
    let evicting = evict(&mut draft, &mut work);
    let places = complete(view, &mut work);
    for task in &work.loose {
        if !draft.fits(|draft| plan_loose(draft, *task)) {
            rest.loose.insert(*task);
        }
    }
    for service in &work.services {
        if !draft.fits(|draft| plan_service(draft, *service)) {
            match draft.take_fill(*service) {
                Some(fill) => _ = rest.fills.insert(*service, fill),
                None => _ = rest.services.insert(*service),
            }
        }
    }
    for (service, node) in places {
        if !draft.fits(|draft| plan_place(draft, service, node)) {
            rest.places.insert((service, node));
        }
    }
    go_on_filling(&mut draft, &work, &mut rest);
    // What a node has no room for is known in the round only.
    let cut = |services: &[ServiceId]| services.iter().any(|it| rest.services.contains(it));
    let nodes = evicting.into_iter().filter(|(_, services)| cut(services)).map(|(node, _)| node);
    rest.nodes = nodes.collect();
    if work.room {
        view.unassigned().for_each(|task| schedule::enqueue(&mut draft, task));
    }
    let waiting = draft.take_waiting();
    if !waiting.is_empty() {
        let (books, counted) = dirty.books(view);
        draft.examined += counted + waiting.len();
        schedule::place(&mut draft, books, waiting);
    }
    rest.loose.extend(draft.take_left());
    let (mut plan, wakes) = draft.finish();
    dirty.keep(rest, wakes);
    plan.wake_at = plan.wake_at.into_iter().chain(dirty.wake_at()).min();
    plan
}

/// Looks for what nodes have no room for any more; says which services that concerns.
fn evict(draft: &mut Draft<'_>, work: &mut Work) -> Vec<(NodeId, Vec<ServiceId>)> {
    let nodes = std::mem::take(&mut work.nodes).into_iter();
    let evicting: Vec<_> = nodes.map(|node| (node, enforce::node(draft, node))).collect();
    work.services.extend(evicting.iter().flat_map(|(_, services)| services));
    evicting
}

/// Puts each mark where it is planned: services that are gone by their tasks, places by their
/// services when they depend on more. The places that are planned alone.
fn complete(view: &Snapshot, work: &mut Work) -> Vec<(ServiceId, NodeId)> {
    let part = |place: &(ServiceId, NodeId)| is_part_of_more(view, *place);
    let places = std::mem::take(&mut work.places);
    let (whole, mut places): (Vec<_>, Vec<_>) = places.into_iter().partition(part);
    work.services.extend(whole.into_iter().map(|(service, _)| service));
    places.retain(|(service, _)| !work.services.contains(service));
    work.services.retain(|service| {
        let is_there = view.service(service).is_some();
        if !is_there {
            work.loose.extend(view.tasks_of_service(service).map(|task| task.id));
        }
        is_there
    });
    places
}

/// Fills further slots of the services that nothing else was marked of.
fn go_on_filling(draft: &mut Draft<'_>, work: &Work, rest: &mut Work) {
    for (service, fill) in &work.fills {
        if work.services.contains(service) {
            continue;
        }
        let filled = match draft.is_full() {
            true => Filled::Part(*fill),
            false => orchestrate::resume(draft, *service, *fill),
        };
        match filled {
            Filled::Whole => {}
            Filled::Part(fill) => _ = rest.fills.insert(*service, fill),
            Filled::Changed => _ = rest.services.insert(*service),
        }
    }
}

fn plan_service(draft: &mut Draft<'_>, service: ServiceId) {
    let tasks = draft.view.tasks_of_service(&service).cloned().collect();
    plan_tasks(draft, service, None, tasks);
}

/// Plans a global service on one node.
fn plan_place(draft: &mut Draft<'_>, service: ServiceId, node: NodeId) {
    let tasks = draft.view.tasks_of_service_on_node(&service, &node).cloned().collect();
    plan_tasks(draft, service, Some(node), tasks);
}

/// True when what happens to the place depends on the service's other ones: an update is under
/// way or may have to begin, or the service is gone.
fn is_part_of_more(view: &Snapshot, (id, node): (ServiceId, NodeId)) -> bool {
    let Some(service) = view.service(&id) else { return true };
    let mut tasks = view.tasks_of_service_on_node(&id, &node).peekable();
    let mut other_spec = false;
    while let Some(task) = tasks.next() {
        let counts = task.wanted() || tasks.peek().is_none();
        other_spec |= counts && task.spec_version() != service.meta.spec_version;
    }
    other_spec || orchestrate::is_updating(service)
}

fn plan_tasks(
    draft: &mut Draft<'_>,
    service: ServiceId,
    only: Option<NodeId>,
    mut tasks: Vec<Arc<Task>>,
) {
    draft.examined += 1 + tasks.len();
    reap::service(draft, &mut tasks);
    allocate::service(draft, &tasks);
    orchestrate::service(draft, service, only, &tasks);
    for task in &tasks {
        schedule::enqueue(draft, task);
    }
}

/// Plans a task whose service is gone, or that never had one.
fn plan_loose(draft: &mut Draft<'_>, task: TaskId) {
    let Some(task) = draft.view.task(&task) else { return };
    draft.examined += 1;
    reap::loose(draft, task);
    if let Some(service) = task.service() {
        return orchestrate::left_over(draft, service, task);
    }
    allocate::task(draft, task);
    schedule::enqueue(draft, task);
}

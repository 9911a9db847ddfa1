//! Global services: one task on every node that is up, takes tasks and suits the service.
//!
//! A node that is paused keeps what it has and gets nothing new, not even in place of what ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use swarm_types::object::node::NodeState;
use swarm_types::spec::node::Availability;
use swarm_types::{Node, NodeId, Task};

use super::place::{Place, nodes};
use super::wish::Wish;
use super::{Served, remove, serve, stop, tend, update};
use crate::Reason;
use crate::draft::{Draft, decided_service};
use crate::schedule::filter;

/// What a node is to a service.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It has a task.
    Serves,
    /// It keeps its task.
    Paused,
    /// It does not suit the service.
    Unfit,
    /// It is down, or gives up what it has.
    Out,
    /// It is no part of the cluster.
    Gone,
}

/// Plans one global service, on one node or on all.
pub(super) fn service(
    draft: &mut Draft<'_>,
    wish: &Wish<'_>,
    only: Option<NodeId>,
    tasks: &[Arc<Task>],
) {
    let mut places = nodes(tasks);
    let view = draft.view;
    match only {
        Some(node) => _ = places.entry(node).or_insert_with(|| Place::on(node)),
        None => view.nodes().for_each(|node| {
            places.entry(node.id).or_insert_with(|| Place::on(node.id));
        }),
    }
    draft.examined += places.len();
    let mut by_standing: BTreeMap<u8, Vec<Place<'_>>> = BTreeMap::new();
    for (node, place) in places {
        let standing = standing(wish, view.node(&node).map(|it| &**it));
        by_standing.entry(standing as u8).or_default().push(place);
    }
    let mut take = |standing: Standing| by_standing.remove(&(standing as u8)).unwrap_or_default();

    let now = draft.now;
    let (stay, fill): (Vec<_>, Vec<_>) =
        take(Standing::Serves).into_iter().partition(|place| place.is_held(now));
    let [paused, unfit, out] = [Standing::Paused, Standing::Unfit, Standing::Out].map(&mut take);
    let apart = paused.iter().chain(&unfit).chain(&out);
    let rollout = update::look(draft, wish, &stay, apart);
    if serve(draft, wish, rollout, (&stay, &fill)) == Served::Advanced {
        return;
    }
    paused.iter().for_each(|place| tend::keep(draft, wish, place));
    unfit.iter().for_each(|place| clear(draft, place, Reason::NodeUnfit));
    out.iter().for_each(|place| clear(draft, place, Reason::NodeInvalid));
    for task in take(Standing::Gone).iter().flat_map(|place| &place.tasks) {
        remove(draft, task, Reason::NodeInvalid, decided_service(wish.service).into());
    }
}

fn standing(wish: &Wish<'_>, node: Option<&Node>) -> Standing {
    let Some(node) = node else { return Standing::Gone };
    let platforms = &wish.service.spec.task.placement.platforms;
    let suits =
        wish.constraints.met_by(node) && filter::platform(platforms, &node.description.platform);
    match node.spec.availability {
        _ if node.status.state == NodeState::Down => Standing::Out,
        Availability::Drain => Standing::Out,
        _ if !suits => Standing::Unfit,
        Availability::Pause => Standing::Paused,
        Availability::Active => Standing::Serves,
    }
}

/// Wants everything on a node ended.
fn clear(draft: &mut Draft<'_>, place: &Place<'_>, reason: Reason) {
    for task in place.wanted() {
        let node = task.node.map(|node| draft.unchanged(node));
        stop(draft, task, reason, node.into_iter().collect());
    }
}

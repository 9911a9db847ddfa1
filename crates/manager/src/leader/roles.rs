//! Makes the members of raft those nodes that are to be managers.
//!
//! What is to be is in the specs. A node becomes a manager by its role, and asks for its
//! membership itself; it loses the membership first and the role after that: the other way
//! round, a manager that is still counted could not be spoken to any more. Each step is decided
//! on what is there, so a leader that is lost between two of them leaves the rest to the next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use swarm_raft::{Lane, Leadership, Members, Watch, WatchError};
use swarm_state::Snapshot;
use swarm_types::spec::node::{NodeRole, NodeSpec};
use swarm_types::{Change, Cluster, Expect, Expected, Group, IdSource, Node, NodeId, ObjectId};
use tokio::time::sleep;

use crate::Core;

/// How long a step may take; a leader that expels itself has to hand over in it.
const STEP_DEADLINE: Duration = Duration::from_secs(10);
/// Pause after a step that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The node gets the role, if its spec is of that version still.
    SetRole(NodeId, NodeRole, u64),
    /// Raft loses the node's member.
    Expel(NodeId),
}

/// What brings roles and members to what the specs say; nothing when they are there.
pub(crate) fn steps<'a>(nodes: impl Iterator<Item = &'a Node>, members: &Members) -> Vec<Step> {
    let holders: BTreeSet<NodeId> = members.values().map(|member| member.node).collect();
    let (mut steps, mut stay) = (Vec::new(), BTreeSet::new());
    for node in nodes {
        let set = |role| Step::SetRole(node.id, role, node.meta.spec_version);
        match (node.spec.role, node.role) {
            (NodeRole::Manager, NodeRole::Manager) => drop(stay.insert(node.id)),
            (NodeRole::Manager, NodeRole::Worker) => steps.push(set(NodeRole::Manager)),
            (NodeRole::Worker, NodeRole::Manager) if !holders.contains(&node.id) => {
                steps.push(set(NodeRole::Worker));
            }
            (NodeRole::Worker, _) => {}
        }
    }
    steps.extend(holders.difference(&stay).copied().map(Step::Expel));
    steps
}

/// Keeps roles whenever this manager leads, until it stops.
pub(crate) async fn run(core: Arc<Core>) {
    let mut leadership = core.raft.leadership();
    loop {
        let led = *leadership.borrow_and_update();
        tokio::select! {
            // The store has stopped.
            () = lead(&core, led), if matches!(led, Leadership::Leader { .. }) => return,
            changed = leadership.changed() => if changed.is_err() { return },
            () = core.stopping.cancelled() => return,
        }
    }
}

/// What has to be written before anything else when the cluster was forced anew: its epoch, and
/// that whoever is no member is no manager any more. They come back by joining.
pub(crate) fn forced(snapshot: &Snapshot, epoch: u64, members: &Members) -> Option<Group> {
    let cluster = snapshot.cluster().filter(|cluster| cluster.epoch < epoch)?;
    let holders: BTreeSet<NodeId> = members.values().map(|member| member.node).collect();
    let mut changes = vec![Change::SetCluster(Box::new(Cluster { epoch, ..(**cluster).clone() }))];
    for node in snapshot.nodes().filter(|node| !holders.contains(&node.id)) {
        if node.spec.role == NodeRole::Manager {
            let spec = NodeSpec { role: NodeRole::Worker, ..node.spec.clone() };
            changes.push(Change::UpdateNode(node.id, spec));
        }
        if node.role == NodeRole::Manager {
            changes.push(Change::SetNodeRole(node.id, NodeRole::Worker));
        }
    }
    let what = Expected::Version(cluster.meta.version);
    let expect = vec![Expect { object: ObjectId::Cluster(cluster.id), what }];
    Some(Group { request: IdSource::system().draw(), expect, changes })
}

async fn lead(core: &Arc<Core>, led: Leadership) {
    let mut members = core.raft.members();
    loop {
        // It wakes; what is decided on is what the store says, which knows first.
        members.mark_unchanged();
        let (snapshot, mut watch) = core.raft.watch();
        let info = core.raft.info();
        if let Some(first) = forced(&snapshot, info.epoch, &info.members) {
            let deadline = Instant::now() + STEP_DEADLINE;
            if let Err(error) = core.raft.propose_as(led, Lane::Control, first, deadline).await {
                tracing::warn!(%error, "the cluster's epoch is not written yet");
                sleep(PAUSE).await;
            }
            continue;
        }
        let planned = next(&snapshot, &info.members);
        if planned.is_empty() {
            let woken = tokio::select! {
                woken = node_changed(&mut watch) => woken,
                changed = members.changed() => if changed.is_err() { return } else { Ok(()) },
            };
            match woken {
                Ok(()) | Err(WatchError::Lagged) => continue,
                Err(WatchError::Stopped(_)) => return,
            }
        }
        let mut done = true;
        for step in planned {
            // Each step takes a while: what was asked for may be another thing by now.
            if next(&core.raft.snapshot(), &core.raft.info().members).contains(&step) {
                done &= take(core, led, step).await;
            }
        }
        if !done {
            sleep(PAUSE).await;
        }
    }
}

fn next(snapshot: &Snapshot, members: &Members) -> Vec<Step> {
    // Before there is a cluster nothing says who is to be a manager.
    if snapshot.cluster().is_none() {
        return Vec::new();
    }
    steps(snapshot.nodes().map(AsRef::as_ref), members)
}

/// Waits until anything about a node is written.
async fn node_changed(watch: &mut Watch) -> Result<(), WatchError> {
    loop {
        let batch = watch.next().await?;
        let about_node = |event: &swarm_state::Event| matches!(event.object(), ObjectId::Node(_));
        if batch.events.iter().any(about_node) {
            return Ok(());
        }
    }
}

/// Takes a step; false when it has to be tried again.
async fn take(core: &Arc<Core>, led: Leadership, step: Step) -> bool {
    let deadline = Instant::now() + STEP_DEADLINE;
    let (call, node, outcome) = match step {
        Step::SetRole(node, role, spec_version) => {
            let group = role_group(node, role, spec_version);
            let set = core.raft.propose_as(led, Lane::Control, group, deadline).await;
            let call = match role {
                NodeRole::Manager => "Promote",
                NodeRole::Worker => "Demote",
            };
            (call, node, set.map(drop).map_err(|error| error.to_string()))
        }
        Step::Expel(node) => {
            // Who expels itself loses the lead on the way, and this wait with it.
            let expelled = core.tracker.spawn(expel(core.clone(), node, deadline));
            let outcome = expelled.await.unwrap_or_else(|error| Err(error.to_string()));
            ("Expel", node, outcome)
        }
    };
    let done = outcome.is_ok();
    let outcome = outcome.map_or_else(|error| error, |()| "done".to_owned());
    tracing::info!(target: "swarm::audit", call, caller = "leader", object = %node, outcome, "change");
    done
}

async fn expel(core: Arc<Core>, node: NodeId, deadline: Instant) -> Result<(), String> {
    tokio::select! {
        removed = core.raft.remove(node, deadline) => removed.map_err(|error| error.to_string()),
        () = core.stopping.cancelled() => Err("this manager is stopping".to_owned()),
    }
}

fn role_group(node: NodeId, role: NodeRole, spec_version: u64) -> Group {
    let what = Expected::SpecVersion(spec_version);
    Group {
        request: IdSource::system().draw(),
        expect: vec![Expect { object: ObjectId::Node(node), what }],
        changes: vec![Change::SetNodeRole(node, role)],
    }
}

/// Why a manager may not become a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Keep {
    /// Nobody would be left.
    #[error("attempting to demote the last manager of the swarm")]
    Last,
    /// Those left that answer would be too few.
    #[error(
        "can't remove member from the raft: this would result in a loss of quorum; bring the \
         other managers back first"
    )]
    Quorum,
}

/// Whether the node may become a worker, beside those that are to be none any more.
///
/// `voters` are the nodes of raft's voters, `reachable` those that answer.
pub(crate) fn may_demote(
    id: NodeId,
    voters: &BTreeSet<NodeId>,
    reachable: &BTreeSet<NodeId>,
    leaving: &BTreeSet<NodeId>,
) -> Result<(), Keep> {
    let left: BTreeSet<&NodeId> =
        voters.iter().filter(|voter| **voter != id && !leaving.contains(voter)).collect();
    if left.is_empty() {
        return Err(Keep::Last);
    }
    let answer = |some: &BTreeSet<&NodeId>| some.iter().filter(|it| reachable.contains(it)).count();
    let majority = |some: &BTreeSet<&NodeId>| answer(some) > some.len() / 2;
    // Whoever votes today has to agree to it first.
    let today: BTreeSet<&NodeId> = voters.iter().collect();
    let member = voters.contains(&id);
    if majority(&left) && (!member || majority(&today)) { Ok(()) } else { Err(Keep::Quorum) }
}

#[cfg(test)]
mod live;
#[cfg(test)]
mod tests;

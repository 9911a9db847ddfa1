//! What happens to objects, as users follow it: `swarm events`.
//!
//! A watch reads what the store publishes and keeps nothing of its own: the store's bounded
//! backlog is the only queue, and who falls further behind is told so and begins again. Events
//! carry ids, names and Docker's attributes, never a spec: no value of a secret can be in one.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use swarm_proto::{field, v1};
use swarm_raft::{Leadership, WatchError};
use swarm_state::{Batch, Event, Snapshot};
use swarm_types::object::service::UpdateState;
use swarm_types::spec::service::ServiceMode;
use swarm_types::{Node, NodeId, Object, Service, Task, Timestamp};
use tonic::Status;

use super::{Control, invalid};
use crate::Core;
use crate::access::{self, Caller};

/// What a caller is sent.
pub(super) type Events = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

/// Old and new value of what an update changed, under Docker's names, or facts of a task.
type Attributes = Vec<(&'static str, String)>;

impl Control {
    /// Everything that happens from now on to objects of the kinds that were asked for.
    pub(super) fn events(
        &self,
        caller: Caller,
        request: &v1::WatchRequest,
    ) -> Result<Events, Status> {
        let kinds = kinds(request)?;
        let (view, watch) = self.core.raft.watch();
        let first =
            v1::WatchResponse { applied_index: view.applied(), at_ns: view.at().0, events: vec![] };
        let leadership = self.core.raft.leadership();
        let leader = leader(*leadership.borrow(), self.core.node);
        let core = self.core.clone();
        let watcher = Watcher { core, caller, kinds, watch, leadership, leader };
        let rest = futures::stream::unfold(Some(watcher), |watcher| async {
            let mut watcher = watcher?;
            let next = watcher.next().await?;
            let goes_on = next.is_ok().then_some(watcher);
            Some((next, goes_on))
        });
        let first = futures::stream::iter([Ok(first)]);
        Ok(Box::pin(futures::StreamExt::chain(first, rest)))
    }
}

struct Watcher {
    core: Arc<Core>,
    caller: Caller,
    /// Empty for all.
    kinds: BTreeSet<i32>,
    watch: swarm_raft::Watch,
    leadership: tokio::sync::watch::Receiver<Leadership>,
    /// The last one that was known.
    leader: Option<NodeId>,
}

impl Watcher {
    /// The next entry of which anything is to be told; `None` when the manager stops.
    async fn next(&mut self) -> Option<Result<v1::WatchResponse, Status>> {
        loop {
            let batch = tokio::select! {
                () = self.core.stopping.cancelled() => return None,
                batch = self.watch.next() => batch.map(Some),
                Ok(()) = self.leadership.changed() => Ok(None),
            };
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => return Some(Err(ended(&error))),
            };
            if !access::remains(self.caller, &self.core.raft.snapshot()) {
                return Some(Err(Status::permission_denied(access::NO_MANAGER)));
            }
            let answer = match batch {
                Some(batch) => answer(&batch, &self.kinds),
                None => self.led(),
            };
            if !answer.events.is_empty() {
                return Some(Ok(answer));
            }
        }
    }
}

impl Watcher {
    /// Another node leads: an update of both, as Docker tells it. Who leads is not in the store.
    fn led(&mut self) -> v1::WatchResponse {
        let found = leader(*self.leadership.borrow_and_update(), self.core.node);
        let snapshot = self.core.raft.snapshot();
        let mut events = Vec::new();
        if let Some(new) = found.filter(|new| Some(*new) != self.leader) {
            let old = self.leader.replace(new);
            let told = |node, leads| leads_now(&snapshot, node, leads);
            events.extend(old.and_then(|old| told(old, false)));
            events.extend(told(new, true));
        }
        events.retain(|event| self.kinds.is_empty() || self.kinds.contains(&event.kind));
        let (applied_index, at_ns) = (snapshot.applied(), Timestamp::now().0);
        v1::WatchResponse { applied_index, at_ns, events }
    }
}

/// The node that leads, as `own` knows it.
const fn leader(leadership: Leadership, own: NodeId) -> Option<NodeId> {
    match leadership {
        Leadership::Leader { .. } => Some(own),
        Leadership::Follower { leader } => leader,
        Leadership::NoQuorum => None,
    }
}

/// `None` for a node that is gone.
fn leads_now(snapshot: &Snapshot, node: NodeId, leads: bool) -> Option<v1::ObjectEvent> {
    let name = node_name(snapshot.node(&node)?);
    let attributes = [("leader.old", !leads), ("leader.new", leads)];
    Some(v1::ObjectEvent {
        action: v1::object_event::Action::Update.into(),
        kind: v1::ObjectKind::Node.into(),
        id: field::put_id(node),
        name,
        attributes: attributes.map(|(key, value)| (key.to_owned(), value.to_string())).into(),
    })
}

fn kinds(request: &v1::WatchRequest) -> Result<BTreeSet<i32>, Status> {
    let known = |kind: &i32| {
        v1::ObjectKind::try_from(*kind).is_ok_and(|kind| kind != v1::ObjectKind::Unspecified)
    };
    match request.kinds.iter().find(|kind| !known(kind)) {
        Some(kind) => Err(invalid(format!("kinds: {kind} is no kind of object"))),
        None => Ok(request.kinds.iter().copied().collect()),
    }
}

fn ended(error: &WatchError) -> Status {
    match error {
        WatchError::Lagged => {
            Status::aborted("events were missed: read what there is, then watch again")
        }
        WatchError::Stopped(_) => Status::unavailable(error.to_string()),
    }
}

fn answer(batch: &Batch, kinds: &BTreeSet<i32>) -> v1::WatchResponse {
    let mut events: Vec<v1::ObjectEvent> = batch.events.iter().filter_map(told).collect();
    events.retain(|event| kinds.is_empty() || kinds.contains(&event.kind));
    v1::WatchResponse { applied_index: batch.index, at_ns: batch.at.0, events }
}

/// What is told of an event; `None` of objects users do not see.
fn told(event: &Event) -> Option<v1::ObjectEvent> {
    use v1::object_event::Action;
    let (action, object, attributes) = match event {
        Event::Created(object) => (Action::Create, object, facts(object)),
        Event::Removed(object) => (Action::Remove, object, facts(object)),
        Event::Updated { old, new } => {
            (Action::Update, new, [facts(new), differences(old, new)].concat())
        }
    };
    let (kind, id, name) = identity(object)?;
    let attributes = attributes.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Some(v1::ObjectEvent { action: action.into(), kind: kind.into(), id, name, attributes })
}

fn identity(object: &Object) -> Option<(v1::ObjectKind, Vec<u8>, String)> {
    use v1::ObjectKind as Kind;
    Some(match object {
        Object::Cluster(it) => (Kind::Cluster, field::put_id(it.id), "default".to_owned()),
        Object::Node(it) => (Kind::Node, field::put_id(it.id), node_name(it)),
        Object::Service(it) => {
            (Kind::Service, field::put_id(it.id), it.spec.annotations.name.clone())
        }
        Object::Task(it) => (Kind::Task, field::put_id(it.id), it.name()),
        Object::Network(it) => {
            (Kind::Network, field::put_id(it.id), it.spec.annotations.name.clone())
        }
        Object::Secret(it) if it.internal => return None,
        Object::Secret(it) => {
            (Kind::Secret, field::put_id(it.id), it.spec.annotations.name.clone())
        }
        Object::Config(it) => {
            (Kind::Config, field::put_id(it.id), it.spec.annotations.name.clone())
        }
        Object::Volume(it) => {
            (Kind::Volume, field::put_id(it.id), it.spec.annotations.name.clone())
        }
        Object::Extension(_) | Object::Resource(_) => return None,
    })
}

fn node_name(node: &Node) -> String {
    let given = &node.spec.annotations.name;
    if given.is_empty() { node.description.hostname.clone() } else { given.clone() }
}

/// What is told of an object in every event.
fn facts(object: &Object) -> Attributes {
    let Object::Task(task) = object else { return Vec::new() };
    task_facts(task)
}

fn task_facts(task: &Task) -> Attributes {
    let mut facts = vec![
        ("slot", task.slot.to_string()),
        ("state", task.status.state.as_str().to_owned()),
        ("desired", task.desired.as_str().to_owned()),
    ];
    facts.extend(task.service().map(|service| ("service", service.to_string())));
    facts.extend(task.node.map(|node| ("node", node.to_string())));
    let code = task.status.container.as_ref().and_then(|container| container.exit_code);
    facts.extend(code.map(|code| ("exitCode", code.to_string())));
    facts
}

fn differences(old: &Object, new: &Object) -> Attributes {
    match (old, new) {
        (Object::Service(old), Object::Service(new)) => service_differences(old, new),
        (Object::Node(old), Object::Node(new)) => node_differences(old, new),
        _ => Vec::new(),
    }
}

fn service_differences(old: &Service, new: &Service) -> Attributes {
    let image = |it: &Service| it.spec.task.container().map(|container| container.image.clone());
    let replicas = |it: &Service| match it.spec.mode {
        ServiceMode::Replicated { replicas } => Some(replicas.to_string()),
        _ => None,
    };
    let update = |it: &Service| it.update_status.as_ref().map(|it| update_word(it.state));
    [
        changed("image.old", image(old), "image.new", image(new)),
        changed("replicas.old", replicas(old), "replicas.new", replicas(new)),
        changed("updatestate.old", update(old), "updatestate.new", update(new)),
    ]
    .concat()
}

fn node_differences(old: &Node, new: &Node) -> Attributes {
    let availability = |it: &Node| Some(it.spec.availability.as_str().to_owned());
    let role = |it: &Node| Some(it.spec.role.as_str().to_owned());
    let state = |it: &Node| Some(it.status.state.as_str().to_owned());
    [
        changed("availability.old", availability(old), "availability.new", availability(new)),
        changed("role.old", role(old), "role.new", role(new)),
        changed("state.old", state(old), "state.new", state(new)),
    ]
    .concat()
}

/// Both values where they differ, without those that are not there.
fn changed(
    old_name: &'static str,
    old: Option<String>,
    new_name: &'static str,
    new: Option<String>,
) -> Attributes {
    if old == new {
        return Vec::new();
    }
    let old = old.map(|value| (old_name, value));
    old.into_iter().chain(new.map(|value| (new_name, value))).collect()
}

/// Docker's word for where an update stands.
fn update_word(state: UpdateState) -> String {
    match state {
        UpdateState::Updating => "updating",
        UpdateState::Paused => "paused",
        UpdateState::Completed => "completed",
        UpdateState::RollbackStarted => "rollback_started",
        UpdateState::RollbackPaused => "rollback_paused",
        UpdateState::RollbackCompleted => "rollback_completed",
    }
    .to_owned()
}

#[cfg(test)]
mod tests;

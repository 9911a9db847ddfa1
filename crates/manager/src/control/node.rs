//! Nodes: get, list, update, remove.

use std::time::Duration;

use swarm_proto::{field, v1};
use swarm_raft::ProposeError;
use swarm_state::Snapshot;
use swarm_types::object::node::NodeState;
use swarm_types::resolve::{Resolved, resolve};
use swarm_types::spec::node::{NodeRole, NodeSpec};
use swarm_types::{
    Change, Expect, Expected, IdSource, Node, NodeId, ObjectId, Refusal, RequestId, Timestamp,
    defaults,
};
use tonic::Status;

use super::{Control, invalid};
use crate::errors;
use crate::leader::roles;

/// How long a removed node is remembered beyond its certificate, for clocks that differ.
const FORGET_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often other managers may change under a demotion.
const TRIES: usize = 5;

impl Control {
    pub(super) async fn nodes(
        &self,
        request: v1::ListNodesRequest,
    ) -> Result<v1::ListNodesResponse, Status> {
        let view = self.view(request.stale).await?;
        // One that is being let in is no manager yet.
        let voters: Vec<_> =
            self.core.raft.info().voter_nodes().into_iter().map(field::put_id).collect();
        let reachable = self.core.reachable().into_iter().map(field::put_id);
        let managers = self.core.manager_addresses().into_iter();
        Ok(v1::ListNodesResponse {
            nodes: view.snapshot.nodes().map(|node| node.as_ref().into()).collect(),
            leader: self.leader(),
            applied_index: view.index(),
            age_ms: view.age_ms,
            reachable: reachable.filter(|node| voters.contains(node)).collect(),
            managers: managers.filter(|manager| voters.contains(&manager.node)).collect(),
        })
    }

    pub(super) async fn node(
        &self,
        request: v1::GetNodeRequest,
    ) -> Result<v1::GetNodeResponse, Status> {
        let id = node_id(&request.id)?;
        let view = self.view(request.stale).await?;
        let node = view.snapshot.node(&id).ok_or_else(|| not_found(id))?;
        Ok(v1::GetNodeResponse {
            node: Some(node.as_ref().into()),
            leader: self.leader(),
            applied_index: view.index(),
            age_ms: view.age_ms,
        })
    }

    pub(crate) async fn update_node(
        &self,
        request: RequestId,
        id: NodeId,
        update: v1::UpdateNodeRequest,
    ) -> Result<v1::UpdateNodeResponse, Status> {
        let spec: NodeSpec = field::part(update.spec, "spec").map_err(invalid)?;
        let spec = resolve(spec, &mut IdSource::system()).map_err(invalid)?;
        let what = Expected::SpecVersion(update.spec_version);
        let seen = Expect { object: ObjectId::Node(id), what };
        for _ in 0..TRIES {
            let snapshot = self.view(false).await?.snapshot;
            let mut expect = vec![seen];
            // A retry gets its first answer, whatever became of the node since.
            if snapshot.request(&request).is_none() {
                let stored = snapshot.node(&id).ok_or_else(|| not_found(id))?;
                served(&stored.spec, &spec)?;
                if stored.spec.role == NodeRole::Manager && spec.role == NodeRole::Worker {
                    expect.extend(self.demotable(&snapshot, id)?);
                }
            }
            let change = Change::UpdateNode(id, (*spec).clone());
            match self.propose(request, expect, vec![change]).await {
                // Another manager is to go meanwhile: whether this one still may, is to be seen.
                Err(ProposeError::Refused(Refusal::Stale { object, .. }))
                    if object != seen.object => {}
                done => {
                    done.map_err(|error| errors::not_proposed(&error))?;
                    return self.updated(id);
                }
            }
        }
        Err(Status::aborted("other managers are being changed all the time: try again"))
    }

    fn updated(&self, id: NodeId) -> Result<v1::UpdateNodeResponse, Status> {
        let snapshot = self.core.raft.snapshot();
        let node = snapshot.node(&id).ok_or_else(|| {
            Status::aborted(format!("node {id} was changed, and removed right after that"))
        })?;
        Ok(v1::UpdateNodeResponse { node: Some(node.as_ref().into()) })
    }

    /// What a demotion rests on: that no other manager's spec changes before it is agreed on.
    fn demotable(&self, snapshot: &Snapshot, id: NodeId) -> Result<Vec<Expect>, Status> {
        let info = self.core.raft.info();
        let voters = info.voter_nodes().into_iter().collect();
        let is_to_be = |role| snapshot.nodes().filter(move |node| node.spec.role == role);
        let leaving = is_to_be(NodeRole::Worker).map(|node| node.id).collect();
        roles::may_demote(id, &voters, &self.core.reachable(), &leaving)
            .map_err(|why| Status::failed_precondition(why.to_string()))?;
        let others = is_to_be(NodeRole::Manager).filter(|node| node.id != id);
        let unchanged = others.map(|node| Expect {
            object: ObjectId::Node(node.id),
            what: Expected::SpecVersion(node.meta.spec_version),
        });
        Ok(unchanged.collect())
    }

    pub(super) async fn remove_node(
        &self,
        request: RequestId,
        id: NodeId,
        force: bool,
    ) -> Result<v1::RemoveNodeResponse, Status> {
        let snapshot = self.view(false).await?.snapshot;
        let mut expect = Vec::new();
        // A retry gets its first answer, whatever became of the node since.
        if snapshot.request(&request).is_none() {
            let node = snapshot.node(&id).ok_or_else(|| not_found(id))?;
            removable(node, force)?;
            if !force {
                // It may be heard again meanwhile.
                let what = Expected::Version(node.meta.version);
                expect.push(Expect { object: ObjectId::Node(id), what });
            }
        }
        let refuse_until = last_expiry(&snapshot, Timestamp::now());
        self.change(request, expect, Change::RemoveNode { node: id, refuse_until }).await?;
        Ok(v1::RemoveNodeResponse {})
    }

    fn leader(&self) -> Option<Vec<u8>> {
        self.core.leader().map(field::put_id)
    }
}

pub(super) fn node_id(bytes: &[u8]) -> Result<NodeId, Status> {
    field::id(bytes, "id").map_err(invalid)
}

fn not_found(id: NodeId) -> Status {
    Status::not_found(format!("node {id} not found"))
}

/// What apply refuses as well, or need not know, in words for users.
fn removable(node: &Node, force: bool) -> Result<(), Status> {
    let id = node.id;
    if node.role == NodeRole::Manager || node.spec.role == NodeRole::Manager {
        return Err(Status::failed_precondition(format!(
            "node {id} is a cluster manager and is a member of the raft cluster. It must be \
             demoted to worker before removal"
        )));
    }
    if !force && node.status.state == NodeState::Ready {
        return Err(Status::failed_precondition(format!(
            "node {id} is not down and can't be removed: run `swarm leave` on it first, or remove \
             it with --force"
        )));
    }
    Ok(())
}

/// When no certificate that was signed until now is valid any more, whatever their life was set
/// to before.
fn last_expiry(snapshot: &Snapshot, now: Timestamp) -> Timestamp {
    let life = snapshot.cluster().map(|cluster| cluster.spec.ca.node_cert_expiry);
    now.after(life.unwrap_or_default().max(defaults::NODE_CERT_EXPIRY) + FORGET_AFTER)
}

fn served(old: &NodeSpec, new: &Resolved<NodeSpec>) -> Result<(), Status> {
    let refused = |field: &str| Status::unimplemented(format!("not supported yet: {field}"));
    match &**new {
        new if new.membership != old.membership => Err(refused("Membership")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use swarm_types::spec::node::{Availability, Membership};
    use tonic::Code;

    use super::*;
    use crate::access::Access;
    use crate::testing::World;

    fn spec(edit: impl FnOnce(&mut NodeSpec)) -> NodeSpec {
        let mut spec = NodeSpec { role: NodeRole::Manager, ..NodeSpec::default() };
        edit(&mut spec);
        spec
    }

    fn update(world: &World, spec: &NodeSpec) -> v1::UpdateNodeRequest {
        let node = world.core.raft.snapshot().node(&world.node).unwrap().meta;
        v1::UpdateNodeRequest {
            request_id: Vec::new(),
            id: field::put_id(world.node),
            spec_version: node.spec_version,
            spec: Some(spec.into()),
        }
    }

    #[tokio::test]
    async fn availability_and_labels_change_once_and_only_on_the_spec_that_was_seen() {
        let mut world = World::new().await;
        let control = Control::new(world.core.clone(), Access::Local);
        let drained = spec(|it| {
            it.availability = Availability::Drain;
            it.annotations.labels.insert("rack".to_owned(), "r1".to_owned());
        });
        let (request, seen) = (world.request(), update(&world, &drained));

        let first = control.update_node(request, world.node, seen.clone()).await.unwrap();
        let again = control.update_node(request, world.node, seen.clone()).await.unwrap();
        let late = control.update_node(world.request(), world.node, seen).await.unwrap_err();

        assert_eq!(first, again);
        assert_eq!(world.core.raft.snapshot().node(&world.node).unwrap().spec, drained);
        assert_eq!(late.code(), Code::FailedPrecondition);
        assert!(late.message().contains("out of sequence"), "{late}");
    }

    #[tokio::test]
    async fn what_may_not_change_is_refused_by_name() {
        let last = "attempting to demote the last manager";
        let mut world = World::new().await;
        let control = Control::new(world.core.clone(), Access::Local);
        let label = |key: &str| {
            let key = key.to_owned();
            spec(move |it| drop(it.annotations.labels.insert(key, String::new())))
        };
        for (spec, code, word) in [
            (spec(|it| it.role = NodeRole::Worker), Code::FailedPrecondition, last),
            (spec(|it| it.membership = Membership::Pending), Code::Unimplemented, "Membership"),
            (spec(|it| "a b".clone_into(&mut it.annotations.name)), Code::InvalidArgument, "Name"),
            (label(" a"), Code::InvalidArgument, "Labels"),
        ] {
            let request = (world.request(), update(&world, &spec));
            let refused = control.update_node(request.0, world.node, request.1).await.unwrap_err();
            assert_eq!(refused.code(), code, "{refused}");
            assert!(refused.message().contains(word), "{refused}");
        }
        let (request, stranger) = (world.request(), world.ids.draw());
        let refused = control.update_node(request, stranger, update(&world, &spec(|_| {}))).await;
        assert_eq!(refused.unwrap_err().code(), Code::NotFound);
        let refused = control.update_node(request, world.node, Default::default()).await;
        assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    }

    #[tokio::test]
    async fn only_a_worker_that_is_down_is_removed_without_force() {
        let mut world = World::new().await;
        let control = Control::new(world.core.clone(), Access::Local);
        let mut worker = crate::testing::manager(world.ids.draw());
        (worker.role, worker.spec.role) = (NodeRole::Worker, NodeRole::Worker);
        worker.status.state = NodeState::Ready;
        let (id, own) = (worker.id, world.node);
        world.change(Change::CreateNode(Box::new(worker))).await;

        for (node, force, word) in [
            (own, false, "is a cluster manager"),
            (own, true, "is a cluster manager"),
            (id, false, "is not down and can't be removed"),
        ] {
            let request = world.request();
            let refused = control.remove_node(request, node, force).await.unwrap_err();
            assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
            assert!(refused.message().contains(word), "{refused}");
        }
        let request = world.request();
        control.remove_node(request, id, true).await.unwrap();
        control.remove_node(request, id, true).await.unwrap();
        let gone = control.remove_node(world.request(), id, true).await.unwrap_err();

        let snapshot = world.core.raft.snapshot();
        let removed = &snapshot.cluster().unwrap().removed_nodes;
        assert_eq!(gone.code(), Code::NotFound);
        assert!(snapshot.node(&id).is_none());
        assert!(removed.iter().any(|it| it.node == id && it.until > Timestamp::now()));
    }
}

//! Nodes: get, list, update.

use swarm_proto::{field, v1};
use swarm_types::resolve::{Resolved, resolve};
use swarm_types::spec::node::NodeSpec;
use swarm_types::{Change, Expect, Expected, IdSource, NodeId, ObjectId, RequestId};
use tonic::Status;

use super::{Control, invalid};

impl Control {
    pub(super) async fn nodes(
        &self,
        request: v1::ListNodesRequest,
    ) -> Result<v1::ListNodesResponse, Status> {
        let view = self.view(request.stale).await?;
        Ok(v1::ListNodesResponse {
            nodes: view.snapshot.nodes().map(|node| node.as_ref().into()).collect(),
            leader: self.leader(),
            applied_index: view.index(),
            age_ms: view.age_ms,
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

    pub(super) async fn update_node(
        &self,
        request: RequestId,
        id: NodeId,
        update: v1::UpdateNodeRequest,
    ) -> Result<v1::UpdateNodeResponse, Status> {
        let spec: NodeSpec = field::part(update.spec, "spec").map_err(invalid)?;
        let spec = resolve(spec, &mut IdSource::system()).map_err(invalid)?;
        let snapshot = self.core.raft.snapshot();
        // A retry gets its first answer, whatever became of the node since.
        if snapshot.request(&request).is_none() {
            let stored = snapshot.node(&id).ok_or_else(|| not_found(id))?;
            served(&stored.spec, &spec)?;
        }

        let what = Expected::SpecVersion(update.spec_version);
        let expect = vec![Expect { object: ObjectId::Node(id), what }];
        self.change(request, expect, Change::UpdateNode(id, spec.into_inner())).await?;

        let snapshot = self.core.raft.snapshot();
        let node = snapshot.node(&id).ok_or_else(|| {
            Status::aborted(format!("node {id} was changed, and removed right after that"))
        })?;
        Ok(v1::UpdateNodeResponse { node: Some(node.as_ref().into()) })
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

/// A role is more than a word in a spec: until nodes change theirs, no spec may ask for it.
fn served(old: &NodeSpec, new: &Resolved<NodeSpec>) -> Result<(), Status> {
    let refused = |field: &str| Status::unimplemented(format!("not supported yet: {field}"));
    match &**new {
        new if new.role != old.role => Err(refused("Role (a node keeps the role it joined with)")),
        new if new.membership != old.membership => Err(refused("Membership")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use swarm_types::spec::node::{Availability, Membership, NodeRole};
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
        let mut world = World::new().await;
        let control = Control::new(world.core.clone(), Access::Local);
        let label = |key: &str| {
            let key = key.to_owned();
            spec(move |it| drop(it.annotations.labels.insert(key, String::new())))
        };
        for (spec, code, word) in [
            (spec(|it| it.role = NodeRole::Worker), Code::Unimplemented, "Role"),
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
}

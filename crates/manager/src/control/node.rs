//! Nodes: get, list.

use swarm_proto::{field, v1};
use swarm_types::NodeId;
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
        let id: NodeId = field::id(&request.id, "id").map_err(invalid)?;
        let view = self.view(request.stale).await?;
        let node = view.snapshot.node(&id);
        let node = node.ok_or_else(|| Status::not_found(format!("node {id} not found")))?;
        Ok(v1::GetNodeResponse {
            node: Some(node.as_ref().into()),
            leader: self.leader(),
            applied_index: view.index(),
            age_ms: view.age_ms,
        })
    }

    fn leader(&self) -> Option<Vec<u8>> {
        self.core.leader().map(field::put_id)
    }
}

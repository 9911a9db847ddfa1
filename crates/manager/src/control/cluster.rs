//! The cluster: get, without its keys and tokens.

use swarm_proto::v1;
use tonic::Status;

use super::Control;

impl Control {
    pub(super) async fn cluster(
        &self,
        request: v1::GetClusterRequest,
    ) -> Result<v1::GetClusterResponse, Status> {
        let view = self.view(request.stale).await?;
        let cluster = view.snapshot.cluster();
        let cluster = cluster.ok_or_else(|| Status::not_found("there is no cluster yet"))?;
        Ok(v1::GetClusterResponse {
            cluster: Some(cluster.as_ref().into()),
            applied_index: view.index(),
            age_ms: view.age_ms,
        })
    }
}

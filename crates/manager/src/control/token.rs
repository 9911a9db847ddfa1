//! Join tokens: show and rotate. The only part of the control API that gives secrets away.

use std::fmt;

use swarm_crypto::ca::JoinToken;
use swarm_proto::{field, v1};
use swarm_state::Snapshot;
use swarm_types::object::cluster::RootCa;
use swarm_types::spec::node::NodeRole;
use swarm_types::{Change, Expect, Expected, ObjectId, RequestId};
use tonic::Status;

use super::cluster::cluster;
use super::{Control, invalid};

impl Control {
    pub(crate) async fn join_token(&self, role: i32) -> Result<v1::JoinTokenResponse, Status> {
        let Role(role) = self::role(role)?;
        let view = self.view(false).await?;
        self.shown(&view.snapshot, role)
    }

    pub(crate) async fn rotate_join_token(
        &self,
        request: RequestId,
        role: i32,
    ) -> Result<v1::JoinTokenResponse, Status> {
        let Role(role) = self::role(role)?;
        let snapshot = self.view(false).await?.snapshot;
        // A retry gets its first answer.
        if snapshot.request(&request).is_none() {
            let cluster = cluster(&snapshot)?;
            let token = JoinToken::generate(&cluster.root_ca.digest)
                .map_err(|_| Status::internal("the cluster's root has no digest"))?;
            let mut next = cluster.clone();
            *match role {
                NodeRole::Worker => &mut next.root_ca.worker_token,
                NodeRole::Manager => &mut next.root_ca.manager_token,
            } = token.text();
            let what = Expected::Decided(cluster.meta.decided_version);
            let expect = vec![Expect { object: ObjectId::Cluster(cluster.id), what }];
            self.change(request, expect, Change::SetCluster(Box::new(next))).await?;
        }
        self.shown(&self.core.raft.snapshot(), role)
    }

    fn shown(&self, snapshot: &Snapshot, role: NodeRole) -> Result<v1::JoinTokenResponse, Status> {
        let RootCa { worker_token, manager_token, .. } = &cluster(snapshot)?.root_ca;
        let token = match role {
            NodeRole::Worker => worker_token,
            NodeRole::Manager => manager_token,
        };
        Ok(v1::JoinTokenResponse {
            token: Some(token.into()),
            manager_addr: self.core.address_of(self.core.node).unwrap_or_default(),
        })
    }
}

/// A role, for the audit log too.
pub(super) struct Role(NodeRole);

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

pub(super) fn role(number: i32) -> Result<Role, Status> {
    field::word(number, "role").map(Role).map_err(invalid)
}

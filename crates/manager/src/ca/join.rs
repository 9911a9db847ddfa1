//! `IssueNodeCertificate`: a stranger with a token becomes a node.
//!
//! The token is checked against the state after a quorum round, and the node comes into being
//! only if no token was rotated meanwhile. The group's request id is made of the key, so that a
//! joiner who asks again, also another manager, is the same node and not a second one.

use std::time::{Duration, Instant};

use swarm_crypto::ca::{Fingerprint, JoinToken};
use swarm_proto::{field, v1};
use swarm_raft::{Lane, ProposeError};
use swarm_state::Snapshot;
use swarm_types::object::node::{NodeDescription, NodeStatus};
use swarm_types::spec::node::{Availability, Membership, NodeRole, NodeSpec};
use swarm_types::{
    Change, Cluster, Expect, Expected, Group, IdSource, Meta, Node, ObjectId, Refusal, RequestId,
};
use tonic::Status;

use super::{Ca, sign};
use crate::errors;

/// How long a call may take, its waits for a quorum included.
const DEADLINE: Duration = Duration::from_secs(5);
/// How often the cluster may change under a joiner.
const TRIES: usize = 5;

impl Ca {
    pub(super) async fn join(
        &self,
        key: Fingerprint,
        request: v1::IssueNodeCertificateRequest,
    ) -> Result<v1::IssueNodeCertificateResponse, Status> {
        let availability: Availability = field::word(request.availability, "availability")
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let token = token(request.token.as_ref())?;
        let deadline = Instant::now() + DEADLINE;
        for _ in 0..TRIES {
            let read = self.core.raft.read(deadline).await;
            let snapshot = read.map_err(|error| errors::not_read(&error))?;
            let cluster = cluster(&snapshot)?;
            let role = role(&token, cluster)?;
            if let Some(node) = of_key(&snapshot, key) {
                return self.answer(cluster, node, &request.csr);
            }
            let node = node(role, availability, key);
            let group = group(cluster, node, key);
            match self.core.raft.propose(Lane::Control, group, deadline).await {
                Ok(_) | Err(ProposeError::Refused(Refusal::Stale { .. })) => {}
                Err(error) => return Err(errors::not_proposed(&error)),
            }
        }
        Err(Status::aborted("the node was removed while it joined: join again"))
    }

    fn answer(
        &self,
        cluster: &Cluster,
        node: &Node,
        csr: &[u8],
    ) -> Result<v1::IssueNodeCertificateResponse, Status> {
        tracing::info!(node = %node.id, role = node.role.as_str(), "a node joins");
        Ok(v1::IssueNodeCertificateResponse {
            node_id: field::put_id(node.id),
            cluster_id: field::put_id(cluster.id),
            role: field::put_word(node.role),
            chain: sign(cluster, node, csr)?,
            root: cluster.root_ca.cert.clone(),
            managers: self.core.managers().into_iter().map(|(_, addr)| addr).collect(),
            epoch: cluster.epoch,
        })
    }
}

/// The role that a token gives.
fn role(token: &JoinToken, cluster: &Cluster) -> Result<NodeRole, Status> {
    let is = |stored: &swarm_types::Sensitive| {
        let stored =
            std::str::from_utf8(stored.expose()).ok().and_then(|it| JoinToken::parse(it).ok());
        stored.is_some_and(|stored| stored.is(token))
    };
    // Both are compared whatever comes out first.
    match (is(&cluster.root_ca.worker_token), is(&cluster.root_ca.manager_token)) {
        (true, _) => Ok(NodeRole::Worker),
        (false, true) => Ok(NodeRole::Manager),
        (false, false) => Err(Status::permission_denied(
            "a valid join token is necessary to join this cluster: this one was rotated or is \
             another's; `swarm join-token worker` on a manager prints the present one",
        )),
    }
}

fn token(given: Option<&v1::Sensitive>) -> Result<JoinToken, Status> {
    let text = given.and_then(|token| std::str::from_utf8(&token.value).ok()).unwrap_or_default();
    JoinToken::parse(text).map_err(|error| Status::invalid_argument(error.to_string()))
}

fn cluster(snapshot: &Snapshot) -> Result<&Cluster, Status> {
    let cluster =
        snapshot.cluster().ok_or_else(|| Status::unavailable("there is no cluster yet"))?;
    Ok(cluster)
}

fn of_key(snapshot: &Snapshot, key: Fingerprint) -> Option<&Node> {
    snapshot.nodes().map(AsRef::as_ref).find(|node| node.key_fingerprint == key.0)
}

pub(super) fn node(role: NodeRole, availability: Availability, key: Fingerprint) -> Node {
    Node {
        id: IdSource::system().draw(),
        meta: Meta::default(),
        spec: NodeSpec {
            role,
            availability,
            membership: Membership::Accepted,
            ..NodeSpec::default()
        },
        description: NodeDescription::default(),
        status: NodeStatus::default(),
        role,
        key_fingerprint: key.0.to_vec(),
        session: None,
        attachments: Vec::new(),
    }
}

/// Brings the node into being, unless anything of the authority changes before.
pub(super) fn group(cluster: &Cluster, node: Node, key: Fingerprint) -> Group {
    let version = cluster.meta.decided_version;
    let mut seed = key.0;
    seed.iter_mut().zip(version.to_be_bytes()).for_each(|(byte, of)| *byte ^= of);
    let request: RequestId = IdSource::keyed(seed).draw();
    let what = Expected::Decided(version);
    let expect = vec![Expect { object: ObjectId::Cluster(cluster.id), what }];
    Group { request, expect, changes: vec![Change::CreateNode(Box::new(node))] }
}

//! Nodes: finding one, changing its spec, removing it, and what each thinks of a task.

use std::collections::{BTreeMap, BTreeSet};

use swarm_proto::v1;
use swarm_proto::{DecodeError, field};
use swarm_types::spec::node::{NodeRole, NodeSpec};
use swarm_types::{Node, NodeId, TaskId};

use crate::resolve::pick;
use crate::services::request_id;
use crate::{Client, ClientError, Consistency};

/// What a node thinks of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeVerdict {
    /// The node.
    pub node: NodeId,
    /// Its host's name.
    pub hostname: String,
    /// Whether it takes the task.
    pub verdict: Verdict,
    /// The filter that refuses it; empty otherwise.
    pub filter: String,
    /// What is missing, or the node's rank; for people.
    pub detail: String,
}

/// Whether a node takes a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It would.
    Fits,
    /// It would not.
    Refused,
    /// The task is on it.
    Assigned,
}

/// What the managers know of each other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Managers {
    /// The node whose manager leads.
    pub leader: Option<NodeId>,
    /// The nodes whose managers are heard.
    pub reachable: BTreeSet<NodeId>,
    /// Where each listens, `HOST:PORT`.
    pub addrs: BTreeMap<NodeId, String>,
}

/// How a node's manager stands among the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It leads.
    Leader,
    /// It is heard.
    Reachable,
    /// It is not heard.
    Unreachable,
}

impl Managers {
    /// How the node's manager stands; `None` for a worker.
    #[must_use]
    pub fn standing(&self, node: &Node) -> Option<Standing> {
        let heard = self.reachable.contains(&node.id);
        match node.role {
            NodeRole::Worker => None,
            NodeRole::Manager if self.leader == Some(node.id) => Some(Standing::Leader),
            NodeRole::Manager if heard => Some(Standing::Reachable),
            NodeRole::Manager => Some(Standing::Unreachable),
        }
    }

    /// Where the node's manager listens, `HOST:PORT`; empty when it has none.
    #[must_use]
    pub fn addr(&self, node: &Node) -> &str {
        self.addrs.get(&node.id).map_or("", String::as_str)
    }
}

/// Which nodes may be removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Removal {
    /// Those that are down.
    OfDown,
    /// Those that are heard too.
    Forced,
}

impl Client {
    /// The node of that id, name, host name or unique start of an id; `self` is the one behind
    /// the socket.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotFound`] and [`ClientError::Ambiguous`], beside those of [`Self::nodes`].
    pub async fn node(&self, wanted: &str, consistency: Consistency) -> Result<Node, ClientError> {
        let nodes = self.nodes(consistency).await?.value;
        let own = if wanted == "self" { self.info().await?.node } else { None };
        let wanted = own.as_ref().map_or(wanted, NodeId::as_str);
        meant(&nodes, wanted).cloned()
    }

    /// What the asked manager knows of all; answers without a leader too.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unreachable`] when the daemon does not run.
    pub async fn managers(&self) -> Result<Managers, ClientError> {
        let answer = self
            .call(|| {
                let mut control = self.control();
                async move { control.list_nodes(v1::ListNodesRequest { stale: true }).await }
            })
            .await?;
        managers(answer).map_err(|error| self.unreadable(error))
    }

    /// Replaces the spec of a node, if nobody did since `node` was read.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when the spec breaks a rule or was replaced meanwhile.
    pub async fn update_node(&self, node: &Node, spec: &NodeSpec) -> Result<(), ClientError> {
        let request = v1::UpdateNodeRequest {
            request_id: request_id(),
            id: field::put_id(node.id),
            spec_version: node.meta.spec_version,
            spec: Some(spec.into()),
        };
        self.call(|| {
            let (mut control, request) = (self.control(), request.clone());
            async move { control.update_node(request).await }
        })
        .await?;
        Ok(())
    }

    /// Removes a node from the cluster: its tasks are orphaned, its certificate is refused.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] for a manager, and for a node that is not down unless forced.
    pub async fn remove_node(&self, node: NodeId, removal: Removal) -> Result<(), ClientError> {
        let force = removal == Removal::Forced;
        let request =
            v1::RemoveNodeRequest { request_id: request_id(), id: field::put_id(node), force };
        self.call(|| {
            let (mut control, request) = (self.control(), request.clone());
            async move { control.remove_node(request).await }
        })
        .await?;
        Ok(())
    }

    /// What every node thinks of a task.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when there is no such task.
    pub async fn explain(
        &self,
        task: TaskId,
        consistency: Consistency,
    ) -> Result<Vec<NodeVerdict>, ClientError> {
        let stale = consistency == Consistency::Stale;
        let request = v1::ExplainTaskRequest { id: field::put_id(task), stale };
        let answer = self
            .call(|| {
                let (mut control, request) = (self.control(), request.clone());
                async move { control.explain_task(request).await }
            })
            .await?;
        let verdicts: Result<_, _> = answer.nodes.into_iter().map(verdict).collect();
        verdicts.map_err(|error| self.unreadable(error))
    }
}

/// The node that `wanted` means. A host's name means it also when the node has a name of its own,
/// and several hosts may have the same.
fn meant<'a>(nodes: &'a [Node], wanted: &str) -> Result<&'a Node, ClientError> {
    let is = |name: &str| !name.is_empty() && name.eq_ignore_ascii_case(wanted);
    let named = |node: &&Node| is(&node.spec.annotations.name) || is(&node.description.hostname);
    let named: Vec<&Node> = nodes.iter().filter(named).collect();
    let exact = nodes.iter().any(|node| node.id.as_str() == wanted);
    match named.as_slice() {
        [only] if !exact => Ok(only),
        [_, _, ..] if !exact => {
            let (name, count) = (wanted.to_owned(), named.len());
            Err(ClientError::Ambiguous { kind: "node", name, count })
        }
        _ => pick("node", wanted, nodes, |node| node.id.as_str(), |node| node.id.as_str()),
    }
}

fn managers(answer: v1::ListNodesResponse) -> Result<Managers, DecodeError> {
    let leader = answer.leader.iter().map(|id| field::id(id, "leader")).next().transpose()?;
    let reachable = answer.reachable.iter().map(|id| field::id(id, "reachable"));
    let listens = |it: v1::ManagerAddress| Ok((field::id(&it.node, "managers.node")?, it.addr));
    let addrs = answer.managers.into_iter().map(listens);
    Ok(Managers {
        leader,
        reachable: reachable.collect::<Result<_, _>>()?,
        addrs: addrs.collect::<Result<_, DecodeError>>()?,
    })
}

fn verdict(listed: v1::NodeVerdict) -> Result<NodeVerdict, DecodeError> {
    use v1::node_verdict::Verdict as Wire;
    let verdict = match listed.verdict() {
        Wire::Fits => Verdict::Fits,
        Wire::Assigned => Verdict::Assigned,
        // A verdict this version does not know is none to rely on.
        Wire::Refused | Wire::Unspecified => Verdict::Refused,
    };
    Ok(NodeVerdict {
        node: field::id(&listed.node, "node")?,
        hostname: listed.hostname,
        verdict,
        filter: listed.filter,
        detail: listed.detail,
    })
}

#[cfg(test)]
mod tests {
    use swarm_types::object::node::{NodeDescription, NodeStatus};
    use swarm_types::{IdSource, Meta};

    use super::*;

    fn node(name: &str, hostname: &str) -> Node {
        let mut spec = NodeSpec::default();
        spec.annotations.name = name.to_owned();
        let description =
            NodeDescription { hostname: hostname.to_owned(), ..NodeDescription::default() };
        Node {
            id: IdSource::system().draw(),
            meta: Meta::default(),
            spec,
            description,
            status: NodeStatus::default(),
            role: NodeRole::Worker,
            key_fingerprint: Vec::new(),
            session: None,
            attachments: Vec::new(),
        }
    }

    #[test]
    fn a_node_is_meant_by_id_name_or_host() {
        let nodes = [node("front", "w1"), node("", "w2"), node("", "W2"), node("", "")];
        let found = |wanted: &str| meant(&nodes, wanted).map(|node| node.id);
        let id = |at: usize| nodes[at].id;

        assert_eq!(found("Front").ok(), Some(id(0)));
        assert_eq!(found("w1").ok(), Some(id(0)));
        assert_eq!(found(id(2).as_str()).ok(), Some(id(2)));
        assert_eq!(found(&id(3).as_str()[..20]).ok(), Some(id(3)));
        assert!(matches!(found("w2"), Err(ClientError::Ambiguous { count: 2, .. })));
        for nothing in ["", "w-"] {
            assert!(matches!(found(nothing), Err(ClientError::NotFound { .. })), "{nothing:?}");
        }
    }

    #[test]
    fn an_id_wins_over_the_names_of_others() {
        let first = node("", "w1");
        let nodes = [node("", first.id.as_str()), node(first.id.as_str(), ""), first.clone()];

        assert_eq!(meant(&nodes, first.id.as_str()).ok(), Some(&first));
    }
}

//! Sessions of nodes: the newest wins, whatever was judged of an older one.

use swarm_types::object::node::{NodeSession, NodeState, NodeStatus};
use swarm_types::spec::node::Membership;
use swarm_types::{Node, NodeId, OpenSession, Refusal, SessionId};

use super::{Txn, Writer, invalid};

impl Txn {
    /// Opening the present session again only refreshes what the node says of itself.
    pub(super) fn open_session(&mut self, open: &OpenSession) -> Result<(), Refusal> {
        let node = self.need::<Node>(open.node)?;
        if node.spec.membership == Membership::Pending {
            return invalid(format!("node {} is not accepted into the cluster yet", open.node));
        }
        let opened_at = match &node.session {
            Some(present) if present.id == open.session => present.opened_at,
            _ => self.at,
        };
        let session = NodeSession {
            id: open.session,
            manager: open.manager,
            boot_id: open.boot_id.clone(),
            opened_at,
        };
        let status =
            NodeStatus { state: NodeState::Ready, message: String::new(), addr: open.addr.clone() };
        let description = (*open.description).clone();
        let node = Node { session: Some(session), status, description, ..(**node).clone() };
        self.update(node, Writer::Report)
    }

    pub(super) fn node_down(
        &mut self,
        id: NodeId,
        judged: Option<SessionId>,
        message: &str,
    ) -> Result<(), Refusal> {
        let node = self.need::<Node>(id)?;
        let present = node.session.as_ref().map(|session| session.id);
        if present != judged {
            return match judged {
                Some(session) => Err(Refusal::Superseded(session)),
                None => invalid(format!("node {id} has opened a session meanwhile")),
            };
        }
        if node.status.state == NodeState::Down {
            return Ok(());
        }
        let mut node = Node::clone(node);
        node.status.state = NodeState::Down;
        message.clone_into(&mut node.status.message);
        self.update(node, Writer::Planner)
    }
}

//! Who may order whom. Pure: a replica and what a node says in, verdicts out.

use swarm_state::Snapshot;
use swarm_types::object::node::NodeState;
use swarm_types::{Node, SessionId};

/// True when the replica is as new as the orders the node obeyed last: an older one may want
/// what was taken back since.
#[must_use]
pub fn may_order(snapshot: &Snapshot, obeyed_index: u64) -> bool {
    obeyed_index <= snapshot.applied()
}

/// True while the session is the one its node is to be served by; `None` is a node that is gone.
///
/// A node that was given up on is ready again by opening a session, and only so.
#[must_use]
pub fn is_valid(node: Option<&Node>, session: SessionId) -> bool {
    node.is_some_and(|node| {
        let is_its_own = node.session.as_ref().is_some_and(|it| it.id == session);
        is_its_own && node.status.state != NodeState::Down
    })
}

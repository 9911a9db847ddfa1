//! `Leave`: the node ends its tasks and forgets its cluster.
//!
//! The cluster keeps the Node object until somebody removes it; a manager's place among those that
//! vote goes first. Where that does not go the node leaves all the same, and tells the user what is
//! left to do. `node.toml` goes before what lies beside it, so that a node which is interrupted is
//! either still a member or of no cluster.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use swarm_agent::AgentState;
use swarm_raft::{MembershipError, Raft};
use swarm_types::NodeId;
use swarm_types::spec::node::NodeRole;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::member::{Member, OWN};
use crate::membership::{Membership, Part};
use crate::role::told;
use crate::{Inner, NodeError};

/// How long the other managers may take to let this one go.
const PARTING: Duration = Duration::from_secs(8);
/// How long a manager may still serve nodes that does not know what the others agreed on since.
const LAG: Duration = Duration::from_secs(2);

/// What a manager's node does with what only it may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Insistence {
    /// A manager stays.
    Asked,
    /// A manager goes, and its replica of the state with it.
    Forced,
}

/// Why the other managers may count one that left, and what to do about it, for people.
#[derive(Debug, thiserror::Error)]
#[error(
    "the other managers may still count this one when they look for a majority ({why}): run \
     `swarm node demote {node}` and `swarm node rm {node}` on one of them as soon as a majority \
     answers, or `swarm init --force-new-cluster` on the one with the newest data when none will"
)]
pub(crate) struct Counted {
    node: NodeId,
    why: String,
}

impl Inner {
    /// Leaves the cluster; nothing of it stays on this host but volumes and images.
    pub(crate) async fn leave(
        self: &Arc<Self>,
        insistence: Insistence,
    ) -> Result<Option<Counted>, NodeError> {
        let inner = self.clone();
        // A task of its own: a caller who hangs up must not leave half a member behind.
        let left = self.tracker.spawn(async move { inner.leave_whole(insistence).await });
        left.await.unwrap_or(Err(NodeError::Stopping))
    }

    async fn leave_whole(&self, insistence: Insistence) -> Result<Option<Counted>, NodeError> {
        let mut slot = self.member.lock().await;
        let state = &self.options.state_dir;
        let membership = match slot.as_ref() {
            Some(member) => Some(member.membership.clone()),
            // Its parts did not start; there may be a membership all the same.
            None => Membership::load(state)?,
        };
        let Some(Membership { node, part, .. }) = membership else {
            return Err(NodeError::NoMember);
        };
        // Also one that is locked.
        if matches!(part, Part::Manager { .. }) && insistence == Insistence::Asked {
            return Err(NodeError::ManagerStays);
        }
        let withdrawn = tokio::select! {
            withdrawn = withdrawn(slot.as_mut()) => withdrawn,
            () = self.stopping.cancelled() => return Err(NodeError::Stopping),
        };
        if let Some(member) = slot.take() {
            self.control.close();
            tokio::select! {
                () = member.leave() => {}
                () = self.stopping.cancelled() => return Err(NodeError::Stopping),
            }
        }
        let why = match withdrawn {
            Some(withdrawn) => withdrawn.err().map(|error| error.to_string()),
            None if self.has_others(&part).await => {
                Some("its store is locked or empty: it could not ask them".into())
            }
            None => None,
        };
        let counted = why.map(|why| Counted { node, why });
        if let Some(counted) = &counted {
            tracing::warn!("{counted}");
        }
        Self::forget(state)?;
        tracing::info!("left the cluster");
        Ok(counted)
    }

    /// Whether there are managers beside this one that may count it, as far as is known here.
    async fn has_others(&self, part: &Part) -> bool {
        let Part::Manager { advertise, managers } = part else { return false };
        let others = self.others(*advertise, managers).await;
        !others.is_ok_and(|others| others.is_empty())
    }

    /// Removes what makes this node a member.
    fn forget(state: &Path) -> Result<(), NodeError> {
        Membership::forget_joining(state)?;
        Membership::end(state)?;
        for dir in OWN.map(|name| state.join(name)) {
            match fs::remove_dir_all(&dir) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(NodeError::io("remove", &dir)(error));
                }
                _ => {}
            }
        }
        Membership::forget(state)
    }
}

/// Has the other managers go on without this one: a member that is gone for good would count when
/// they look for a majority. `None` without a store that knows them.
async fn withdrawn(member: Option<&mut Member>) -> Option<Result<(), MembershipError>> {
    let member = member?;
    // What keeps a manager among the others would have it let in again.
    member.end_upkeep().await;
    let (node, raft) = (member.membership.node, &member.managing.as_ref()?.raft);
    let let_go = let_go(member.agent.state());
    match raft.info().members.len() {
        // The others may count the store that it had before.
        0 => None,
        1 => Some(Ok(())),
        _ => Some(tokio::select! {
            withdrawn = withdraw(raft, node, Instant::now() + PARTING) => withdrawn,
            () = let_go => Ok(()),
        }),
    }
}

/// Waits until the cluster says that this node is no manager any more, which it does after raft has
/// let it go: its store does not hear of that.
async fn let_go(mut agent: watch::Receiver<AgentState>) {
    let is_out = |state: &AgentState| {
        told(state) == Some(NodeRole::Worker) || matches!(state, AgentState::Removed { .. })
    };
    while agent.wait_for(is_out).await.is_ok() {
        sleep(LAG).await;
        if is_out(&agent.borrow()) {
            return;
        }
    }
    std::future::pending().await
}

async fn withdraw(raft: &Raft, node: NodeId, deadline: Instant) -> Result<(), MembershipError> {
    // Who is removed while leading never hears that it was.
    raft.hand_over(deadline).await?;
    raft.remove(node, deadline).await
}

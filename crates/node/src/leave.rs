//! `Leave`: the node ends its tasks and forgets its cluster.
//!
//! The cluster keeps the Node object until somebody removes it; a manager's place among those that
//! vote goes first. `node.toml` goes before what lies beside it, so that a node which is
//! interrupted is either still a member or of no cluster.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use swarm_raft::{MembershipError, Raft};
use swarm_types::NodeId;

use crate::member::OWN;
use crate::membership::{Membership, Part};
use crate::{Inner, NodeError};

/// How long the other managers may take to let this one go.
const PARTING: Duration = Duration::from_secs(8);

/// What a manager's node does with what only it may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Insistence {
    /// A manager stays.
    Asked,
    /// A manager goes, and its replica of the state with it.
    Forced,
}

impl Inner {
    /// Leaves the cluster; nothing of it stays on this host but volumes and images.
    pub(crate) async fn leave(self: &Arc<Self>, insistence: Insistence) -> Result<(), NodeError> {
        let inner = self.clone();
        // A task of its own: a caller who hangs up must not leave half a member behind.
        let left = self.tracker.spawn(async move { inner.leave_whole(insistence).await });
        left.await.unwrap_or(Err(NodeError::Stopping))
    }

    async fn leave_whole(&self, insistence: Insistence) -> Result<(), NodeError> {
        let mut slot = self.member.lock().await;
        let state = &self.options.state_dir;
        let manages = slot.as_ref().is_some_and(|member| {
            // Also one that is locked.
            matches!(member.membership.part, Part::Manager { .. })
        });
        if manages && insistence == Insistence::Asked {
            return Err(NodeError::ManagerStays);
        }
        if let Some(member) = slot.as_mut() {
            // What keeps a manager among the others would have it let in again.
            member.end_upkeep();
            if let Some(managing) = &member.managing {
                tokio::select! {
                    () = part(&managing.raft, member.membership.node) => {}
                    () = self.stopping.cancelled() => return Err(NodeError::Stopping),
                }
            }
        }
        match slot.take() {
            Some(member) => {
                self.control.close();
                tokio::select! {
                    () = member.leave() => {}
                    () = self.stopping.cancelled() => return Err(NodeError::Stopping),
                }
            }
            // Its parts did not start; there may be a membership all the same.
            None if Membership::load(state)?.is_none() => return Err(NodeError::NoMember),
            None => {}
        }
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
        Membership::forget(state)?;
        tracing::info!("left the cluster");
        Ok(())
    }
}

/// Has the other managers go on without this one: a member that is gone for good would count when
/// they look for a majority. Where they do not answer it leaves all the same.
async fn part(raft: &Raft, node: NodeId) {
    if raft.info().members.len() < 2 {
        return;
    }
    let deadline = Instant::now() + PARTING;
    if let Err(error) = withdraw(raft, node, deadline).await {
        tracing::warn!(%error, "the other managers still count this one: demote it there");
    }
}

async fn withdraw(raft: &Raft, node: NodeId, deadline: Instant) -> Result<(), MembershipError> {
    // Who is removed while leading never hears that it was.
    raft.hand_over(deadline).await?;
    raft.remove(node, deadline).await
}

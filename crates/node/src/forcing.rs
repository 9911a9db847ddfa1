//! `Init` with `force_new_cluster`: what this manager holds becomes a cluster of its own.
//!
//! For a cluster whose quorum is lost for good. Where others answer it is refused: they would go
//! on as a second cluster. `node.toml` first forgets the other managers, which changes nothing
//! while the store still names them; then the store decides, in one write. From there whoever
//! starts the node finishes it.

use std::net::SocketAddr;
use std::sync::Arc;

use swarm_crypto::{KeyFile, UnlockKey};
use swarm_raft::Raft;
use swarm_types::Sensitive;

use crate::managing::Managing;
use crate::member::Member;
use crate::membership::{Membership, Part};
use crate::{Inner, NodeError, advertise};

impl Inner {
    /// Makes a cluster of one of what this manager holds, and returns once its node is READY in it.
    /// `advertise` as in a founding; empty keeps the address.
    pub(crate) async fn force_new(
        self: &Arc<Self>,
        advertise: String,
    ) -> Result<Membership, NodeError> {
        let inner = self.clone();
        // A task of its own: a caller who hangs up must not leave half a member behind.
        let forced = self.tracker.spawn(async move { inner.force_whole(&advertise).await });
        forced.await.unwrap_or(Err(NodeError::Stopping))
    }

    async fn force_whole(self: &Arc<Self>, advertise: &str) -> Result<Membership, NodeError> {
        let mut slot = self.member.lock().await;
        if self.stopping.is_cancelled() {
            return Err(NodeError::Stopping);
        }
        let member = slot.as_ref().ok_or(NodeError::NoMember)?;
        if member.is_locked() {
            return Err(NodeError::Locked);
        }
        let (Part::Manager { advertise: present, .. }, Some(managing)) =
            (&member.membership.part, &member.managing)
        else {
            return Err(NodeError::NoManager);
        };
        refuse_with_majority(&managing.raft).await?;
        let unlock_key = unlock_key(managing);
        let advertise = self.advertised(advertise, *present, managing)?;
        let part = Part::Manager { advertise, managers: Vec::new() };
        let from = member.membership.clone();
        let to = Membership { part, ..from.clone() };
        to.announce(&self.options.state_dir)?;
        Membership::confirm(&self.options.state_dir)?;

        if let Some(member) = slot.take() {
            self.control.close();
            member.stop().await;
        }
        match self.forced(to.clone(), advertise, &unlock_key).await {
            Ok(member) => {
                let started = slot.insert(member);
                tokio::select! {
                    ready = started.ready() => ready?,
                    () = self.stopping.cancelled() => return Err(NodeError::Stopping),
                }
                Ok(to)
            }
            Err(error) => {
                // Its tasks must not be left without an agent. What the store decided stays decided.
                match self.resumed(to).await {
                    Ok(member) => *slot = Some(member),
                    // Half a node must not go on.
                    Err(worse) => drop(self.failure.send_replace(Some(Arc::new(worse)))),
                }
                Err(error)
            }
        }
    }

    async fn forced(
        self: &Arc<Self>,
        membership: Membership,
        advertise: SocketAddr,
        unlock_key: &Sensitive,
    ) -> Result<Member, NodeError> {
        if !unlock_key.expose().is_empty() {
            let key = UnlockKey::parse(unlock_key).map_err(NodeError::certificates)?;
            let file = KeyFile::unlock(&self.key_file(), &key).map_err(NodeError::certificates)?;
            self.hold(Some(file));
        }
        let key = self.keys()?.ok_or(NodeError::Locked)?;
        let listener = self.listen().await?;
        let papers = self.papers()?;
        let net = self.net().await?;
        let options = self.raft_options(membership.node, advertise, &papers.credentials);
        let raft = Raft::force_new(options, key).await?;
        self.manage(membership, raft, papers, net, listener).await
    }

    /// Where others are to reach it.
    fn advertised(
        &self,
        wanted: &str,
        present: SocketAddr,
        managing: &Managing,
    ) -> Result<SocketAddr, NodeError> {
        if wanted.is_empty() {
            return Ok(present);
        }
        let listened = managing.manager.address();
        advertise::choose(wanted, listened, &advertise::interfaces())
    }
}

/// Asks all members whether they are there: who leads among them, if anybody, does not matter.
async fn refuse_with_majority(raft: &Raft) -> Result<(), NodeError> {
    let there = raft.roll_call().await.len();
    if is_lost(raft.info().members.len(), there) { Ok(()) } else { Err(NodeError::HasQuorum) }
}

/// A cluster of one counts as lost: it is forced for another address, or after a backup was
/// brought back.
const fn is_lost(members: usize, there: usize) -> bool {
    members < 2 || there <= members / 2
}

/// What the key file of the store is under; empty when it is under nothing.
fn unlock_key(managing: &Managing) -> Sensitive {
    let snapshot = managing.raft.snapshot();
    snapshot.cluster().map(|cluster| cluster.unlock_key.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::is_lost;

    #[test]
    fn only_what_has_no_majority_is_lost() {
        for (members, there, lost) in
            [(1, 1, true), (2, 1, true), (2, 2, false), (3, 1, true), (3, 2, false), (4, 2, true)]
        {
            assert_eq!(is_lost(members, there), lost, "{there} of {members}");
        }
    }
}

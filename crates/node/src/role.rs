//! Follows the role that the cluster gives this node, while its tasks run on.
//!
//! The session says which role that is. First the node has its certificate signed for it, then
//! `node.toml` says so, then its parts are started anew as they would be after a restart: wherever
//! that is cut off, the next start goes on. A manager is told only after the others have let it
//! out of raft; its store goes then.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use swarm_agent::{Agent, AgentState};
use swarm_crypto::tls::Credentials;
use swarm_types::Sensitive;
use swarm_types::spec::node::NodeRole;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::managing::RAFT_DIR;
use crate::member::Member;
use crate::membership::{Membership, Part};
use crate::renewal::{Signer, renew};
use crate::{Inner, NodeError, advertise};

/// Pause after a try that failed; it grows with each.
const RETRY: Duration = Duration::from_secs(2);
/// Most of them in a row.
const MOST_PAUSES: u32 = 15;

impl Part {
    /// The role that comes with it.
    pub(crate) const fn role(&self) -> NodeRole {
        match self {
            Self::Manager { .. } => NodeRole::Manager,
            Self::Worker { .. } => NodeRole::Worker,
        }
    }
}

impl Inner {
    /// Changes the node's part when the cluster wants it to, until the guard is dropped.
    pub(crate) fn follow_role(
        self: &Arc<Self>,
        membership: &Membership,
        credentials: &Credentials,
        agent: &Agent,
    ) -> DropGuard {
        let stop = CancellationToken::new();
        let (stopped, inner) = (stop.clone(), self.clone());
        let (membership, credentials) = (membership.clone(), credentials.clone());
        let agent = agent.state();
        self.tracker.spawn(async move {
            let following = inner.follow(membership, credentials, agent);
            stopped.run_until_cancelled(following).await;
        });
        stop.drop_guard()
    }

    async fn follow(
        self: &Arc<Self>,
        membership: Membership,
        credentials: Credentials,
        agent: watch::Receiver<AgentState>,
    ) {
        let mut seen = agent.clone();
        let part = membership.part.role();
        let shown = || credentials.certificate().map(|certificate| certificate.identity.role);
        loop {
            let other = seen.wait_for(|state| {
                let told = told(state);
                if is_off(told, part, shown()) {
                    return true;
                }
                if told.is_some() {
                    // Whatever was tried is not wanted any more.
                    self.role_tries.store(0, Ordering::Relaxed);
                }
                false
            });
            let Ok(Some(role)) = other.await.map(|state| told(&state)) else { return };
            // The try before this one may have ended in the old role again.
            sleep(RETRY * self.role_tries.fetch_add(1, Ordering::Relaxed).min(MOST_PAUSES)).await;
            match self.certified(role, &credentials, &agent).await {
                Ok(_) if role == part => self.role_tries.store(0, Ordering::Relaxed),
                Ok(manager) => {
                    let (inner, from) = (self.clone(), membership.clone());
                    // A task of its own: it ends this one with the member.
                    let changed =
                        self.tracker.spawn(async move { inner.change_part(&from, manager).await });
                    if let Ok(Err(error)) = changed.await {
                        tracing::warn!(%error, role = role.as_str(), "the node's role does not change yet");
                    }
                }
                Err(why) => tracing::warn!(why, "no certificate for the node's new role yet"),
            }
            sleep(RETRY).await;
        }
    }

    /// Has the certificate signed for the role; tells the manager that did.
    async fn certified(
        &self,
        role: NodeRole,
        credentials: &Credentials,
        agent: &watch::Receiver<AgentState>,
    ) -> Result<String, String> {
        let manager = match &*agent.borrow() {
            AgentState::Connected { manager, .. } => manager.clone(),
            _ => return Err("there is no session with a manager".to_owned()),
        };
        let shown = || credentials.certificate().map(|certificate| certificate.identity.role);
        if shown() != Some(role) {
            let files = self.certificate_files().map_err(|error| error.to_string())?;
            // Not this node's own manager: it may know least of what became of it.
            let signer = Signer::Session(agent.clone(), credentials.clone());
            renew(&files, credentials, |csr| signer.sign(csr)).await?;
        }
        if shown() == Some(role) { Ok(manager) } else { Err("it is for another role".to_owned()) }
    }

    /// Starts the node's parts anew with the other part; with the present one when that fails.
    async fn change_part(
        self: &Arc<Self>,
        from: &Membership,
        manager: String,
    ) -> Result<(), NodeError> {
        let mut slot = self.member.lock().await;
        let is_still = slot.as_ref().is_some_and(|member| member.membership == *from);
        if !is_still || self.stopping.is_cancelled() {
            return Ok(());
        }
        let known = slot.as_ref().map(|member| member.managers()).unwrap_or_default();
        let others = known.into_iter().filter(|known| *known != manager);
        let managers: Vec<String> = std::iter::once(manager.clone()).chain(others).collect();
        let part = match &from.part {
            Part::Worker { advertise, .. } => {
                // What is likeliest to fail, while nothing has changed.
                self.new_keys(&Sensitive::default())?;
                let listened = self.listen().await?.local_addr().map_err(self.not_listening())?;
                let advertise = match advertise {
                    Some(advertise) => *advertise,
                    None => advertise::towards(&managers, listened).map_or_else(
                        || advertise::choose("", listened, &advertise::interfaces()),
                        Ok,
                    )?,
                };
                Part::Manager { advertise, managers }
            }
            Part::Manager { advertise, .. } => {
                let managers = self.not_own(*advertise, &managers);
                Part::Worker { advertise: Some(*advertise), managers }
            }
        };
        let to = Membership { part, ..from.clone() };
        to.announce(&self.options.state_dir)?;
        Membership::confirm(&self.options.state_dir)?;
        tracing::info!(role = to.part.role().as_str(), "the node changes its role");
        if let Some(member) = slot.take() {
            self.control.close();
            member.stop().await;
        }
        let started = match self.resumed(to).await {
            Ok(started) => {
                self.role_tries.store(0, Ordering::Relaxed);
                Ok(started)
            }
            // The store of a manager that was let out is of no use any more, and may be gone: the
            // next start goes on as a worker.
            Err(error) if from.part.role() == NodeRole::Manager => Err(error),
            Err(error) => {
                tracing::warn!(%error, "the node takes its old role again");
                self.taken_back(from).await
            }
        };
        match started {
            Ok(started) => *slot = Some(started),
            // Half a node must not go on.
            Err(error) => drop(self.failure.send_replace(Some(Arc::new(error)))),
        }
        Ok(())
    }

    async fn taken_back(self: &Arc<Self>, from: &Membership) -> Result<Member, NodeError> {
        from.announce(&self.options.state_dir)?;
        Membership::confirm(&self.options.state_dir)?;
        self.resumed(from.clone()).await
    }

    /// Removes the store that a node keeps of a time when it was a manager, and its key.
    pub(crate) fn drop_store(&self) -> Result<(), NodeError> {
        let dir = self.options.state_dir.join(RAFT_DIR);
        let gone = |path: &std::path::Path, removed: std::io::Result<()>| match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(NodeError::io("remove", path)(error))
            }
            _ => Ok(()),
        };
        gone(&dir, std::fs::remove_dir_all(&dir))?;
        // It may be under an unlock key that nobody asks for any more.
        gone(&self.key_file(), std::fs::remove_file(self.key_file()))
    }
}

/// Whether there is something to do. A renewal that was under way when the role changed may have
/// kept the certificate for the role before: the other managers would turn such a node away until
/// the next one.
fn is_off(told: Option<NodeRole>, part: NodeRole, shown: Option<NodeRole>) -> bool {
    told.is_some_and(|role| role != part || shown.is_some_and(|shown| shown != role))
}

/// The role that the cluster gives the node, as far as is known.
fn told(state: &AgentState) -> Option<NodeRole> {
    match state {
        AgentState::Connected { node: Some(node), .. } => Some(node.role),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_and_certificate_follow_the_role() {
        use NodeRole::{Manager, Worker};

        for role in [Manager, Worker] {
            let other = if role == Manager { Worker } else { Manager };
            assert!(!is_off(Some(role), role, Some(role)));
            assert!(is_off(Some(role), other, Some(other)), "promoted or demoted");
            assert!(is_off(Some(role), other, Some(role)), "cut off before the part changed");
            assert!(is_off(Some(role), role, Some(other)), "a renewal came too late");
            assert!(!is_off(None, role, Some(other)), "nobody said");
        }
    }
}

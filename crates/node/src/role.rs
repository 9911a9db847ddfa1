//! Follows the role that the cluster gives this node, while its tasks run on.
//!
//! The session says which role that is. First the node has its certificate signed for it, then
//! `node.toml` says so, then its parts are started anew as they would be after a restart: wherever
//! that is cut off, the next start goes on. A manager is told only after the others have let it
//! out of raft; its store goes then.

use std::fs::{self, File};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use swarm_agent::{Agent, AgentState};
use swarm_crypto::tls::Credentials;
use swarm_raft::Raft;
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

/// A store that is being removed.
pub(crate) const GIVEN_UP: &str = "raft.removed";
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

/// The member that somebody wants to change; it may be another one by then.
#[derive(Clone, Debug)]
pub(crate) struct Present {
    pub(crate) membership: Membership,
    gone: CancellationToken,
}

impl Present {
    /// The one whose upkeep begins; the guard is its.
    pub(crate) fn new(membership: &Membership) -> (Self, DropGuard) {
        let gone = CancellationToken::new();
        (Self { membership: membership.clone(), gone: gone.clone() }, gone.drop_guard())
    }

    /// Goes on as long as the member is there; `None` when it went first.
    pub(crate) async fn keeps<T>(&self, going: impl Future<Output = T>) -> Option<T> {
        self.gone.run_until_cancelled(going).await
    }
}

impl Inner {
    /// Changes the node's part when the cluster wants it to.
    pub(crate) fn follow_role(
        self: &Arc<Self>,
        present: Present,
        credentials: &Credentials,
        agent: &Agent,
    ) {
        let (inner, credentials, agent) = (self.clone(), credentials.clone(), agent.state());
        self.tracker.spawn(async move {
            present.keeps(inner.follow(&present, credentials, agent)).await;
        });
    }

    async fn follow(
        self: &Arc<Self>,
        present: &Present,
        credentials: Credentials,
        agent: watch::Receiver<AgentState>,
    ) {
        let mut seen = agent.clone();
        let part = present.membership.part.role();
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
                    let (inner, from) = (self.clone(), present.clone());
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
        Present { membership: from, gone }: &Present,
        manager: String,
    ) -> Result<(), NodeError> {
        let mut slot = self.member.lock().await;
        if gone.is_cancelled() || self.stopping.is_cancelled() {
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
        self.stop_parts(&mut slot).await;
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
        self.started(&mut slot, started);
        Ok(())
    }

    /// Begins anew with an empty store and a key of its own: those of a manager which raft has let
    /// go, and which is to be one again, are of no use any more.
    pub(crate) async fn begin_anew(self: &Arc<Self>, from: &Present) {
        let mut slot = self.member.lock().await;
        if from.gone.is_cancelled() || self.stopping.is_cancelled() {
            return;
        }
        let Some(managing) = slot.as_ref().and_then(|member| member.managing.as_ref()) else {
            return;
        };
        // Those who let it go are of the same epoch, and the only ones who can let it in.
        let (epoch, others) = (managing.raft.epoch(), managing.managers());
        tracing::info!("the others let this manager go, and it is to be one again");
        self.stop_parts(&mut slot).await;
        let started = self.emptied(from.membership.clone(), &others, epoch).await;
        self.started(&mut slot, started);
    }

    async fn emptied(
        self: &Arc<Self>,
        mut membership: Membership,
        others: &[String],
        epoch: u64,
    ) -> Result<Member, NodeError> {
        let Part::Manager { advertise, managers } = &mut membership.part else {
            return Err(NodeError::Manager);
        };
        let advertise = *advertise;
        *managers = self.not_own(advertise, others.iter().chain(&*managers));
        self.drop_store()?;
        let (papers, net, listener) = (self.papers()?, self.net().await?, self.listen().await?);
        let key = self.new_keys(&Sensitive::default())?;
        let options = self.raft_options(membership.node, advertise, &papers.credentials);
        let raft = Raft::join(options, key, epoch).await?;
        self.manage(membership, raft, papers, net, listener).await
    }

    async fn stop_parts(&self, slot: &mut Option<Member>) {
        if let Some(member) = slot.take() {
            self.control.close();
            member.stop().await;
        }
    }

    fn started(&self, slot: &mut Option<Member>, started: Result<Member, NodeError>) {
        match started {
            Ok(started) => *slot = Some(started),
            // Half a node must not go on.
            Err(error) => drop(self.failure.send_replace(Some(Arc::new(error)))),
        }
    }

    async fn taken_back(self: &Arc<Self>, from: &Membership) -> Result<Member, NodeError> {
        from.announce(&self.options.state_dir)?;
        Membership::confirm(&self.options.state_dir)?;
        self.resumed(from.clone()).await
    }

    /// Removes the store, whole or not at all, that a node keeps of a time when it was a manager,
    /// and its key.
    pub(crate) fn drop_store(&self) -> Result<(), NodeError> {
        let state = &self.options.state_dir;
        self.sweep_store()?;
        let dir = state.join(RAFT_DIR);
        let moved = fs::rename(&dir, state.join(GIVEN_UP));
        gone(moved.and_then(|()| File::open(state)?.sync_all()))
            .map_err(NodeError::io("remove", &dir))?;
        self.sweep_store()?;
        self.drop_key()
    }

    /// Removes what is left of a store that was given up.
    pub(crate) fn sweep_store(&self) -> Result<(), NodeError> {
        let state = &self.options.state_dir;
        let dir = state.join(GIVEN_UP);
        // Before it: with the key alone left, a start would wait for somebody to unlock nothing.
        if dir.exists() && !state.join(RAFT_DIR).exists() {
            self.drop_key()?;
        }
        gone(fs::remove_dir_all(&dir)).map_err(NodeError::io("remove", &dir))
    }

    /// Removes the key of a store that is not there: it may be under an unlock key that nobody asks
    /// for any more.
    fn drop_key(&self) -> Result<(), NodeError> {
        let file = self.key_file();
        gone(fs::remove_file(&file)).map_err(NodeError::io("remove", &file))
    }
}

/// What is not there needs no removal.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether there is something to do. A renewal that was under way when the role changed may have
/// kept the certificate for the role before: the other managers would turn such a node away until
/// the next one.
fn is_off(told: Option<NodeRole>, part: NodeRole, shown: Option<NodeRole>) -> bool {
    told.is_some_and(|role| role != part || shown.is_some_and(|shown| shown != role))
}

/// The role that the cluster gives the node, as far as is known.
pub(crate) fn told(state: &AgentState) -> Option<NodeRole> {
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

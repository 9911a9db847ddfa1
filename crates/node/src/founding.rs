//! `Init`: the node becomes the first manager of a new cluster.

use std::sync::Arc;

use swarm_raft::Raft;
use swarm_types::spec::cluster::ClusterSpec;
use swarm_types::spec::node::Availability;
use swarm_types::{IdSource, Timestamp};

use crate::found::{Founding, found};
use crate::managing::Managing;
use crate::member::{OWN, Papers};
use crate::membership::{Membership, Part};
use crate::{Inner, NodeError, advertise};

impl Inner {
    /// Founds a cluster of one and returns once its node is READY in it.
    pub(crate) async fn found(
        self: &Arc<Self>,
        advertise: String,
        availability: Availability,
        spec: ClusterSpec,
    ) -> Result<Membership, NodeError> {
        let inner = self.clone();
        // A task of its own: a caller who hangs up must not leave half a founding behind.
        let founded = self
            .tracker
            .spawn(async move { inner.found_whole(&advertise, availability, spec).await });
        founded.await.unwrap_or(Err(NodeError::Stopping))
    }

    async fn found_whole(
        self: &Arc<Self>,
        advertise: &str,
        availability: Availability,
        spec: ClusterSpec,
    ) -> Result<Membership, NodeError> {
        let mut member = self.member.lock().await;
        if member.is_some() {
            return Err(NodeError::Member);
        }
        if self.stopping.is_cancelled() {
            return Err(NodeError::Stopping);
        }
        // An earlier founding came that far, and its parts did not start.
        if let Some(membership) = Membership::load(&self.options.state_dir)? {
            *member = Some(self.resumed(membership.clone()).await?);
            return Ok(membership);
        }
        // Opened first: what is likeliest to fail must leave no cluster behind.
        let listener = self.listen().await?;
        let net = self.net().await?;
        let listened = listener.local_addr().map_err(self.not_listening())?;
        let advertise = advertise::choose(advertise, listened, &advertise::interfaces())?;
        let founding = found(availability, spec, &mut IdSource::system(), Timestamp::now())?;
        let Founding { node, cluster, .. } = founding;
        let part = Part::Manager { advertise, managers: Vec::new() };
        let membership = Membership { node, cluster, part };
        let credentials = self.credentials(&founding.certificate, &founding.root_pem)?;
        let papers = Papers { credentials, root_pem: founding.root_pem.clone() };
        self.make_room()?;
        membership.announce(&self.options.state_dir)?;
        let options = self.raft_options(node, advertise, &papers.credentials);
        let raft = self.bootstrap(options, &founding).await?;
        if let Err(error) = Membership::confirm(&self.options.state_dir) {
            raft.shutdown().await;
            return Err(error);
        }
        let managing = Managing::start(node, raft, &papers, listener).await?;
        let started = self.start(membership.clone(), Some(managing), net, papers).await?;
        let started = member.insert(started);
        tokio::select! {
            ready = started.ready() => ready?,
            () = self.stopping.cancelled() => return Err(NodeError::Stopping),
        }
        tracing::info!(%node, %cluster, "cluster founded");
        Ok(membership)
    }

    /// Removes what is left of a membership that was announced or has ended; any other is left
    /// alone.
    pub(crate) fn make_room(&self) -> Result<(), NodeError> {
        let state = &self.options.state_dir;
        let announced = Membership::is_announced(state);
        for dir in OWN.map(|name| state.join(name)) {
            let holds_something =
                std::fs::read_dir(&dir).is_ok_and(|mut files| files.next().is_some());
            match (holds_something, announced) {
                (false, _) => {}
                (true, true) => {
                    std::fs::remove_dir_all(&dir).map_err(NodeError::io("remove", &dir))?;
                }
                (true, false) => return Err(Membership::lost(state)),
            }
        }
        Ok(())
    }

    /// Brings certificates and store into being.
    async fn bootstrap(
        &self,
        options: swarm_raft::Options,
        founding: &Founding,
    ) -> Result<Raft, NodeError> {
        let files = self.certificate_files()?;
        files.save_root(&founding.root_pem).map_err(NodeError::certificates)?;
        files.save(&founding.certificate).map_err(NodeError::certificates)?;
        let key = self.new_keys(&founding.unlock_key)?;
        Ok(Raft::bootstrap(options, key, founding.first.clone()).await?)
    }
}

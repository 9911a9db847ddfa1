//! The manager's half of a member: the replicated store and the manager on it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use swarm_crypto::KeyFile;
use swarm_manager::Manager;
use swarm_raft::Raft;
use swarm_types::NodeId;
use tokio::net::TcpListener;

use crate::member::{CERTIFICATES, Member, Papers};
use crate::membership::Membership;
use crate::{Inner, NodeError};

pub(crate) const RAFT_DIR: &str = "raft";
const KEY_FILE: &str = "raft.key";

/// What a manager's node runs beside its agent.
#[derive(Debug)]
pub(crate) struct Managing {
    pub(crate) raft: Raft,
    pub(crate) manager: Manager,
}

impl Managing {
    /// Starts the manager, or leaves it and the store stopped.
    pub(crate) async fn start(
        node: NodeId,
        raft: Raft,
        papers: &Papers,
        listener: TcpListener,
    ) -> Result<Self, NodeError> {
        let manager = Manager::start(swarm_manager::Options {
            node,
            raft: raft.clone(),
            credentials: papers.credentials.clone(),
            listener,
        });
        match manager {
            Ok(manager) => Ok(Self { raft, manager }),
            Err(error) => {
                raft.shutdown().await;
                Err(NodeError::io("serve", Path::new("the managers' port"))(error))
            }
        }
    }

    pub(crate) async fn stop(self) {
        self.manager.stop().await;
        self.raft.shutdown().await;
    }

    /// The node's own way to its manager's port.
    pub(crate) fn address(&self) -> SocketAddr {
        match self.manager.address() {
            SocketAddr::V4(it) if it.ip().is_unspecified() => ([127, 0, 0, 1], it.port()).into(),
            SocketAddr::V6(it) if it.ip().is_unspecified() => {
                (std::net::Ipv6Addr::LOCALHOST, it.port()).into()
            }
            other => other,
        }
    }

    /// Resolves with the reason when store or manager stop.
    pub(crate) fn failure(&self) -> impl Future<Output = NodeError> + Send + use<> {
        let (raft, mut manager) = (self.raft.clone(), self.manager.failed());
        async move {
            let mut stopped = raft.stopped();
            tokio::select! {
                _ = stopped.wait_for(Option::is_some) => {}
                _ = manager.wait_for(|failed| *failed) => {}
            }
            // A manager ends with its store; the store knows why.
            let reason = stopped.borrow().clone();
            reason.map_or(NodeError::Manager, NodeError::Stopped)
        }
    }
}

impl Inner {
    pub(crate) async fn resumed_manager(
        self: &std::sync::Arc<Self>,
        membership: Membership,
        advertise: SocketAddr,
    ) -> Result<Member, NodeError> {
        let listener = self.listen().await?;
        let papers = self.papers()?;
        let key = KeyFile::load(&self.key_file()).map_err(NodeError::certificates)?;
        let net = self.net().await?;
        let options = self.raft_options(membership.node, advertise);
        let raft = Raft::open(options, key.sealer()).await?;
        let managing = Managing::start(membership.node, raft, &papers, listener).await?;
        self.start(membership, Some(managing), net, papers).await
    }

    pub(crate) async fn listen(&self) -> Result<TcpListener, NodeError> {
        let address = self.options.listen_addr;
        TcpListener::bind(address).await.map_err(self.not_listening())
    }

    pub(crate) fn not_listening(&self) -> impl FnOnce(std::io::Error) -> NodeError + use<> {
        let address = self.options.listen_addr;
        move |source| NodeError::Listen { address, source }
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.options.state_dir.join(CERTIFICATES).join(KEY_FILE)
    }

    pub(crate) fn raft_options(&self, node: NodeId, advertise: SocketAddr) -> swarm_raft::Options {
        let dir = self.options.state_dir.join(RAFT_DIR);
        swarm_raft::Options::new(dir, node, advertise.to_string())
    }
}

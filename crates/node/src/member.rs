//! What a node runs while it is part of a cluster.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use swarm_agent::{Agent, AgentState};
use swarm_crypto::KeyFile;
use swarm_crypto::ca::{CertificateFiles, NodeCertificate};
use swarm_crypto::tls::Credentials;
use swarm_manager::Manager;
use swarm_net::Net;
use swarm_raft::Raft;
use swarm_types::object::node::{NodeState, TlsInfo};
use swarm_types::spec::node::Availability;
use swarm_types::{IdSource, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::found::{Founding, found};
use crate::membership::Membership;
use crate::{Inner, NodeError, Options, advertise};

/// How long a founded node may take until its own cluster hears it.
const READY_DEADLINE: Duration = Duration::from_secs(20);
const RAFT_DIR: &str = "raft";
/// Bridge that tasks reach the world through.
const BRIDGE: &str = "swarm0";
const WORKER_DIR: &str = "worker";
const KEY_FILE: &str = "raft.key";
const CERTIFICATES: &str = "certificates";
/// What a member keeps in the state directory; `net` is the networks' own.
pub(crate) const STATE: [&str; 4] = [RAFT_DIR, WORKER_DIR, CERTIFICATES, "net"];

/// What a node runs while it is part of a cluster.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) membership: Membership,
    pub(crate) raft: Raft,
    pub(crate) manager: Manager,
    agent: Agent,
}

impl Member {
    /// Stops agent, manager and store, in this order. Containers go on.
    pub(crate) async fn stop(self) {
        self.agent.stop().await;
        self.manager.stop().await;
        self.raft.shutdown().await;
    }

    /// Waits until the agent has a session and the cluster shows the node as READY.
    async fn ready(&self) -> Result<(), NodeError> {
        let mut state = self.agent.state();
        let ready = |state: &AgentState| {
            matches!(state, AgentState::Connected { node: Some(node), .. }
                if node.status.state == NodeState::Ready)
        };
        let waited = timeout(READY_DEADLINE, state.wait_for(ready)).await;
        if matches!(waited, Ok(Ok(_))) {
            return Ok(());
        }
        let state = match &*self.agent.state().borrow() {
            AgentState::Searching { why } => format!("no session with its manager: {why}"),
            AgentState::Connected { .. } => "it has a session, the cluster does not show it".into(),
            AgentState::Failed { why } => why.clone(),
            AgentState::Stopped => "its agent has stopped".into(),
        };
        Err(NodeError::NotReady { waited_s: READY_DEADLINE.as_secs(), state })
    }
}

impl Inner {
    /// Founds a cluster of one and returns once its node is READY in it.
    pub(crate) async fn found(
        self: &Arc<Self>,
        advertise: String,
        availability: Availability,
    ) -> Result<Membership, NodeError> {
        let inner = self.clone();
        // A task of its own: a caller who hangs up must not leave half a founding behind.
        let founded =
            self.tracker.spawn(async move { inner.found_whole(&advertise, availability).await });
        founded.await.unwrap_or(Err(NodeError::Stopping))
    }

    async fn found_whole(
        self: &Arc<Self>,
        advertise: &str,
        availability: Availability,
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
            *member = Some(self.resumed(membership).await?);
            return Ok(membership);
        }
        // Opened first: what is likeliest to fail must leave no cluster behind.
        let listener = self.listen().await?;
        let net = self.net().await?;
        let listened = listener.local_addr().map_err(self.not_listening())?;
        let advertise = advertise::choose(advertise, listened, &advertise::interfaces())?;
        let founding = found(advertise, availability, &mut IdSource::system(), Timestamp::now())?;
        let membership = Membership { node: founding.node, cluster: founding.cluster, advertise };
        let credentials = self.credentials(&founding.certificate, &founding.root_pem)?;
        self.make_room()?;
        membership.announce(&self.options.state_dir)?;
        let raft = self.bootstrap(&membership, &founding).await?;
        if let Err(error) = Membership::confirm(&self.options.state_dir) {
            raft.shutdown().await;
            return Err(error);
        }
        let started =
            self.start(membership, raft, net, credentials, founding.root_pem, listener).await?;
        let started = member.insert(started);
        tokio::select! {
            ready = started.ready() => ready?,
            () = self.stopping.cancelled() => return Err(NodeError::Stopping),
        }
        tracing::info!(node = %membership.node, cluster = %membership.cluster, "cluster founded");
        Ok(membership)
    }

    /// Removes the store of a founding that was interrupted; any other is left alone.
    fn make_room(&self) -> Result<(), NodeError> {
        let dir = self.options.state_dir.join(RAFT_DIR);
        let holds_something = fs::read_dir(&dir).is_ok_and(|mut files| files.next().is_some());
        match (holds_something, Membership::is_announced(&self.options.state_dir)) {
            (false, _) => Ok(()),
            (true, true) => fs::remove_dir_all(&dir).map_err(NodeError::io("remove", &dir)),
            (true, false) => Err(Membership::lost(&self.options.state_dir)),
        }
    }

    /// Starts what the node was part of before it was stopped.
    pub(crate) async fn resume(self: &Arc<Self>, membership: Membership) -> Result<(), NodeError> {
        let started = self.resumed(membership).await?;
        *self.member.lock().await = Some(started);
        Ok(())
    }

    async fn resumed(self: &Arc<Self>, membership: Membership) -> Result<Member, NodeError> {
        let listener = self.listen().await?;
        let files = CertificateFiles::open(&self.options.state_dir.join(CERTIFICATES));
        let files = files.map_err(NodeError::certificates)?;
        let missing = |what| {
            NodeError::Certificates(format!(
                "{what} is missing; bring the folder back from a backup, or join again as a new node"
            ))
        };
        let certificate = files.load().map_err(NodeError::certificates)?;
        let certificate = certificate.ok_or_else(|| missing("swarm-node.crt"))?;
        let root = files.root().map_err(NodeError::certificates)?;
        let root = root.ok_or_else(|| missing("swarm-root-ca.crt"))?;

        let credentials = self.credentials(&certificate, &root)?;

        let key = KeyFile::load(&self.key_file()).map_err(NodeError::certificates)?;
        let net = self.net().await?;
        let raft = Raft::open(self.raft_options(&membership), key.sealer()).await?;
        self.start(membership, raft, net, credentials, root, listener).await
    }

    async fn net(&self) -> Result<Net, NodeError> {
        Ok(Net::open(net_options(&self.options)).await?)
    }

    async fn listen(&self) -> Result<TcpListener, NodeError> {
        let address = self.options.listen_addr;
        TcpListener::bind(address).await.map_err(self.not_listening())
    }

    fn not_listening(&self) -> impl FnOnce(std::io::Error) -> NodeError + use<> {
        let address = self.options.listen_addr;
        move |source| NodeError::Listen { address, source }
    }

    /// Brings certificates and store into being.
    async fn bootstrap(
        &self,
        membership: &Membership,
        founding: &Founding,
    ) -> Result<Raft, NodeError> {
        let dir = &self.options.state_dir;
        let files = CertificateFiles::open(&dir.join(CERTIFICATES));
        let files = files.map_err(NodeError::certificates)?;
        files.save_root(&founding.root_pem).map_err(NodeError::certificates)?;
        files.save(&founding.certificate).map_err(NodeError::certificates)?;
        let key = KeyFile::load_or_create(&self.key_file()).map_err(NodeError::certificates)?;
        let options = self.raft_options(membership);
        Ok(Raft::bootstrap(options, key.sealer(), founding.first.clone()).await?)
    }

    /// What the node shows and trusts.
    fn credentials(
        &self,
        certificate: &NodeCertificate,
        root_pem: &str,
    ) -> Result<Credentials, NodeError> {
        Credentials::node(certificate, root_pem).map_err(|error| {
            let folder = self.options.state_dir.join(CERTIFICATES);
            NodeError::Certificates(format!(
                "{error}: swarm-root-ca.crt, swarm-node.crt and swarm-node.key in {} do not \
                 belong together; bring the folder back from a backup, or join again as a new node",
                folder.display()
            ))
        })
    }

    fn key_file(&self) -> std::path::PathBuf {
        self.options.state_dir.join(CERTIFICATES).join(KEY_FILE)
    }

    fn raft_options(&self, membership: &Membership) -> swarm_raft::Options {
        let dir = self.options.state_dir.join(RAFT_DIR);
        swarm_raft::Options::new(dir, membership.node, membership.advertise.to_string())
    }

    /// Starts manager and agent, or leaves neither of them, and no store, running.
    async fn start(
        self: &Arc<Self>,
        membership: Membership,
        raft: Raft,
        net: Net,
        credentials: Credentials,
        root_pem: String,
        listener: TcpListener,
    ) -> Result<Member, NodeError> {
        let manager = Manager::start(swarm_manager::Options {
            node: membership.node,
            raft: raft.clone(),
            credentials: credentials.clone(),
            listener,
        });
        let manager = match manager {
            Ok(manager) => manager,
            Err(error) => {
                raft.shutdown().await;
                return Err(NodeError::io("serve", Path::new("the managers' port"))(error));
            }
        };
        let managers = vec![reachable(manager.address()).to_string()];
        match Agent::start(self.agent_options(net, root_pem), managers, credentials).await {
            Ok(agent) => {
                self.control.open(manager.local_control());
                self.watch(raft.clone(), manager.failed(), agent.state());
                Ok(Member { membership, raft, manager, agent })
            }
            Err(error) => {
                // They hold the port and the files that the next try needs.
                manager.stop().await;
                raft.shutdown().await;
                Err(error.into())
            }
        }
    }

    fn agent_options(&self, net: Net, root_pem: String) -> swarm_agent::Options {
        swarm_agent::Options {
            runtime: self.runtime.clone(),
            net: Some(net),
            state_dir: self.options.state_dir.join(WORKER_DIR),
            run_dir: self.options.run_dir.clone(),
            engine_version: env!("CARGO_PKG_VERSION").to_owned(),
            hostname: String::new(),
            tls: TlsInfo { trust_root: root_pem, ..TlsInfo::default() },
        }
    }

    /// Fails the node when its store, its manager or its agent stops: half a node must not go on.
    fn watch(
        self: &Arc<Self>,
        raft: Raft,
        mut manager: watch::Receiver<bool>,
        mut agent: watch::Receiver<AgentState>,
    ) {
        let inner = self.clone();
        self.tracker.spawn(async move {
            let mut stopped = raft.stopped();
            tokio::select! {
                _ = stopped.wait_for(Option::is_some) => {}
                _ = manager.wait_for(|failed| *failed) => {}
                Ok(why) = failed(&mut agent) => {
                    inner.failure.send_replace(Some(Arc::new(NodeError::Agent { why })));
                    return;
                }
                () = inner.stopping.cancelled() => return,
            }
            // A manager ends with its store; the store knows why.
            let reason = stopped.borrow().clone();
            let failure = reason.map_or(NodeError::Manager, NodeError::Stopped);
            inner.failure.send_replace(Some(Arc::new(failure)));
        });
    }
}

/// The networks of a node with these options.
pub(crate) fn net_options(options: &Options) -> swarm_net::Options {
    swarm_net::Options {
        run_dir: options.run_dir.clone(),
        state_dir: options.state_dir.clone(),
        bridge: BRIDGE.to_owned(),
        subnet: options.gateway_subnet,
    }
}

/// Why the agent cannot go on, once it cannot.
async fn failed(
    agent: &mut watch::Receiver<AgentState>,
) -> Result<String, watch::error::RecvError> {
    loop {
        if let AgentState::Failed { why } = &*agent.borrow_and_update() {
            return Ok(why.clone());
        }
        agent.changed().await?;
    }
}

/// The node's own way to its manager's port.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(it) if it.ip().is_unspecified() => ([127, 0, 0, 1], it.port()).into(),
        SocketAddr::V6(it) if it.ip().is_unspecified() => {
            (std::net::Ipv6Addr::LOCALHOST, it.port()).into()
        }
        other => other,
    }
}

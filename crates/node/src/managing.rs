//! The manager's half of a member: the replicated store and the manager on it.
//!
//! A store that was made for joining, or was lost, is made anew and let in by the others
//! ([`crate::admission`]): what it holds comes from them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use swarm_crypto::tls::{self, Credentials};
use swarm_manager::{Authority, Manager};
use swarm_net::Net;
use swarm_proto::v1;
use swarm_proto::v1::ca_client::CaClient;
use swarm_raft::{Dial, OpenError, Raft};
use swarm_types::NodeId;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::admission::Admission;
use crate::expired::renew_by;
use crate::member::{CERTIFICATES, Member, Papers, WORKER_DIR};
use crate::membership::{Membership, Part};
use crate::renewal::{Signer, has_expired, renew_expired};
use crate::{Inner, NodeError, advertise, local};

pub(crate) const RAFT_DIR: &str = "raft";
const KEY_FILE: &str = "raft.key";
/// How long another manager may take to lead, before this one stops all the same.
const HAND_OVER: Duration = Duration::from_secs(4);
/// Rounds of asking every manager for the epoch.
const ROUNDS: usize = 5;
/// Pause between two rounds.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a manager may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

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

    /// Stops manager and store, after another manager leads where there is one: writes go on
    /// then, instead of waiting for an election.
    pub(crate) async fn stop(self) {
        // The others vote over this port.
        if let Err(error) = self.raft.hand_over(Instant::now() + HAND_OVER).await {
            tracing::warn!(%error, "no other manager leads yet");
        }
        self.manager.stop().await;
        self.raft.shutdown().await;
    }

    /// Where the managers are, `HOST:PORT` each, as this replica knows.
    pub(crate) fn managers(&self) -> Vec<String> {
        self.raft.info().members.into_values().map(|member| member.addr).collect()
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
        mut membership: Membership,
        advertise: SocketAddr,
        known: &[String],
    ) -> Result<Member, NodeError> {
        self.sweep_store()?;
        let advertise = self.present(advertise, known);
        // As long as the host is there: `node.toml` keeps what was told at first.
        membership.part = Part::Manager { advertise, managers: known.to_vec() };
        let listener = self.listen().await?;
        let papers = self.papers()?;
        let Some(key) = self.keys()? else {
            drop(listener);
            return self.start_locked(membership, papers).await;
        };
        let net = self.net().await?;
        let options = self.raft_options(membership.node, advertise, &papers.credentials);
        let raft = match Raft::open(options.clone(), key.clone()).await {
            // Its votes are lost with it: it comes back as another member.
            Err(error @ (OpenError::Absent { .. } | OpenError::Unfinished { .. })) => {
                let others = self.others(advertise, known).await?;
                if others.is_empty() {
                    return Err(error.into());
                }
                let epoch = tokio::select! {
                    epoch = self.epoch(&others, &papers.credentials) => epoch?,
                    () = self.stopping.cancelled() => return Err(NodeError::Stopping),
                };
                tracing::warn!("there is no store: joining the other managers again");
                // The empty store knows of nobody it could ask to let it in.
                membership.part = Part::Manager { advertise, managers: others };
                Raft::join(options, key, epoch).await?
            }
            opened => opened?,
        };
        self.manage(membership, raft, papers, net, listener).await
    }

    /// Starts the manager on its store, and the agent beside it.
    pub(crate) async fn manage(
        self: &std::sync::Arc<Self>,
        membership: Membership,
        raft: Raft,
        papers: Papers,
        net: Net,
        listener: TcpListener,
    ) -> Result<Member, NodeError> {
        let signer = Signer::Own(Authority::new(membership.node, raft.clone()));
        let files = self.certificate_files()?;
        if let Err(error) = renew_expired(&files, &papers.credentials, &signer).await {
            tracing::warn!(error, "this manager's certificate has expired, and was not renewed");
        }
        let managing = Managing::start(membership.node, raft, &papers, listener).await?;
        self.start(membership, Some(managing), net, papers).await
    }

    /// Where others reach the manager, as far as this host knows.
    fn present(&self, advertise: SocketAddr, known: &[String]) -> SocketAddr {
        let interfaces = advertise::interfaces();
        let listened = self.options.listen_addr;
        let Some(moved) = advertise::moved(advertise, listened, known, &interfaces) else {
            return advertise;
        };
        tracing::warn!(was = %advertise, now = %moved, "this host has another address: the other managers are told");
        moved
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

    pub(crate) fn raft_options(
        &self,
        node: NodeId,
        advertise: SocketAddr,
        credentials: &Credentials,
    ) -> swarm_raft::Options {
        let dir = self.options.state_dir.join(RAFT_DIR);
        let credentials = credentials.clone();
        let dial = Dial::new(move |addr| tls::channel(addr, &credentials));
        swarm_raft::Options { dial, ..swarm_raft::Options::new(dir, node, advertise.to_string()) }
    }

    /// What lets the node's store in, and keeps it there.
    pub(crate) fn admission(
        &self,
        membership: &Membership,
        (advertise, known): (SocketAddr, &[String]),
        raft: &Raft,
        credentials: &Credentials,
    ) -> Admission {
        Admission {
            node: membership.node,
            raft: raft.clone(),
            credentials: credentials.clone(),
            addr: advertise.to_string(),
            known: self.not_own(advertise, known),
        }
    }

    /// The other managers that are known without a store.
    pub(crate) async fn others(
        &self,
        own: SocketAddr,
        known: &[String],
    ) -> Result<Vec<String>, NodeError> {
        let told = swarm_agent::kept_managers(&self.options.state_dir.join(WORKER_DIR)).await?;
        let mut others: Vec<String> = Vec::new();
        for manager in self.not_own(own, told.iter().chain(known)) {
            if !others.contains(&manager) {
                others.push(manager);
            }
        }
        Ok(others)
    }

    /// Those that are not this node's own manager.
    pub(crate) fn not_own<'a>(
        &self,
        advertise: SocketAddr,
        managers: impl IntoIterator<Item = &'a String>,
    ) -> Vec<String> {
        let (listened, interfaces) = (self.options.listen_addr, advertise::interfaces());
        let others = managers
            .into_iter()
            .filter(|manager| !advertise::is_own(manager, advertise, listened, &interfaces));
        others.cloned().collect()
    }

    /// The cluster's epoch, from the first manager that answers.
    async fn epoch(&self, known: &[String], credentials: &Credentials) -> Result<u64, NodeError> {
        let files = self.certificate_files()?;
        if credentials.certificate().is_some_and(|it| has_expired(&it))
            && let Err(error) = renew_by(known, &files, credentials).await
        {
            tracing::warn!(error, "this manager's certificate has expired, and was not renewed");
        }
        let own = files.load().map_err(NodeError::certificates)?;
        let key = own.ok_or_else(|| NodeError::certificates("swarm-node.key is missing"))?.key;
        let csr = key.csr().map_err(NodeError::certificates)?;
        let mut last = None;
        for round in 0..ROUNDS {
            if round > 0 {
                sleep(PAUSE).await;
            }
            for manager in known {
                let channel =
                    tls::channel(manager, credentials).map_err(NodeError::certificates)?;
                let request = v1::RenewNodeCertificateRequest { csr: csr.clone() };
                let mut ca = CaClient::new(channel);
                match timeout(ANSWER, ca.renew_node_certificate(request)).await {
                    Ok(Ok(answer)) => return Ok(answer.into_inner().epoch),
                    Ok(Err(refusal)) => last = Some((manager, local::said(&refusal))),
                    Err(_) => last = Some((manager, "no answer in time".to_owned())),
                }
            }
        }
        let (manager, why) = last.map_or_else(Default::default, |(it, why)| (it.clone(), why));
        Err(NodeError::Alone { manager, why })
    }
}

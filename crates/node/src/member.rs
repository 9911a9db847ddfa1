//! What a node runs while it is part of a cluster: an agent always, a manager where it is one.
//!
//! How it becomes part of a cluster is in [`crate::founding`] and [`crate::join`]; the manager's
//! half is in [`crate::managing`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use swarm_agent::{Agent, AgentState, Calls, Known};
use swarm_crypto::ca::{CertificateFiles, NodeCertificate};
use swarm_crypto::tls::Credentials;
use swarm_net::Net;
use swarm_types::object::node::{NodeState, TlsInfo};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::managing::{self, Managing};
use crate::membership::{Membership, Part};
use crate::role::Present;
use crate::{Inner, NodeError, Options, role, tasks};

/// How long a node that has become a member may take until its cluster shows it as READY.
const READY_DEADLINE: Duration = Duration::from_secs(20);
/// Bridge that tasks reach the world through.
const BRIDGE: &str = "swarm0";
pub(crate) const WORKER_DIR: &str = "worker";
pub(crate) const CERTIFICATES: &str = "certificates";
/// What is a member's own in the state directory, and goes when it leaves.
pub(crate) const OWN: [&str; 4] = [managing::RAFT_DIR, role::GIVEN_UP, WORKER_DIR, CERTIFICATES];
/// What a member keeps in the state directory; `net` is the networks' own.
pub(crate) const STATE: [&str; 5] =
    [managing::RAFT_DIR, role::GIVEN_UP, WORKER_DIR, CERTIFICATES, "net"];

/// What a node runs while it is part of a cluster.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) membership: Membership,
    /// What a manager runs beside; `None` on a worker.
    pub(crate) managing: Option<Managing>,
    pub(crate) agent: Agent,
    /// Held for as long as the member is there, for what follows its role and keeps it among the
    /// managers.
    there: Option<DropGuard>,
    /// What renews its certificate, and of a manager its key file.
    upkeep: [Option<Upkeep>; 2],
}

/// What writes a member's files; it ends with the member.
#[derive(Debug)]
pub(crate) struct Upkeep {
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Upkeep {
    pub(crate) fn spawn(
        tracker: &TaskTracker,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tracker.spawn(async move {
            stopped.run_until_cancelled(work).await;
        });
        Self { stop: stop.drop_guard(), task }
    }

    /// Ends it; it has written its last then.
    async fn end(self) {
        drop(self.stop);
        // It may have ended by itself.
        let _ = self.task.await;
    }
}

/// What a node shows to others and trusts in them, as it is on disk.
pub(crate) struct Papers {
    pub(crate) credentials: Credentials,
    pub(crate) root_pem: String,
}

impl Member {
    /// Stops agent, manager and store, in this order. Containers go on.
    pub(crate) async fn stop(mut self) {
        // It must not write to files that the next member makes anew.
        self.end_upkeep().await;
        self.agent.stop().await;
        if let Some(managing) = self.managing {
            managing.stop().await;
        }
    }

    /// Leaves the member as it is from here on.
    pub(crate) async fn end_upkeep(&mut self) {
        self.there = None;
        for upkeep in self.upkeep.iter_mut().filter_map(Option::take) {
            upkeep.end().await;
        }
    }

    /// Ends the node's tasks, and stops as [`Member::stop`].
    pub(crate) async fn leave(self) {
        self.agent.leave().await;
        if let Some(managing) = self.managing {
            managing.stop().await;
        }
    }

    /// Waits until the agent has a session and the cluster shows the node as READY.
    pub(crate) async fn ready(&self) -> Result<(), NodeError> {
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
            AgentState::Searching { why, .. } => format!("no session with a manager: {why}"),
            AgentState::Removed { why } => why.clone(),
            AgentState::Connected { .. } => "it has a session, the cluster does not show it".into(),
            AgentState::Failed { why } => why.clone(),
            AgentState::Stopped => "its agent has stopped".into(),
        };
        Err(NodeError::NotReady { waited_s: READY_DEADLINE.as_secs(), state })
    }

    /// What is wrong with a node that runs; empty when nothing is.
    pub(crate) fn trouble(&self) -> String {
        match &*self.agent.state().borrow() {
            AgentState::Removed { .. } => {
                "the node was removed from its cluster: run `swarm leave`, then join again".into()
            }
            _ => String::new(),
        }
    }

    /// The managers the node knows to reach, `HOST:PORT` each.
    pub(crate) fn managers(&self) -> Vec<String> {
        match (&self.managing, &self.membership.part) {
            (Some(managing), _) => managing.managers(),
            (None, Part::Worker { managers, .. } | Part::Manager { managers, .. }) => {
                managers.clone()
            }
        }
    }

    /// Where others reach the node, as far as is known; empty while nobody said.
    pub(crate) fn address(&self) -> String {
        match &self.membership.part {
            Part::Manager { advertise, .. } | Part::Worker { advertise: Some(advertise), .. } => {
                advertise.to_string()
            }
            Part::Worker { advertise: None, .. } => match &*self.agent.state().borrow() {
                AgentState::Connected { node: Some(node), .. } => node.status.addr.clone(),
                _ => String::new(),
            },
        }
    }
}

impl Inner {
    /// Starts what the node was part of before it was stopped.
    pub(crate) async fn resume(self: &Arc<Self>, membership: Membership) -> Result<(), NodeError> {
        let started = self.resumed(membership).await?;
        *self.member.lock().await = Some(started);
        Ok(())
    }

    pub(crate) async fn resumed(
        self: &Arc<Self>,
        membership: Membership,
    ) -> Result<Member, NodeError> {
        match &membership.part {
            Part::Manager { advertise, managers } => {
                let (advertise, managers) = (*advertise, managers.clone());
                self.resumed_manager(membership, advertise, &managers).await
            }
            Part::Worker { .. } => {
                self.drop_store()?;
                let papers = self.papers()?;
                let net = self.net().await?;
                self.start(membership, None, net, papers).await
            }
        }
    }

    /// Starts the agent beside the manager, if there is one; leaves neither running when it fails.
    pub(crate) async fn start(
        self: &Arc<Self>,
        membership: Membership,
        managing: Option<Managing>,
        net: Net,
        papers: Papers,
    ) -> Result<Member, NodeError> {
        let (Part::Worker { managers, .. } | Part::Manager { managers, .. }) = &membership.part;
        let known = Known {
            own: managing.as_ref().map(|managing| managing.address().to_string()),
            others: managers.clone(),
        };
        let (calls, connections) = mpsc::channel(1);
        tasks::serve(self, connections);
        let options = self.agent_options(&membership, net, papers.root_pem, calls);
        match Agent::start(options, known, papers.credentials.clone()).await {
            Ok(agent) => {
                self.control.to(managing.as_ref());
                let (present, there) = Present::new(&membership);
                self.stay_in(&present, managing.as_ref(), &papers.credentials);
                self.follow_role(present, &papers.credentials, &agent);
                let renewal = self.renew_papers(papers.credentials, managing.as_ref(), &agent);
                let unlock_key = self.follow_unlock_key(managing.as_ref());
                let upkeep = [Some(renewal), unlock_key];
                let member = Member { membership, managing, agent, there: Some(there), upkeep };
                self.watch(&member);
                Ok(member)
            }
            Err(error) => {
                // It holds the port and the files that the next try needs.
                if let Some(managing) = managing {
                    managing.stop().await;
                }
                Err(error.into())
            }
        }
    }

    /// Has a manager's store let in again, whenever it is not, and makes another one when that one
    /// cannot be.
    fn stay_in(
        self: &Arc<Self>,
        present: &Present,
        managing: Option<&Managing>,
        credentials: &Credentials,
    ) {
        let membership = &present.membership;
        let (Part::Manager { advertise, managers }, Some(managing)) = (&membership.part, managing)
        else {
            return;
        };
        let at = (*advertise, managers.as_slice());
        let admission = self.admission(membership, at, &managing.raft, credentials);
        let (present, inner) = (present.clone(), self.clone());
        self.tracker.spawn(async move {
            if present.keeps(admission.keep()).await.is_some() {
                inner.begin_anew(&present).await;
            }
        });
    }

    pub(crate) async fn net(&self) -> Result<Net, NodeError> {
        Ok(Net::open(net_options(&self.options)).await?)
    }

    pub(crate) fn certificate_files(&self) -> Result<CertificateFiles, NodeError> {
        CertificateFiles::open(&self.certificates()).map_err(NodeError::certificates)
    }

    pub(crate) fn certificates(&self) -> PathBuf {
        self.options.state_dir.join(CERTIFICATES)
    }

    /// The certificate and the root of a member.
    pub(crate) fn papers(&self) -> Result<Papers, NodeError> {
        let files = self.certificate_files()?;
        let missing = |what| {
            NodeError::Certificates(format!(
                "{what} is missing; bring the folder back from a backup, or join again as a new node"
            ))
        };
        let certificate = files.load().map_err(NodeError::certificates)?;
        let certificate = certificate.ok_or_else(|| missing("swarm-node.crt"))?;
        let root = files.root().map_err(NodeError::certificates)?;
        let root_pem = root.ok_or_else(|| missing("swarm-root-ca.crt"))?;
        Ok(Papers { credentials: self.credentials(&certificate, &root_pem)?, root_pem })
    }

    /// What the node shows and trusts.
    pub(crate) fn credentials(
        &self,
        certificate: &NodeCertificate,
        root_pem: &str,
    ) -> Result<Credentials, NodeError> {
        Credentials::node(certificate, root_pem).map_err(|error| {
            NodeError::Certificates(format!(
                "{error}: swarm-root-ca.crt, swarm-node.crt and swarm-node.key in {} do not \
                 belong together; bring the folder back from a backup, or join again as a new node",
                self.certificates().display()
            ))
        })
    }

    fn agent_options(
        &self,
        membership: &Membership,
        net: Net,
        root_pem: String,
        calls: Calls,
    ) -> swarm_agent::Options {
        let advertise = match membership.part {
            Part::Manager { advertise, .. } => Some(advertise),
            Part::Worker { advertise, .. } => advertise,
        };
        swarm_agent::Options {
            runtime: self.runtime.clone(),
            net: Some(net),
            state_dir: self.options.state_dir.join(WORKER_DIR),
            run_dir: self.options.run_dir.clone(),
            engine_version: env!("CARGO_PKG_VERSION").to_owned(),
            hostname: String::new(),
            addr: advertise.as_ref().map(SocketAddr::ip),
            calls,
            tls: TlsInfo { trust_root: root_pem, ..TlsInfo::default() },
        }
    }

    /// Fails the node when its store, its manager or its agent stops: half a node must not go on.
    fn watch(self: &Arc<Self>, member: &Member) {
        let inner = self.clone();
        let managing = member.managing.as_ref().map(Managing::failure);
        let mut agent = member.agent.state();
        self.tracker.spawn(async move {
            let managing = async {
                match managing {
                    Some(failure) => failure.await,
                    None => std::future::pending().await,
                }
            };
            let failure = tokio::select! {
                // The agent is stopped before the manager: whoever looks only when both have
                // stopped must not take that for a failure.
                biased;
                () = inner.stopping.cancelled() => return,
                ended = ended(&mut agent) => match ended {
                    Some(why) => NodeError::Agent { why },
                    // It was stopped: the node leaves its cluster.
                    None => return,
                },
                failure = managing => failure,
            };
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

/// Why the agent cannot go on, once it cannot; `None` when it was stopped.
async fn ended(agent: &mut watch::Receiver<AgentState>) -> Option<String> {
    loop {
        match &*agent.borrow_and_update() {
            AgentState::Failed { why } => return Some(why.clone()),
            AgentState::Stopped => return None,
            AgentState::Searching { .. }
            | AgentState::Connected { .. }
            | AgentState::Removed { .. } => {}
        }
        agent.changed().await.ok()?;
    }
}

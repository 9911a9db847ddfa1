//! `Join`: the node becomes part of a cluster that is there, with the role its token gives.
//!
//! The key is made here and stays here; who the node is comes from the cluster. Only the key is on
//! disk before the cluster has answered, and a worker's `node.toml` comes last: a node that was
//! interrupted is of no cluster, and joins again with the same key, as the same node. A manager's
//! comes before its store is let in: the cluster may count on that from then on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use swarm_crypto::ca::{JoinToken, NodeCertificate, NodeKey};
use swarm_crypto::tls::{self, Credentials};
use swarm_proto::v1;
use swarm_proto::v1::ca_client::CaClient;
use swarm_proto::{DecodeError, field};
use swarm_raft::Raft;
use swarm_types::spec::node::{Availability, NodeRole};
use swarm_types::{ClusterId, NodeId, Sensitive};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

use crate::local::said;
use crate::managing::Managing;
use crate::member::Papers;
use crate::membership::{Membership, Part};
use crate::{Inner, NodeError, admission, advertise};

/// Rounds of asking every manager.
const ROUNDS: usize = 5;
/// Pause between two rounds.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a manager may take to answer, its own waits for a quorum included.
const ANSWER: Duration = Duration::from_secs(8);
/// How long the others may take to let a manager's store in.
const ADMISSION: Duration = Duration::from_secs(40);
/// Most managers that can be named.
const MOST: usize = 16;

/// What a node joins with.
#[derive(Debug)]
pub(crate) struct Joining {
    pub(crate) token: JoinToken,
    /// Managers, `HOST:PORT` each.
    pub(crate) remotes: Vec<String>,
    /// Address others are told; empty leaves it to the managers.
    pub(crate) advertise: String,
    pub(crate) availability: Availability,
}

impl Inner {
    /// Joins a cluster and returns once the node is READY in it.
    pub(crate) async fn join(self: &Arc<Self>, with: Joining) -> Result<Membership, NodeError> {
        let inner = self.clone();
        // A task of its own: a caller who hangs up must not leave half a node behind.
        let joined = self.tracker.spawn(async move { inner.join_whole(&with).await });
        joined.await.unwrap_or(Err(NodeError::Stopping))
    }

    async fn join_whole(self: &Arc<Self>, with: &Joining) -> Result<Membership, NodeError> {
        let mut member = self.member.lock().await;
        if member.is_some() {
            return Err(NodeError::Member);
        }
        // It became part of one earlier, and its parts did not start.
        if let Some(membership) = Membership::load(&self.options.state_dir)? {
            *member = Some(self.resumed(membership).await?);
            return Err(NodeError::Member);
        }
        self.check_remotes(&with.remotes)?;
        let advertise = self.told(&with.advertise)?;
        self.make_room()?;
        // What is likeliest to fail here must leave no node behind in the cluster.
        let net = self.net().await?;
        let as_manager = self.manager_place(advertise, &with.remotes).await;
        let admitted = tokio::select! {
            admitted = self.admitted(with) => admitted?,
            () = self.stopping.cancelled() => return Err(NodeError::Stopping),
        };
        let Admitted { node, cluster, role, certificate, root_pem, managers, epoch } = admitted;
        let credentials = self.credentials(&certificate, &root_pem)?;
        let papers = Papers { credentials, root_pem };
        let place = match role {
            NodeRole::Manager => Some(as_manager?),
            NodeRole::Worker => None,
        };
        let part = match &place {
            Some((_, advertise)) => Part::Manager { advertise: *advertise, managers },
            None => Part::Worker { advertise, managers },
        };
        let membership = Membership { node, cluster, part };
        membership.announce(&self.options.state_dir)?;
        let files = self.certificate_files()?;
        files.save_root(&papers.root_pem).map_err(NodeError::certificates)?;
        files.save(&certificate).map_err(NodeError::certificates)?;
        let (managing, undecided) = match place {
            Some((listener, _)) => {
                let (managing, undecided) =
                    self.new_manager(&membership, &papers, listener, epoch).await?;
                (Some(managing), undecided)
            }
            None => {
                Membership::confirm(&self.options.state_dir)?;
                (None, None)
            }
        };
        let started = self.start(membership.clone(), managing, net, papers).await?;
        let started = member.insert(started);
        Membership::forget_joining(&self.options.state_dir)?;
        if let Some(undecided) = undecided {
            return Err(undecided);
        }
        tokio::select! {
            ready = started.ready() => ready?,
            () = self.stopping.cancelled() => return Err(NodeError::Stopping),
        }
        tracing::info!(%node, %cluster, role = role.as_str(), "joined a cluster");
        Ok(membership)
    }

    /// Has a cluster let the node in, as the one that it may have let in before.
    async fn admitted(&self, with: &Joining) -> Result<Admitted, NodeError> {
        let state = &self.options.state_dir;
        let key = || Membership::joining_key(state, &with.token, with.availability);
        match admitted(with, key()?).await {
            // The node of that key was removed meanwhile, and does not come back.
            Err(NodeError::NotAdmitted { code: Code::Aborted, .. }) => {
                Membership::forget_joining(state)?;
                admitted(with, key()?).await
            }
            asked => asked,
        }
    }

    /// What a manager needs of this host: its port, and where others reach that.
    async fn manager_place(
        &self,
        told: Option<SocketAddr>,
        remotes: &[String],
    ) -> Result<(TcpListener, SocketAddr), NodeError> {
        let listener = self.listen().await?;
        let listened = listener.local_addr().map_err(self.not_listening())?;
        let advertise = match told {
            Some(told) => told,
            None => advertise::choose("", listened, &advertise::interfaces())
                .or_else(|error| advertise::towards(remotes, listened).ok_or(error))?,
        };
        Ok((listener, advertise))
    }

    /// Starts a manager on an empty store, and has the others let it in. When they refuse, nothing
    /// of it stays. When what they did is not known, and they may count its vote, it stays: a vote
    /// that is counted and never given stops the cluster.
    async fn new_manager(
        &self,
        membership: &Membership,
        papers: &Papers,
        listener: TcpListener,
        epoch: u64,
    ) -> Result<(Managing, Option<NodeError>), NodeError> {
        let state = &self.options.state_dir;
        let Part::Manager { advertise, managers } = &membership.part else {
            return Err(NodeError::Manager);
        };
        // The cluster's unlock key is known once the store has heard of the cluster.
        let key = self.new_keys(&Sensitive::default())?;
        let options = self.raft_options(membership.node, *advertise, &papers.credentials);
        let raft = Raft::join(options, key, epoch).await?;
        if let Err(error) = Membership::confirm(state) {
            raft.shutdown().await;
            return Err(error);
        }
        let at = (*advertise, managers.as_slice());
        let admission = self.admission(membership, at, &raft, &papers.credentials);
        let managing = Managing::start(membership.node, raft, papers, listener).await?;
        let admitted = tokio::select! {
            admitted = admission.within(ADMISSION) => admitted,
            () = self.stopping.cancelled() => Err(NodeError::Stopping),
        };
        let error = match admitted {
            Ok(()) => return Ok((managing, None)),
            Err(error) => error,
        };
        if let Some(undecided) = undecided(&error, &managing.raft) {
            return Ok((managing, Some(undecided)));
        }
        let raft = managing.raft.clone();
        managing.stop().await;
        // What it was told while it stopped counts as well: then the next start goes on.
        if !matches!(error, NodeError::Stopping) && undecided(&error, &raft).is_none() {
            Membership::end(state)?;
        }
        Err(error)
    }

    /// Refuses what cannot be a manager's address.
    fn check_remotes(&self, remotes: &[String]) -> Result<(), NodeError> {
        let refused = |why: String| Err(NodeError::Remote { why });
        if remotes.is_empty() || remotes.len() > MOST {
            return refused(format!("between 1 and {MOST} of them are needed"));
        }
        let own = advertise::interfaces();
        for remote in remotes {
            let Ok(address) = remote.parse::<SocketAddr>() else { continue };
            let here = address.ip().is_loopback() || own.iter().any(|here| here.ip == address.ip());
            if here && address.port() == self.options.listen_addr.port() {
                return refused(format!("{remote} is this node's own address"));
            }
        }
        Ok(())
    }

    /// The address that was asked to be told.
    fn told(&self, advertise: &str) -> Result<Option<SocketAddr>, NodeError> {
        if advertise.is_empty() {
            return Ok(None);
        }
        let interfaces = advertise::interfaces();
        advertise::choose(advertise, self.options.listen_addr, &interfaces).map(Some)
    }
}

/// Why the others may count the vote of a store that they did not let in, as far as is known here:
/// a store that is not complete was never asked for it.
fn undecided(error: &NodeError, raft: &Raft) -> Option<NodeError> {
    let NodeError::NotAdmitted { remote, why, code } = error else { return None };
    let may = if admission::is_final(*code) { raft.votes() } else { raft.is_complete() };
    may.then(|| NodeError::Undecided { manager: remote.clone(), why: why.clone() })
}

/// What a cluster gave to a node.
struct Admitted {
    node: NodeId,
    cluster: ClusterId,
    role: NodeRole,
    certificate: NodeCertificate,
    root_pem: String,
    managers: Vec<String>,
    epoch: u64,
}

/// Asks the managers one after the other until one lets the node in, or refuses it.
async fn admitted(with: &Joining, key: NodeKey) -> Result<Admitted, NodeError> {
    let credentials = Credentials::joining(&with.token).map_err(NodeError::certificates)?;
    let request = v1::IssueNodeCertificateRequest {
        token: Some((&with.token.text()).into()),
        csr: key.csr().map_err(NodeError::certificates)?,
        availability: field::put_word(with.availability),
    };
    let mut last = Status::unavailable("nobody was asked");
    for round in 0..ROUNDS {
        if round > 0 {
            sleep(PAUSE).await;
        }
        for remote in &with.remotes {
            match ask(remote, &credentials, request.clone()).await {
                Ok(answer) => return read(answer, with, key),
                Err(status) if is_passing(&status) => {
                    tracing::info!(remote, %status, "not joined yet");
                    last = status;
                }
                Err(status) => return Err(refused(remote, status)),
            }
        }
    }
    Err(refused(&with.remotes.join(", "), last))
}

async fn ask(
    remote: &str,
    credentials: &Credentials,
    request: v1::IssueNodeCertificateRequest,
) -> Result<v1::IssueNodeCertificateResponse, Status> {
    let channel = tls::channel(remote, credentials);
    let channel = channel.map_err(|error| Status::invalid_argument(error.to_string()))?;
    let mut ca = CaClient::new(channel);
    match timeout(ANSWER, ca.issue_node_certificate(request)).await {
        Ok(answer) => answer.map(tonic::Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded("no answer in time")),
    }
}

/// True when the same manager, or another one, may answer otherwise a little later.
fn is_passing(status: &Status) -> bool {
    let passing = [Code::Unavailable, Code::DeadlineExceeded, Code::ResourceExhausted];
    passing.contains(&status.code()) && !is_distrusted(status)
}

/// True when the other side is not the cluster of the token: TLS says so by malformed data.
fn is_distrusted(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return error.kind() == std::io::ErrorKind::InvalidData;
        }
        source = error.source();
    }
    false
}

fn refused(remote: &str, status: Status) -> NodeError {
    NodeError::NotAdmitted { remote: remote.to_owned(), why: said(&status), code: status.code() }
}

/// Takes nothing on trust: the certificate must be for this key, under the token's root.
fn read(
    answer: v1::IssueNodeCertificateResponse,
    with: &Joining,
    key: NodeKey,
) -> Result<Admitted, NodeError> {
    let unreadable = |error: DecodeError| NodeError::certificates(error);
    let (node, cluster) = (
        field::id(&answer.node_id, "node_id").map_err(unreadable)?,
        field::id(&answer.cluster_id, "cluster_id").map_err(unreadable)?,
    );
    let certificate = NodeCertificate::new(answer.chain, key).map_err(NodeError::certificates)?;
    let identity = certificate.certificate.identity;
    let role: NodeRole = field::word(answer.role, "role").map_err(unreadable)?;
    let as_said = (identity.node, identity.cluster, identity.role) == (node, cluster, role);
    let named = with.token.names_root(&answer.root).map_err(NodeError::certificates)?;
    if !as_said || !named {
        return Err(NodeError::certificates("the manager's answer does not fit together"));
    }
    let mut managers = answer.managers;
    if managers.is_empty() {
        managers.clone_from(&with.remotes);
    }
    let (root_pem, epoch) = (answer.root, answer.epoch);
    Ok(Admitted { node, cluster, role, certificate, root_pem, managers, epoch })
}

#[cfg(test)]
mod tests {
    use swarm_crypto::KeyFile;
    use swarm_raft::Dial;
    use swarm_types::spec::cluster::ClusterSpec;
    use swarm_types::{IdSource, Timestamp};

    use super::*;
    use crate::found::found;

    /// Whether the store stays, after that answer of the others.
    fn stays(code: Code, raft: &Raft) -> bool {
        let (remote, why) = ("10.0.0.1:2377".to_owned(), String::new());
        undecided(&NodeError::NotAdmitted { remote, why, code }, raft).is_some()
    }

    #[tokio::test]
    async fn a_store_stays_as_long_as_its_vote_may_count() {
        let dir = tempfile::tempdir().unwrap();
        let key = |name| KeyFile::load_or_create(&dir.path().join(name)).unwrap().sealer();
        let ids = &mut IdSource::seeded(1);
        let founding = found(Availability::Active, ClusterSpec::default(), ids, Timestamp::now());
        let founding = founding.unwrap();
        let options = |name| swarm_raft::Options {
            dial: Dial::nowhere(),
            ..swarm_raft::Options::new(dir.path().join(name), founding.node, "a:1".into())
        };

        let fresh = Raft::join(options("fresh"), key("fresh.key"), 1).await.unwrap();
        for code in [Code::DeadlineExceeded, Code::Unavailable, Code::FailedPrecondition] {
            assert!(!stays(code, &fresh), "nobody ever asked it for its vote");
        }
        fresh.shutdown().await;

        let first = founding.first.clone();
        let voter = Raft::bootstrap(options("voter"), key("voter.key"), first).await.unwrap();
        for code in [Code::DeadlineExceeded, Code::Unavailable, Code::Aborted] {
            assert!(stays(code, &voter));
        }
        assert!(undecided(&NodeError::Stopping, &voter).is_none());
        voter.shutdown().await;
    }
}

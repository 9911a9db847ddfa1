//! The node behind the socket: founding, joining and leaving a cluster, and what the node knows of itself.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use swarm_proto::v1::node_local_client::NodeLocalClient;
use swarm_proto::{DecodeError, field, v1};
use swarm_types::spec::cluster::ClusterSpec;
use swarm_types::spec::node::{Availability, NodeRole};
use swarm_types::{ClusterId, NodeId, Sensitive};

use crate::services::request_id;
use crate::{Client, ClientError};

/// How long founding a cluster may take; the daemon gives up before that.
const INIT_DEADLINE: Duration = Duration::from_secs(90);

/// How long joining may take: asking every manager, and being heard there.
const JOIN_DEADLINE: Duration = Duration::from_secs(120);
/// How long leaving may take; tasks have their time to end.
const LEAVE_DEADLINE: Duration = Duration::from_secs(90);

/// A cluster that was founded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Founded {
    /// Its first node.
    pub node: NodeId,
    /// The cluster.
    pub cluster: ClusterId,
    /// What workers join with.
    pub worker: JoinToken,
    /// What unlocks its managers; empty without autolock.
    pub unlock_key: Sensitive,
}

/// What nodes of one role join with. The token is a secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinToken {
    /// The token.
    pub token: Sensitive,
    /// Manager they join at, `HOST:PORT`.
    pub manager: String,
}

/// How a node joins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Joining {
    /// What it was given.
    pub token: Sensitive,
    /// Managers to ask, `HOST:PORT` each.
    pub managers: Vec<String>,
    /// IP address or network interface others are told, with or without a port; empty leaves it to
    /// the managers.
    pub advertise: String,
    /// Address to listen on; empty means the daemon's setting.
    pub listen: String,
    /// Whether it takes tasks.
    pub availability: Availability,
}

/// A cluster that was joined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Joined {
    /// The new node.
    pub node: NodeId,
    /// The cluster.
    pub cluster: ClusterId,
    /// The node's part in it.
    pub role: NodeRole,
}

/// Whether a manager leaves, and takes its replica of the state with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leaving {
    /// It does not.
    Asked,
    /// It does.
    Forced,
}

/// What a node knows of itself and its cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Info {
    /// The node; `None` outside of a cluster.
    pub node: Option<NodeId>,
    /// Where the node stands.
    pub state: LocalState,
    /// Whether it is a manager.
    pub is_manager: bool,
    /// Its cluster; `None` when the node is no manager.
    pub cluster: Option<ClusterId>,
    /// The node whose manager leads, if one is known.
    pub leader: Option<NodeId>,
    /// Nodes of the managers that answer, with this one; empty while a leader is known.
    pub reachable: Vec<NodeId>,
    /// Nodes of the cluster; 0 when the node is no manager.
    pub nodes: u32,
    /// Managers among them.
    pub managers: u32,
    /// Settings of the cluster; `None` when the node is no manager, or is locked.
    pub settings: Option<ClusterSpec>,
    /// Index of the last log entry the node applied.
    pub applied_index: u64,
    /// Address others reach the node at.
    pub address: String,
    /// The managers it knows to reach, `HOST:PORT` each.
    pub manager_addresses: Vec<String>,
    /// Version of the daemon.
    pub version: String,
    /// Version of containerd; empty when it does not answer.
    pub containerd_version: String,
    /// What is wrong; empty when nothing is.
    pub error: String,
}

impl Info {
    /// [`Self::address`] without the port that a manager listens on.
    #[must_use]
    pub fn host(&self) -> String {
        let socket = self.address.parse::<SocketAddr>();
        socket.map_or_else(|_| self.address.clone(), |socket| socket.ip().to_string())
    }
}

/// What a node is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Versions {
    /// Version of the daemon.
    pub daemon: String,
    /// Version of containerd.
    pub containerd: String,
    /// Version of runc; empty when it does not say.
    pub runc: String,
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LocalState {
    /// In no cluster.
    Inactive,
    /// On its way into one.
    Pending,
    /// In a cluster.
    Active,
    /// In a cluster, and something is wrong.
    Error,
    /// In a cluster, waiting for the unlock key.
    Locked,
}

impl fmt::Display for LocalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Error => "error",
            Self::Locked => "locked",
        })
    }
}

impl Client {
    pub(crate) fn local(&self) -> NodeLocalClient<tonic::transport::Channel> {
        NodeLocalClient::new(self.channel.clone())
    }

    /// Founds a cluster of one. Others are told `advertise`: an IP address or a network
    /// interface, with or without a port. The daemon chooses when it is empty.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when the node is part of a cluster.
    pub async fn init(&self, advertise: &str) -> Result<Founded, ClientError> {
        self.init_with(advertise, Availability::Active, &ClusterSpec::default()).await
    }

    /// Makes a cluster of one of what the node, a manager, holds: for one whose quorum is lost for
    /// good. `advertise` as in [`Self::init`]; empty keeps the address. The members of before are
    /// strangers to it.
    ///
    /// # Errors
    ///
    /// As [`Self::init`], and [`ClientError::Refused`] where a quorum answers.
    pub async fn force_new(&self, advertise: &str) -> Result<Founded, ClientError> {
        self.founded(v1::InitRequest {
            advertise_addr: advertise.to_owned(),
            force_new_cluster: true,
            ..v1::InitRequest::default()
        })
        .await
    }

    /// As [`Self::init`], with the availability of the node and settings of the new cluster.
    ///
    /// # Errors
    ///
    /// As [`Self::init`], and [`ClientError::Refused`] when a setting breaks a rule.
    pub async fn init_with(
        &self,
        advertise: &str,
        availability: Availability,
        spec: &ClusterSpec,
    ) -> Result<Founded, ClientError> {
        let request = v1::InitRequest {
            advertise_addr: advertise.to_owned(),
            availability: field::put_word(availability),
            spec: Some(spec.into()),
            ..v1::InitRequest::default()
        };
        self.founded(request).await
    }

    async fn founded(&self, request: v1::InitRequest) -> Result<Founded, ClientError> {
        // It carries no request id: repeated, it would only find the node in a cluster.
        let mut local = self.local();
        let answer = self.call_once(local.init(request), INIT_DEADLINE).await?;
        let unreadable = |error| self.unreadable(error);
        Ok(Founded {
            node: field::id(&answer.node_id, "node_id").map_err(unreadable)?,
            cluster: field::id(&answer.cluster_id, "cluster_id").map_err(unreadable)?,
            worker: JoinToken {
                token: field::part(answer.worker_token, "worker_token").map_err(unreadable)?,
                manager: answer.advertise_addr,
            },
            unlock_key: field::part(answer.unlock_key, "unlock_key").map_err(unreadable)?,
        })
    }

    /// Makes the node part of a cluster; returns once it is READY there.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when the node is part of a cluster, or the token is none that lets
    /// it in.
    pub async fn join(&self, with: &Joining) -> Result<Joined, ClientError> {
        let request = v1::JoinRequest {
            token: Some((&with.token).into()),
            remote_addrs: with.managers.clone(),
            listen_addr: with.listen.clone(),
            advertise_addr: with.advertise.clone(),
            availability: field::put_word(with.availability),
        };
        // It carries no request id: repeated, it would only find the node in a cluster.
        let mut local = self.local();
        let answer = self.call_once(local.join(request), JOIN_DEADLINE).await?;
        let unreadable = |error| self.unreadable(error);
        Ok(Joined {
            node: field::id(&answer.node_id, "node_id").map_err(unreadable)?,
            cluster: field::id(&answer.cluster_id, "cluster_id").map_err(unreadable)?,
            role: field::word(answer.role, "role").map_err(unreadable)?,
        })
    }

    /// Ends the node's tasks and makes it forget its cluster. `Some` when it left and the other
    /// managers may count it still: why, and what to do about it there.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when it is in none, or is a manager and not forced.
    pub async fn leave(&self, leaving: Leaving) -> Result<Option<String>, ClientError> {
        let request = v1::LeaveRequest { force: leaving == Leaving::Forced };
        let mut local = self.local();
        let answer = self.call_once(local.leave(request), LEAVE_DEADLINE).await?;
        Ok(Some(answer.counted).filter(|counted| !counted.is_empty()))
    }

    /// What nodes of that role join with.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] without a leader.
    pub async fn join_token(&self, role: NodeRole) -> Result<JoinToken, ClientError> {
        let request = v1::GetJoinTokenRequest { role: field::put_word(role) };
        let answer = self
            .call(|| {
                let mut control = self.control();
                async move { control.get_join_token(request).await }
            })
            .await?;
        read_token(answer).map_err(|error| self.unreadable(error))
    }

    /// Replaces what nodes of that role join with.
    ///
    /// # Errors
    ///
    /// As [`Self::join_token`].
    pub async fn rotate_join_token(&self, role: NodeRole) -> Result<JoinToken, ClientError> {
        let role = field::put_word(role);
        let request = v1::RotateJoinTokenRequest { request_id: request_id(), role };
        let answer = self
            .call(|| {
                let (mut control, request) = (self.control(), request.clone());
                async move { control.rotate_join_token(request).await }
            })
            .await?;
        read_token(answer).map_err(|error| self.unreadable(error))
    }

    /// What the node knows; answers without a cluster and without a leader too.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unreachable`] when the daemon does not run.
    pub async fn info(&self) -> Result<Info, ClientError> {
        let answer = self
            .call(|| {
                let mut local = self.local();
                async move { local.info(v1::InfoRequest {}).await }
            })
            .await?;
        Self::read_info(answer).map_err(|error| self.unreadable(error))
    }

    /// What the node is made of.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unreachable`] when the daemon does not run.
    pub async fn versions(&self) -> Result<Versions, ClientError> {
        let answer = self
            .call(|| {
                let mut local = self.local();
                async move { local.version(v1::VersionRequest {}).await }
            })
            .await?;
        Ok(Versions {
            daemon: answer.version,
            containerd: answer.containerd_version,
            runc: answer.runc_version,
        })
    }

    fn read_info(answer: v1::InfoResponse) -> Result<Info, DecodeError> {
        let state = match answer.state() {
            v1::LocalState::Inactive => LocalState::Inactive,
            v1::LocalState::Pending => LocalState::Pending,
            v1::LocalState::Active => LocalState::Active,
            v1::LocalState::Locked => LocalState::Locked,
            // A state this version does not know is nothing to rely on.
            v1::LocalState::Error | v1::LocalState::Unspecified => LocalState::Error,
        };
        let id = |bytes: &Vec<u8>| field::id(bytes, "id");
        let cluster = answer.cluster.as_ref().map(|it| field::id(&it.id, "cluster.id"));
        let settings = answer.cluster.and_then(|it| it.spec);
        let settings = settings.map(|spec| field::part(Some(spec), "cluster.spec"));
        Ok(Info {
            node: answer.node_id.as_ref().map(id).transpose()?,
            state,
            is_manager: answer.is_manager,
            cluster: cluster.transpose()?,
            leader: answer.leader.as_ref().map(id).transpose()?,
            reachable: answer.reachable.iter().map(id).collect::<Result<_, _>>()?,
            nodes: answer.nodes,
            managers: answer.managers,
            settings: settings.transpose()?,
            applied_index: answer.applied_index,
            address: answer.advertise_addr,
            manager_addresses: answer.manager_addrs,
            version: answer.version,
            containerd_version: answer.containerd_version,
            error: answer.error,
        })
    }
}

fn read_token(answer: v1::JoinTokenResponse) -> Result<JoinToken, DecodeError> {
    let token: Sensitive = field::part(answer.token, "token")?;
    Ok(JoinToken { token, manager: answer.manager_addr })
}

//! A machine of the cluster.

use std::collections::BTreeMap;

use ipnetwork::IpNetwork;

use super::Meta;
use crate::spec::node::{NodeRole, NodeSpec};
use crate::spec::task::{GenericResource, Platform};
use crate::{NetworkId, NodeId, SessionId, Timestamp};

/// A machine of the cluster.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeDescription {
    /// Host name.
    pub hostname: String,
    /// Operating system and processor.
    pub platform: Platform,
    /// Billionths of a CPU.
    pub nano_cpus: i64,
    /// Bytes of memory.
    pub memory_bytes: i64,
    /// User-defined resources.
    pub generic: Vec<GenericResource>,
    /// Version of the daemon.
    pub engine_version: String,
    /// Labels set on the machine.
    pub engine_labels: BTreeMap<String, String>,
    /// Plug-ins as (type, name), such as `("Network", "overlay")`.
    pub plugins: Vec<Plugin>,
    /// The node's certificate and the root it trusts.
    pub tls: TlsInfo,
}

/// A plug-in of a node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Plugin {
    /// Such as `Volume`, `Network` or `Log`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// What a node trusts and who signed its certificate.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsInfo {
    /// PEM of the root the node trusts.
    pub trust_root: String,
    /// DER of the issuer's subject.
    pub issuer_subject: Vec<u8>,
    /// DER of the issuer's public key.
    pub issuer_public_key: Vec<u8>,
}

/// A machine of the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Its id; also the common name in its certificate.
    pub id: NodeId,
    /// Versions and times.
    pub meta: Meta,
    /// What it should be.
    pub spec: NodeSpec,
    /// What it says of itself; written by its sessions.
    pub description: NodeDescription,
    /// Whether it is heard.
    pub status: NodeStatus,
    /// Its role as the cluster certifies it.
    pub role: NodeRole,
    /// SHA-256 of the node's public key (its `SubjectPublicKeyInfo` in DER).
    pub key_fingerprint: Vec<u8>,
    /// Its present session; `None` before the first.
    pub session: Option<NodeSession>,
    /// Its address on each network it takes part in.
    pub attachments: Vec<NodeAttachment>,
}

/// Whether a node is heard.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeStatus {
    /// Up or down.
    pub state: NodeState,
    /// Why, for people.
    pub message: String,
    /// The address the managers see.
    pub addr: String,
}

/// Up or down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum NodeState {
    /// Not heard since a change of leader.
    #[default]
    Unknown,
    /// Not heard for too long.
    Down,
    /// Heard.
    Ready,
    /// Its session was closed.
    Disconnected,
}

impl NodeState {
    /// The word the API shows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Down => "down",
            Self::Ready => "ready",
            Self::Disconnected => "disconnected",
        }
    }
}

/// A node's session with a manager.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeSession {
    /// Its id.
    pub id: SessionId,
    /// The manager that carries it.
    pub manager: NodeId,
    /// The machine's boot id.
    pub boot_id: String,
    /// When it was opened.
    pub opened_at: Timestamp,
}

/// A node's address on a network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeAttachment {
    /// The network.
    pub network: NetworkId,
    /// The address.
    pub address: IpNetwork,
}

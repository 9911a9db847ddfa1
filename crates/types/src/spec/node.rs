//! What a user asks a node to be.

use super::Annotations;

/// A node's wanted role and availability.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeSpec {
    /// Name (empty: the host name shows) and labels.
    pub annotations: Annotations,
    /// The role the node should have.
    pub role: NodeRole,
    /// Whether the node may join.
    pub membership: Membership,
    /// Whether tasks may run there.
    pub availability: Availability,
}

/// A node's part in the cluster.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum NodeRole {
    /// Runs tasks.
    #[default]
    Worker,
    /// Also holds the replicated state.
    Manager,
}

impl NodeRole {
    /// The word the API shows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Manager => "manager",
        }
    }
}

/// Whether a node may join.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Membership {
    /// Waits for a decision.
    Pending,
    /// May join.
    #[default]
    Accepted,
}

/// Whether tasks may run on a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Availability {
    /// Takes tasks.
    #[default]
    Active,
    /// Keeps what it has and takes no more.
    Pause,
    /// Gives up what it has.
    Drain,
}

impl Availability {
    /// The word the API shows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pause => "pause",
            Self::Drain => "drain",
        }
    }
}

//! What can go wrong, a variant per thing the caller does differently.

use std::io;
use std::path::PathBuf;

use ipnetwork::Ipv4Network;
use swarm_types::spec::service::Protocol;

/// Why this host's network is not as it was asked to be.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The id cannot name a file. Nothing was made.
    #[error("{0:?} cannot name a network namespace: use 1 to 64 of a-z, A-Z, 0-9, _, . and -")]
    BadId(String),
    /// A published port is somebody else's. Another node may have it free.
    #[error("host port {port}/{protocol} is already in use by {owner}")]
    PortTaken {
        /// Protocol of the port.
        protocol: &'static str,
        /// The published port.
        port: u16,
        /// Whose it is: `task ID` or `a process of this host`.
        owner: String,
    },
    /// Every port of the range for chosen ones is taken.
    #[error("no {protocol} port of {first}-{last} is free on this host")]
    NoPortLeft {
        /// Protocol of the port.
        protocol: &'static str,
        /// First port of the range.
        first: u16,
        /// Last port of the range.
        last: u16,
    },
    /// Every address of the node's subnet is in use.
    #[error("no address of {0} is free: remove tasks of this node, or use a larger subnet")]
    NoAddressLeft(Ipv4Network),
    /// No subnet is free of this host's routes.
    #[error("no subnet is clear of this host's routes: name one that is with --gateway-subnet")]
    NoSubnetLeft,
    /// A namespace file bound here would vanish with this process.
    #[error(
        "{} would be bound in a private mount namespace: start the daemon without PrivateMounts, \
         PrivateTmp, ProtectSystem or other options that make one", path.display()
    )]
    PrivateMount {
        /// The directory of namespace files.
        path: PathBuf,
    },
    /// The kernel refused a change or a question.
    #[error("{what}")]
    Kernel {
        /// What was asked of it, with the name of the object.
        what: String,
        /// Its answer.
        source: io::Error,
    },
    /// A file of ours cannot be read or written.
    #[error("{what} {}", path.display())]
    File {
        /// What was done with it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl NetError {
    pub(crate) fn kernel(what: impl Into<String>, source: io::Error) -> Self {
        Self::Kernel { what: what.into(), source }
    }

    pub(crate) fn file(what: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { what, path: path.into(), source }
    }

    pub(crate) fn taken(protocol: Protocol, port: u16, owner: impl Into<String>) -> Self {
        Self::PortTaken { protocol: protocol.as_str(), port, owner: owner.into() }
    }
}

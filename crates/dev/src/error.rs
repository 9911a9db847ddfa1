//! What can go wrong, by what whoever typed the command does about it.

use std::io;
use std::path::{Path, PathBuf};

use swarm_client::ClientError;

/// Why a command on a cluster of this machine failed.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// The name cannot be part of names of links and directories.
    #[error("{0:?} is no name of a cluster: use up to 24 of a-z, 0-9 and -, a letter first")]
    BadName(String),
    /// Namespaces, links and cgroups want root.
    #[error("run this as root: it makes network namespaces and starts containerd")]
    NotRoot,
    /// A program is not in PATH.
    #[error("{program} is not in PATH: install the package {package}")]
    Missing {
        /// The program.
        program: &'static str,
        /// The Debian package it comes from.
        package: &'static str,
    },
    /// It is out of range, or not served yet.
    #[error("{0}")]
    Refused(String),
    /// There is such a cluster, and it looks different.
    #[error(
        "{name} is there with {has}: remove it by `swarm dev down --name {name}` first, or choose another --name"
    )]
    Exists {
        /// The cluster.
        name: String,
        /// What it consists of.
        has: String,
    },
    /// There is no such cluster.
    #[error("there is no cluster {0}: `swarm dev up --name {0}` makes one")]
    NoCluster(String),
    /// The cluster has no such node.
    #[error("{cluster} has no node {node}: there are {there}")]
    NoNode {
        /// The cluster.
        cluster: String,
        /// What was asked for.
        node: String,
        /// The nodes there are.
        there: String,
    },
    /// The node has no network: it was never started, or ended as by a power cut.
    #[error("{node} is off: `swarm dev start --name {cluster} {node}` starts it")]
    Off {
        /// The cluster.
        cluster: String,
        /// The node.
        node: String,
    },
    /// Another command works on the cluster.
    #[error("another command has worked on {} for {seconds} s", path.display())]
    Busy {
        /// The cluster's directory.
        path: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },
    /// Every underlay is taken.
    #[error("no subnet of 198.18.0.0/16 is free: remove a cluster, or the routes that overlap it")]
    NoSubnet,
    /// The record was written by a newer version, or is damaged.
    #[error("{} cannot be read: {why}; `swarm dev down` removes the cluster", path.display())]
    Record {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Something did not come about in time.
    #[error("not within {seconds} s: {wanted}; last seen: {seen}")]
    TooLate {
        /// What was waited for.
        wanted: String,
        /// How long.
        seconds: u64,
        /// What there was instead, with the end of the log.
        seen: String,
    },
    /// Something cannot be removed safely.
    #[error("{} is still mounted: unmount it, then run `swarm dev down` again", .0.display())]
    Mounted(PathBuf),
    /// A node refused or did not answer.
    #[error("{action}")]
    Node {
        /// What was asked of it.
        action: String,
        /// What it said.
        #[source]
        source: ClientError,
    },
    /// A file or process.
    #[error("{action} {}", path.display())]
    Io {
        /// What was done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A namespace or link.
    #[error("{action}: {why}")]
    Network {
        /// What was done.
        action: String,
        /// What the kernel said.
        why: String,
    },
}

impl DevError {
    /// For `map_err` of an operation on a file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// For `map_err` of an operation on namespaces and links.
    pub(crate) fn network<E: std::fmt::Display>(
        action: impl Into<String>,
    ) -> impl FnOnce(E) -> Self {
        move |why| Self::Network { action: action.into(), why: why.to_string() }
    }
}

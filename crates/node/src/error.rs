//! Why a node does not start or cannot go on. Each text names what to do.

use std::io;
use std::path::{Path, PathBuf};

use swarm_raft::{OpenError, StopReason};

/// Why a node does not start or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Another node runs in this network namespace.
    #[error("{first}; one network namespace holds one node: stop it, or start this one in another")]
    Taken {
        /// Which, for people.
        first: String,
    },
    /// containerd does not answer.
    #[error("containerd at {} does not answer; start it, or name its socket with --containerd", socket.display())]
    Containerd {
        /// Its socket.
        socket: PathBuf,
        /// Why not.
        source: swarm_runtime::Error,
    },
    /// A file or directory of the node cannot be used.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// What says which cluster the node is part of is damaged.
    #[error("{} is damaged: {why}; restore it, or move {} away and join again as a new node", file.display(), dir.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// The state directory.
        dir: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The managers' port cannot be opened.
    #[error("open the managers' port {address}; --listen-addr names another")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The node is part of a cluster already.
    #[error(
        "this node is already part of a swarm: use `swarm leave` to leave it and join another one"
    )]
    Member,
    /// The node is part of no cluster.
    #[error("this node is not part of a swarm")]
    NoMember,
    /// A manager leaves only when it is forced to.
    #[error(
        "you are attempting to leave the swarm on a node that is participating as a manager; \
         removing the last manager erases all current state of the swarm: use `--force` to \
         ignore this message"
    )]
    ManagerStays,
    /// What was named is no manager.
    #[error("the managers' addresses: {why}; `swarm join-token worker` on a manager prints one")]
    Remote {
        /// Why not.
        why: String,
    },
    /// No manager let the node in.
    #[error("join the swarm at {remote}: {why}")]
    NotAdmitted {
        /// Who was asked.
        remote: String,
        /// What the manager said, or why there was no answer.
        why: String,
        /// What kind of refusal it is.
        code: tonic::Code,
    },
    /// It is not known whether the others count the new manager's vote, so it stays one.
    #[error(
        "whether this manager votes is not known yet ({manager}: {why}); it goes on asking: look at \
         `swarm node ls` on another manager, or give it up with `swarm leave --force`"
    )]
    Undecided {
        /// Who was asked last.
        manager: String,
        /// What the manager said, or why there was no answer.
        why: String,
    },
    /// A manager without a store, and no other manager to get it from.
    #[error(
        "this manager has no store, and no other manager gives it one ({manager}: {why}); start \
         it again when they are reachable, or give it up with `swarm daemon --purge`"
    )]
    Alone {
        /// Who was asked last.
        manager: String,
        /// Why that did not help.
        why: String,
    },
    /// There is no one address that others can be told.
    #[error("could not choose an IP address to advertise: {why}; pass one with --advertise-addr")]
    NoAddress {
        /// Why not.
        why: String,
    },
    /// The address to tell others is none of this host's.
    #[error(
        "must specify a listening address: {ip}, the address to advertise, is not an address of this host ({has}); pass one of those with --advertise-addr, or, when others reach this host at {ip} all the same, start the daemon with --listen-addr"
    )]
    Elsewhere {
        /// The address.
        ip: std::net::IpAddr,
        /// What this host has, for people.
        has: String,
    },
    /// What only a manager can do.
    #[error("this node is not a manager: run this on one, `swarm node ls` there shows which are")]
    NoManager,
    /// A cluster that is there cannot be forced anew.
    #[error(
        "a quorum of this swarm's managers answers: it is not lost; to be rid of managers, run \
         `swarm node demote` and `swarm node rm`, which keeps the swarm in one piece"
    )]
    HasQuorum,
    /// The manager's keys are under the unlock key.
    #[error("this manager is locked: run `swarm unlock` first")]
    Locked,
    /// The manager has its keys.
    #[error("swarm is not locked")]
    NotLocked,
    /// The manager's keys are under another unlock key.
    #[error(
        "swarm could not be unlocked: invalid key provided; a manager that was down while the \
         key was rotated needs the one before"
    )]
    WrongKey,
    /// The node is being stopped.
    #[error("the node is stopping; start it again, `swarm info` then says what it is part of")]
    Stopping,
    /// The node's certificate or its root cannot be made or used.
    #[error("certificates of the node: {0}")]
    Certificates(String),
    /// The replicated store does not open.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The networks of tasks cannot be made.
    #[error("the networks of tasks")]
    Net(#[from] swarm_net::NetError),
    /// What the agent kept cannot be used.
    #[error(transparent)]
    Worker(#[from] swarm_agent::StoreError),
    /// The agent cannot keep what it is told any more.
    #[error("the node's tasks: {why}; start the daemon again, containers go on meanwhile")]
    Agent {
        /// What happened.
        why: String,
    },
    /// What is in containerd could not be removed.
    #[error("remove what is in containerd's namespace {namespace}; purge again")]
    Purge {
        /// The namespace.
        namespace: String,
        /// Why not.
        source: swarm_runtime::Error,
    },
    /// A part of the manager failed; the log says which.
    #[error("a part of the manager failed, the log says which; start the daemon again")]
    Manager,
    /// The replicated store stopped; the node must be started again.
    #[error(transparent)]
    Stopped(#[from] StopReason),
    /// The node was not heard by its cluster in time.
    #[error(
        "the node is part of the cluster, but was not ready within {waited_s} s: {state}; it goes on trying, `swarm node ls` on a manager shows when it is"
    )]
    NotReady {
        /// Seconds waited.
        waited_s: u64,
        /// How far it came.
        state: String,
    },
}

impl NodeError {
    /// Turns an I/O error about `path` into ours.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn certificates(error: impl std::fmt::Display) -> Self {
        Self::Certificates(error.to_string())
    }
}

//! What the nodes of a cluster are and do.

use std::fmt;
use std::path::PathBuf;

use crate::r#become::Part;
use crate::place::Place;
use crate::process::Process;
use crate::record::{Member, Record, Role};

/// What a node does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeState {
    /// Its daemon runs.
    Running,
    /// Its processes are stopped, to go on later.
    Paused,
    /// Its daemon does not run.
    Down,
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Down => "down",
        })
    }
}

/// One node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeStatus {
    /// m1, w1 and so on; also its hostname.
    pub name: String,
    /// What it was made as.
    pub role: Role,
    /// What it does.
    pub state: NodeState,
    /// Its address; the host reaches it too.
    pub address: std::net::Ipv4Addr,
    /// Nodes it is cut off from by `partition`, with ` (in)` or ` (out)` where only what comes in
    /// to it, or goes out, is lost.
    pub cut_off_from: Vec<String>,
    /// The daemon's socket.
    pub socket: PathBuf,
    /// File its network namespace is bound to.
    pub netns: PathBuf,
    /// The daemon's process; `None` while it does not run.
    pub pid: Option<u32>,
    /// containerd's process; `None` while it does not run.
    pub containerd_pid: Option<u32>,
    /// containerd's socket.
    pub containerd: PathBuf,
}

pub(crate) fn of(cluster: &Place, record: &Record, node: Member) -> NodeStatus {
    let name = node.name();
    let place = cluster.node(&name);
    let daemon = Process::find(&Part::Daemon.pid_file(&place));
    let containerd = Process::find(&Part::Containerd.pid_file(&place));
    let state = match &daemon {
        Some(process) if process.is_stopped() => NodeState::Paused,
        Some(_) => NodeState::Running,
        None => NodeState::Down,
    };
    NodeStatus {
        role: node.role,
        state,
        address: record.address(node),
        cut_off_from: record.cut_off(&name),
        socket: place.socket(),
        netns: place.netns(),
        pid: daemon.map(|process| process.pid()),
        containerd_pid: containerd.map(|process| process.pid()),
        containerd: place.containerd_socket(),
        name,
    }
}

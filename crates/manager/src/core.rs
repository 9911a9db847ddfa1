//! What every part of a manager shares, and what it says of where the manager stands.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use swarm_proto::{field, v1};
use swarm_raft::{Leadership, Raft};
use swarm_types::NodeId;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;

use crate::access::Freshness;
use crate::clock;
use crate::dispatcher::hub::Hub;
use crate::figures::Figures;
use crate::standing::Standing;

/// A manager without proof of a leader with a quorum for that long serves no node.
pub(crate) const FIT_FOR: Duration = Duration::from_millis(1500);

/// What every part of a manager shares.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) node: NodeId,
    pub(crate) raft: Raft,
    pub(crate) hub: Hub,
    pub(crate) tracker: TaskTracker,
    pub(crate) stopping: CancellationToken,
    pub(crate) standing: Mutex<Standing>,
    pub(crate) figures: Figures,
}

impl Core {
    pub(crate) fn new(node: NodeId, raft: Raft) -> Self {
        Self {
            node,
            raft,
            hub: Hub::new(),
            tracker: TaskTracker::new(),
            stopping: CancellationToken::new(),
            standing: Mutex::default(),
            figures: Figures::new(),
        }
    }

    /// The node whose manager leads, as far as is known here.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        match *self.raft.leadership().borrow() {
            Leadership::Leader { .. } => Some(self.node),
            Leadership::Follower { leader } => leader,
            Leadership::NoQuorum => None,
        }
    }

    /// Time since there was a leader with a quorum for certain; `None` when there never was one
    /// since this manager started.
    pub(crate) fn quorum_age(&self) -> Option<Duration> {
        if matches!(*self.raft.leadership().borrow(), Leadership::Leader { .. }) {
            return Some(Duration::ZERO);
        }
        self.standing().age(self.raft.snapshot().applied(), clock::boot_time())
    }

    pub(crate) fn is_fit(&self) -> bool {
        self.quorum_age().is_some_and(|age| age <= FIT_FOR) && self.is_of_its_epoch()
    }

    /// Whether the replica knows that the cluster was forced anew: until then it takes those who
    /// were left behind for managers.
    pub(crate) fn is_of_its_epoch(&self) -> bool {
        let epoch = self.raft.epoch();
        self.raft.snapshot().cluster().is_none_or(|cluster| cluster.epoch >= epoch)
    }

    pub(crate) fn freshness(&self) -> Freshness {
        if self.is_fit() { Freshness::Fresh } else { Freshness::Unknown }
    }

    pub(crate) fn standing(&self) -> MutexGuard<'_, Standing> {
        // What a holder that panicked left is still good.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the managers of the cluster are, the only place this is known from: node and
    /// `host:port`.
    pub(crate) fn managers(&self) -> Vec<(NodeId, String)> {
        let members = self.raft.members();
        let members = members.borrow();
        members.values().map(|member| (member.node, member.addr.clone())).collect()
    }

    pub(crate) fn manager_addresses(&self) -> Vec<v1::ManagerAddress> {
        let managers = self.managers().into_iter();
        managers
            .map(|(node, addr)| v1::ManagerAddress { node: field::put_id(node), addr })
            .collect()
    }

    /// Where the node's manager is, `host:port`.
    pub(crate) fn address_of(&self, node: NodeId) -> Option<String> {
        self.managers().into_iter().find(|(of, _)| *of == node).map(|(_, addr)| addr)
    }

    /// The nodes of the managers that are heard: by the leader, when one is.
    pub(crate) fn reachable(&self) -> BTreeSet<NodeId> {
        let leads = matches!(*self.raft.leadership().borrow(), Leadership::Leader { .. });
        if !leads && self.is_fit() {
            return self.standing().reachable().clone();
        }
        let info = self.raft.info();
        let heard = info.reachable.iter().filter_map(|id| info.members.get(id));
        heard.map(|member| member.node).chain([self.node]).collect()
    }

    /// Refuses to speak for the cluster when it may have gone on without this manager.
    pub(crate) fn require_fit(&self) -> Result<(), Status> {
        if self.is_fit() {
            return Ok(());
        }
        Err(Status::unavailable("this manager hears no leader with a quorum: try another manager"))
    }
}

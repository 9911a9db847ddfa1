//! The handle everybody holds, and the life of the store behind it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use std::collections::BTreeSet;
use std::future::Future;

use swarm_state::Snapshot;
use swarm_types::NodeId;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::ask::Vouched;
use crate::compact::Compactor;
use crate::door::{Door, Service};
use crate::error::{OpenError, StopReason};
use crate::fault::Fault;
use crate::hub::{Hub, Watch};
use crate::lanes::Lanes;
use crate::leadership::{Leadership, Leaderships, Members, Office, Voice};
use crate::link::Link;
use crate::log::{Found, Founding, Log, Seal};
use crate::machine::Machine;
use crate::members::CHANGES;
use crate::network::Network;
use crate::options::Options;
use crate::propose::Proposer;
use crate::read::{Reader, Rounds};
use crate::relief::relieve;
use crate::settle::settle;
use crate::snapshot::Snapshots;
use crate::type_config::{MemberId, Types};

/// How long stopping may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The replicated store of this node; cheap to clone.
///
/// Runs until [`Raft::shutdown`], until the last handle is dropped, or until it fails, which
/// [`Raft::stopped`] tells. It never recovers from a failure: the process must end.
#[derive(Clone)]
pub struct Raft(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) raft: openraft::Raft<Types>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) readers: mpsc::Sender<Reader>,
    pub(crate) leadership: watch::Receiver<Leadership>,
    members: watch::Receiver<Members>,
    pub(crate) log: Log,
    pub(crate) snapshots: Snapshots,
    pub(crate) fault: Fault,
    pub(crate) member: MemberId,
    pub(crate) link: Link,
    pub(crate) office: watch::Sender<Office>,
    pub(crate) heartbeat: Duration,
    pub(crate) lease: Duration,
    /// Held while the membership changes.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// Changes that wait for their turn.
    pub(crate) turns: Semaphore,
    /// Whether founding or joining was completed: only then the store can be opened again.
    pub(crate) complete: Arc<AtomicBool>,
    pub(crate) vouched: Vouched,
    installing: Arc<tokio::sync::Mutex<()>>,
    /// Dropping it stops them.
    tasks: Mutex<JoinSet<()>>,
}

/// Where raft stands, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Info {
    /// Raft's number for this member.
    pub member: MemberId,
    /// The members as of the last membership in the log, by number.
    pub members: Members,
    /// Those among them that vote.
    pub voters: Vec<MemberId>,
    /// Whether this member leads.
    pub leadership: Leadership,
    /// The term.
    pub term: u64,
    /// Index of the last entry in the log.
    pub last: u64,
    /// Index of the last entry applied.
    pub applied: u64,
    /// Index up to which the snapshot in use reaches; `None` without one.
    pub snapshot: Option<u64>,
    /// Bytes of all entries in the log.
    pub log_bytes: u64,
    /// Grows with every forced new cluster.
    pub epoch: u64,
    /// The members that answered this one within the lease, with itself. Only a leader asks all.
    pub reachable: BTreeSet<MemberId>,
}

impl Raft {
    pub(crate) async fn start(
        founding: Founding,
        found: Found,
        options: &Options,
    ) -> Result<Self, OpenError> {
        let log = found.log.clone();
        let started = Self::start_over(founding, found, options).await;
        if started.is_err() {
            log.close().await;
        }
        started
    }

    async fn start_over(
        founding: Founding,
        Found { log, mark }: Found,
        options: &Options,
    ) -> Result<Self, OpenError> {
        let (limits, fault) = (options.limits, founding.fault.clone());
        let (snapshots, found) = open_snapshots(founding, log.clone(), &mark).await?;
        let machine = Machine::new(found, snapshots.clone(), limits.watch_backlog, fault.clone());
        let hub = machine.hub();
        let config = options.config()?;
        let link = Link::new(options.dial.clone(), mark.member, mark.epoch);
        let (told, leadership) = watch::channel(Leadership::NoQuorum);
        let (voice, heeded) = watch::channel(Voice::default());
        let network = Network {
            link: link.clone(),
            snapshots: snapshots.clone(),
            heartbeat: options.heartbeat,
            fault: fault.clone(),
            leadership: leadership.clone(),
            voice: heeded,
        };
        let raft = openraft::Raft::new(mark.member, config, network, log.clone(), machine).await;
        let raft = raft.map_err(|fatal| {
            fault.reason().unwrap_or_else(|| StopReason::Raft(fatal.to_string()))
        })?;

        let (readers, asked) = mpsc::channel(limits.reads.max(1));
        let (tell_members, members) = watch::channel(Members::new());
        let lanes = Arc::new(Lanes::new(limits));
        let proposer = Proposer {
            raft: raft.clone(),
            log: log.clone(),
            hub: hub.clone(),
            fault: fault.clone(),
        };
        let (office, held) = watch::channel(Office::default());
        let vouched = Vouched::default();
        let rounds = Rounds {
            raft: raft.clone(),
            hub: hub.clone(),
            fault: fault.clone(),
            readers: asked,
            link: link.clone(),
            office: held.clone(),
            leadership: leadership.clone(),
            vouched: vouched.clone(),
        };
        let installing = Arc::default();
        let compactor = Compactor {
            raft: raft.clone(),
            log: log.clone(),
            snapshots: snapshots.clone(),
            limits,
            turn: Arc::clone(&installing),
        };
        let leaderships = Leaderships {
            metrics: raft.metrics(),
            told,
            members: tell_members,
            proposer: proposer.clone(),
            lease: options.election.1,
            incarnation: rand::random(),
            office: held,
            voice,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(leaderships.run());
        tasks.spawn(proposer.run(lanes.clone(), leadership.clone()));
        tasks.spawn(rounds.run());
        tasks.spawn(compactor.run());
        tasks.spawn(settle(raft.clone(), leadership.clone(), fault.clone()));
        let inner = Inner {
            raft,
            hub,
            lanes,
            readers,
            leadership,
            members,
            log,
            snapshots,
            fault,
            member: mark.member,
            complete: Arc::new(AtomicBool::new(mark.complete)),
            link,
            office,
            heartbeat: options.heartbeat,
            lease: options.election.1,
            turn: tokio::sync::Mutex::default(),
            turns: Semaphore::new(CHANGES),
            vouched,
            installing,
            tasks: Mutex::new(tasks),
        };
        let this = Self(Arc::new(inner));
        // It asks the handle, which it must not keep.
        drop(this.spawn(relieve(Arc::downgrade(&this.0), this.leadership(), limits.tolerance)));
        Ok(this)
    }

    /// The state as of the last entry applied here; may be behind the leader's.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.hub.snapshot()
    }

    /// The state as of the last entry applied here, and every change from then on.
    #[must_use]
    pub fn watch(&self) -> (Snapshot, Watch) {
        self.0.hub.watch()
    }

    /// Whether this member leads; changes are announced.
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.0.leadership.clone()
    }

    /// Who the members are; changes are announced.
    #[must_use]
    pub fn members(&self) -> watch::Receiver<Members> {
        self.0.members.clone()
    }

    /// `Some` once the store has stopped, and why. The process should then end.
    #[must_use]
    pub fn stopped(&self) -> watch::Receiver<Option<StopReason>> {
        self.0.fault.watch()
    }

    /// How often the cluster was forced anew, beginning with 1. The replicated epoch follows it.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.0.link.epoch()
    }

    /// Where raft stands. Always answers.
    #[must_use]
    pub fn info(&self) -> Info {
        let metrics = self.0.raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        Info {
            member: self.0.member,
            members: membership.nodes().map(|(id, member)| (*id, member.clone())).collect(),
            voters: membership.voter_ids().collect(),
            leadership: *self.0.leadership.borrow(),
            term: metrics.current_term,
            last: metrics.last_log_index.unwrap_or(0),
            applied: metrics.last_applied.map_or(0, |applied| applied.index),
            snapshot: self
                .0
                .snapshots
                .get()
                .and_then(|(meta, _)| meta.last_log_id)
                .map(|it| it.index),
            log_bytes: self.0.log.bytes(),
            epoch: self.0.link.epoch(),
            reachable: self.0.link.reachable(self.0.lease),
        }
    }

    /// What was counted since the store was opened, for Prometheus.
    #[must_use]
    pub fn gather(&self) -> Vec<prometheus::proto::MetricFamily> {
        self.0.log.figures().gather()
    }

    /// What other managers ask of this one; to be mounted on the managers' port.
    #[must_use]
    pub fn service(&self) -> Service {
        Door::service(self.clone())
    }

    pub(crate) fn openraft(&self) -> &openraft::Raft<Types> {
        &self.0.raft
    }

    pub(crate) fn link(&self) -> &Link {
        &self.0.link
    }

    pub(crate) fn snapshots(&self) -> &Snapshots {
        &self.0.snapshots
    }

    pub(crate) fn installing(&self) -> Arc<tokio::sync::Mutex<()>> {
        self.0.installing.clone()
    }

    /// Whether the store can be opened again: it was founded, or knows itself to be a member's.
    /// Nobody asks an incomplete one for its vote.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.0.complete.load(Ordering::Relaxed)
    }

    /// Runs something that ends with the store at the latest. The receiver fails then.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (done, result) = oneshot::channel();
        let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            // Nobody may wait any more.
            let _ = done.send(work.await);
        });
        result
    }

    /// Stops everything and closes the files; they are free when this returns, unless the disk
    /// does not answer for 30 s.
    pub async fn shutdown(&self) {
        self.0.fault.shut_down();
        let mut tasks = {
            let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *tasks)
        };
        tasks.shutdown().await;
        let closed = async {
            if self.0.raft.shutdown().await.is_err() {
                tracing::warn!("raft ended with a panic");
            }
            self.0.snapshots.close().await;
            self.0.log.close().await;
        };
        if timeout(PATIENCE, closed).await.is_err() {
            tracing::warn!("the disk does not answer: the files are left open");
        }
    }
}

impl Inner {
    pub(crate) fn stopped_by(&self, error: &impl ToString) -> StopReason {
        self.fault.reason().unwrap_or_else(|| StopReason::Raft(error.to_string()))
    }
}

impl std::fmt::Debug for Raft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Raft").field("member", &self.0.member).finish_non_exhaustive()
    }
}

type FoundState = Option<(crate::type_config::SnapshotMeta, swarm_state::State)>;

/// Reads the snapshot the mark names, off the threads that must not wait.
async fn open_snapshots(
    founding: Founding,
    log: Log,
    mark: &crate::mark::Mark,
) -> Result<(Snapshots, FoundState), OpenError> {
    let seal = Seal { sealer: founding.sealer.clone(), store: mark.store };
    let (dir, disk, named) = (founding.snapshots(), founding.disk.clone(), mark.snapshot);
    let opened = tokio::task::spawn_blocking(move || Snapshots::open(dir, disk, seal, log, named));
    opened
        .await
        .map_err(|error| StopReason::Panicked { part: "snapshot", message: error.to_string() })?
}

/// The node a member number belongs to is what callers want to see.
impl Info {
    /// The nodes of the voting members.
    #[must_use]
    pub fn voter_nodes(&self) -> Vec<NodeId> {
        let node = |voter: &MemberId| self.members.get(voter).map(|member| member.node);
        self.voters.iter().filter_map(node).collect()
    }
}

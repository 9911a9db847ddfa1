//! The handle everybody holds, and the life of the store behind it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use std::collections::BTreeMap;

use swarm_crypto::seal::Sealer;
use swarm_state::{Accepted, Snapshot};
use swarm_types::{Group, NodeId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};

use crate::compact::Compactor;
use crate::disk::Disk;
use crate::error::{OpenError, ProposeError, ReadError, StopReason};
use crate::fault::Fault;
use crate::hub::{Hub, Watch};
use crate::lanes::{GROUP_BYTES, Lane, Lanes, Waiting};
use crate::leadership::{Leadership, Leaderships};
use crate::log::{self, Found, Founding, Log, Seal};
use crate::machine::Machine;
use crate::network::Nowhere;
use crate::options::Options;
use crate::propose::{Proposer, other};
use crate::read::{Reader, Rounds};
use crate::snapshot::Snapshots;
use crate::type_config::{Member, MemberId, Types};

/// How long founding a cluster may take, and stopping.
const PATIENCE: Duration = Duration::from_secs(30);
/// After that long a full queue of reads has been answered.
const READ_RETRY: Duration = Duration::from_millis(50);

/// The replicated store of this node; cheap to clone.
///
/// Runs until [`Raft::shutdown`], until the last handle is dropped, or until it fails, which
/// [`Raft::stopped`] tells. It never recovers from a failure: the process must end.
#[derive(Clone)]
pub struct Raft(Arc<Inner>);

struct Inner {
    raft: openraft::Raft<Types>,
    hub: Arc<Hub>,
    lanes: Arc<Lanes>,
    readers: mpsc::Sender<Reader>,
    leadership: watch::Receiver<Leadership>,
    log: Log,
    snapshots: Snapshots,
    fault: Fault,
    member: MemberId,
    /// Dropping it stops them.
    tasks: Mutex<JoinSet<()>>,
}

/// Where raft stands, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Info {
    /// Raft's number for this member.
    pub member: MemberId,
    /// The members as of the last membership in the log, by number.
    pub members: BTreeMap<MemberId, Member>,
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
}

impl Raft {
    /// Opens the store that is in `options.dir`, with everything that was ever acknowledged.
    ///
    /// # Errors
    ///
    /// [`OpenError`], which names the file and how to go on. Nothing is changed then.
    pub async fn open(options: Options, sealer: Sealer) -> Result<Self, OpenError> {
        Self::open_on(Disk::default(), options, sealer).await
    }

    pub(crate) async fn open_on(
        disk: Disk,
        options: Options,
        sealer: Sealer,
    ) -> Result<Self, OpenError> {
        let founding = founding(disk, &options, sealer);
        let found = log::open(founding.clone()).await?;
        Self::start(founding, found, &options).await
    }

    /// Founds a cluster of one in `options.dir`, with `first` as its first group. The store is
    /// there only when this returns `Ok`; a founding that was interrupted may be tried again.
    ///
    /// # Errors
    ///
    /// [`OpenError::Exists`] when there is a store, [`OpenError::Refused`] when the group is
    /// refused.
    pub async fn bootstrap(
        options: Options,
        sealer: Sealer,
        first: Group,
    ) -> Result<Self, OpenError> {
        Self::bootstrap_on(Disk::default(), options, sealer, first).await
    }

    pub(crate) async fn bootstrap_on(
        disk: Disk,
        options: Options,
        sealer: Sealer,
        first: Group,
    ) -> Result<Self, OpenError> {
        let founding = founding(disk, &options, sealer);
        log::clear_unfinished(&founding)?;
        // 0 is what raft calls nobody.
        let member = rand::random_range(1..=MemberId::MAX);
        let found = log::create(founding.clone(), member).await?;
        let this = Self::start(founding, found, &options).await?;
        let slow = OpenError::Slow { dir: options.dir.clone(), waited: PATIENCE };
        let founded = timeout(PATIENCE, this.found(&options, first)).await;
        match founded.unwrap_or(Err(slow)) {
            Ok(()) => Ok(this),
            Err(error) => {
                this.shutdown().await;
                Err(error)
            }
        }
    }

    async fn found(&self, options: &Options, first: Group) -> Result<(), OpenError> {
        let member = Member { node: options.node, addr: options.addr.clone() };
        let members = BTreeMap::from([(self.0.member, member)]);
        let initialized = self.0.raft.initialize(members).await;
        initialized.map_err(|error| self.0.stopped_by(&error))?;
        let mut leadership = self.leadership();
        let leads = leadership.wait_for(|it| matches!(it, Leadership::Leader { .. }));
        tokio::select! {
            leads = leads => drop(leads.map_err(|_| self.0.fault.stopped())?),
            reason = self.0.fault.raised() => return Err(reason.into()),
        }
        match self.propose(Lane::Control, first, Instant::now() + PATIENCE).await {
            Ok(_) => Ok(self.0.log.complete().await?),
            Err(ProposeError::Refused(refusal)) => Err(OpenError::Refused(refusal)),
            Err(ProposeError::Stopped(reason)) => Err(reason.into()),
            Err(error @ ProposeError::TooLarge { .. }) => {
                Err(OpenError::Settings(error.to_string()))
            }
            Err(_) => Err(OpenError::Slow { dir: options.dir.clone(), waited: PATIENCE }),
        }
    }

    async fn start(founding: Founding, found: Found, options: &Options) -> Result<Self, OpenError> {
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
        let raft = openraft::Raft::new(mark.member, config, Nowhere, log.clone(), machine).await;
        let raft = raft.map_err(|fatal| {
            fault.reason().unwrap_or_else(|| StopReason::Raft(fatal.to_string()))
        })?;

        let (readers, asked) = mpsc::channel(limits.reads.max(1));
        let (told, leadership) = watch::channel(Leadership::NoQuorum);
        let lanes = Arc::new(Lanes::new(limits));
        let proposer = Proposer {
            raft: raft.clone(),
            log: log.clone(),
            hub: hub.clone(),
            fault: fault.clone(),
        };
        let rounds =
            Rounds { raft: raft.clone(), hub: hub.clone(), fault: fault.clone(), readers: asked };
        let compactor = Compactor {
            raft: raft.clone(),
            log: log.clone(),
            snapshots: snapshots.clone(),
            limits,
        };
        let leaderships = Leaderships {
            metrics: raft.metrics(),
            told,
            proposer: proposer.clone(),
            lease: options.election.1,
            incarnation: rand::random(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(leaderships.run());
        tasks.spawn(proposer.run(lanes.clone(), leadership.clone()));
        tasks.spawn(rounds.run());
        tasks.spawn(compactor.run());
        let (member, tasks) = (mark.member, Mutex::new(tasks));
        let inner =
            Inner { raft, hub, lanes, readers, leadership, log, snapshots, fault, member, tasks };
        Ok(Self(Arc::new(inner)))
    }

    /// Proposes a group and waits until it is applied here, or until `deadline`.
    ///
    /// The group counts as the same one when tried again with the same request id; it then has
    /// its first result.
    ///
    /// # Errors
    ///
    /// [`ProposeError`]; after `Unknown` and `Stopped` it may still happen.
    pub async fn propose(
        &self,
        lane: Lane,
        group: impl Into<Arc<Group>>,
        deadline: Instant,
    ) -> Result<Accepted, ProposeError> {
        if let Some(reason) = self.0.fault.reason() {
            return Err(reason.into());
        }
        let leadership = *self.0.leadership.borrow();
        if !matches!(leadership, Leadership::Leader { .. }) {
            return Err(ProposeError::NotLeader { leader: other(leadership) });
        }
        let group = group.into();
        let size = swarm_proto::records::group_len(&group);
        if size > GROUP_BYTES {
            return Err(ProposeError::TooLarge { size, limit: GROUP_BYTES });
        }
        let (answer, answered) = oneshot::channel();
        let since = tokio::time::Instant::now();
        self.0.lanes.push(lane, Waiting { group, size, since, answer })?;
        tokio::select! {
            biased;
            answered = timeout_at(deadline.into(), answered) => match answered {
                Ok(Ok(result)) => result,
                Ok(Err(_)) | Err(_) => match self.0.fault.reason() {
                    Some(reason) => Err(reason.into()),
                    None => Err(ProposeError::Unknown { waited: since.elapsed() }),
                },
            },
            // Nobody serves the queue any more.
            reason = self.0.fault.raised() => Err(reason.into()),
        }
    }

    /// The state as of the last entry applied here; may be behind the leader's.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.hub.snapshot()
    }

    /// The state with everything that was acknowledged before the call, or an error by
    /// `deadline` and within 3 s of its turn.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn read(&self, deadline: Instant) -> Result<Snapshot, ReadError> {
        if let Some(reason) = self.0.fault.reason() {
            return Err(reason.into());
        }
        let began = Instant::now();
        let (reader, result) = oneshot::channel();
        let asked = self.0.readers.try_send(reader);
        asked.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ReadError::Busy { retry_after: READ_RETRY },
            mpsc::error::TrySendError::Closed(_) => self.0.fault.stopped().into(),
        })?;
        match timeout_at(deadline.into(), result).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(self.0.fault.stopped().into()),
            Err(_) => Err(ReadError::Late { waited: began.elapsed() }),
        }
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

    /// `Some` once the store has stopped, and why. The process should then end.
    #[must_use]
    pub fn stopped(&self) -> watch::Receiver<Option<StopReason>> {
        self.0.fault.watch()
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
        }
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
            self.0.log.close().await;
        };
        if timeout(PATIENCE, closed).await.is_err() {
            tracing::warn!("the disk does not answer: the files are left open");
        }
    }
}

impl Inner {
    fn stopped_by(&self, error: &impl ToString) -> StopReason {
        self.fault.reason().unwrap_or_else(|| StopReason::Raft(error.to_string()))
    }
}

impl std::fmt::Debug for Raft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Raft").field("member", &self.0.member).finish_non_exhaustive()
    }
}

fn founding(disk: Disk, options: &Options, sealer: Sealer) -> Founding {
    Founding { dir: options.dir.clone(), disk, sealer, fault: Fault::default() }
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

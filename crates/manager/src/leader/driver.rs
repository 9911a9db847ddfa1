//! Runs the planner while this manager leads: look, plan, propose, look again.
//!
//! [`Driver`] is the synchronous part: it turns batches into marks and marks into plans, and can
//! run in a simulator. The loop around it proposes and waits. Nothing is remembered here that a
//! new leader would need: it starts with a full pass.
//!
//! Everything is proposed as the leader that decided it: what a manager decided that leads no more
//! is written under no other.
//!
//! What was proposed and not answered is never proposed again, and nothing is decided beside it:
//! a plan sees the ports and reservations of what is in the state only. The driver writes an
//! entry behind it instead (see [`barrier`]), and begins with everything.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use swarm_planner::{Dirty, Plan, Scope};
use swarm_raft::{Lane, Leadership, ProposeError, Watch, WatchError};
use swarm_state::{Batch, Snapshot};
use swarm_types::{Group, IdSource, Refusal, Timestamp};
use tokio::time::{Instant, sleep, sleep_until};

use crate::Core;

/// Time between full passes; the net below the events.
const FULL_PASS: Duration = Duration::from_secs(60);
/// How long a decision may take to be agreed on.
const DECIDE_DEADLINE: Duration = Duration::from_secs(20);
/// Pause after a round of which nothing came, so that a refusal that repeats costs little.
const PAUSE: Duration = Duration::from_millis(50);

/// The leader's decisions, without clock and I/O.
#[derive(Debug)]
pub struct Driver {
    dirty: Dirty,
    ids: IdSource,
}

impl Driver {
    /// A driver that begins with everything.
    #[must_use]
    pub fn new(ids: IdSource) -> Self {
        let mut dirty = Dirty::default();
        dirty.mark(Scope::All);
        Self { dirty, ids }
    }

    /// Follows one entry. Batches come in order and without a gap.
    pub fn note(&mut self, batch: &Batch) {
        self.dirty.note(batch);
    }

    /// Begins anew with the next round.
    pub fn look_at_everything(&mut self) {
        self.dirty.mark(Scope::All);
    }

    /// True when a round has something to look at.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.dirty.is_due(now)
    }

    /// Decides; `view` is what the batches noted so far lead to.
    #[must_use]
    pub fn round(&mut self, view: &Snapshot, now: Timestamp) -> Plan {
        swarm_planner::round(view, &mut self.dirty, &mut self.ids, now)
    }

    /// Takes the outcome of a proposed group.
    ///
    /// One that became stale is decided again. A refusal by any other rule would come again and
    /// again: it waits for the next full pass.
    pub fn outcome(&mut self, group: &Group, outcome: &Result<(), ProposeError>) -> Outcome {
        match outcome {
            Ok(()) => return Outcome::Applied,
            Err(ProposeError::Unknown { .. } | ProposeError::Stopped(_)) => {
                return Outcome::Unknown;
            }
            Err(ProposeError::Refused(refusal)) => match refusal {
                Refusal::Stale { .. } | Refusal::NotFound(_) => self.dirty.retry(group),
                _ => tracing::warn!(%refusal, request = %group.request, "a decision was refused"),
            },
            Err(ProposeError::TooLarge { .. }) => {
                tracing::error!(request = %group.request, "a decision is too large");
            }
            Err(ProposeError::NotLeader { .. } | ProposeError::Busy { .. }) => {
                self.dirty.retry(group);
            }
        }
        Outcome::Refused
    }
}

/// What became of a proposed group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// It left no trace, and never will.
    Refused,
    /// It is part of the state.
    Applied,
    /// It may still happen.
    Unknown,
}

/// Drives whenever this manager leads, until it stops.
pub(crate) async fn run(core: Arc<Core>) {
    let mut leadership = core.raft.leadership();
    loop {
        let term = *leadership.borrow_and_update();
        tokio::select! {
            // The store has stopped: it leads no more, whatever it last said.
            () = lead(&core, term), if matches!(term, Leadership::Leader { .. }) => return,
            changed = leadership.changed() => if changed.is_err() { return },
            () = core.stopping.cancelled() => return,
        }
    }
}

/// Drives; ends only when it is dropped, or when the store has stopped.
async fn lead(core: &Core, led: Leadership) {
    tracing::info!("leading");
    while barrier(core, led).await {
        let (view, watch) = core.raft.watch();
        let noted = view.applied();
        let driver = Driver::new(IdSource::system());
        let seat = Seat { core, led, view, noted, watch, driver };
        // A driver that missed batches or an answer is replaced by one that begins with
        // everything.
        if let Err(WatchError::Stopped(_)) = seat.drive().await {
            return;
        }
    }
}

/// Writes an entry that changes nothing behind all that was proposed here before, also by a
/// driver that was dropped: what the state does not hold then never happens. False when the store
/// has stopped.
async fn barrier(core: &Core, led: Leadership) -> bool {
    let request = IdSource::system().draw();
    let group = Arc::new(Group { request, expect: Vec::new(), changes: Vec::new() });
    loop {
        let deadline = std::time::Instant::now() + DECIDE_DEADLINE;
        match core.raft.propose_as(led, Lane::Control, group.clone(), deadline).await {
            Ok(_) => return true,
            Err(ProposeError::Stopped(_)) => return false,
            Err(error) => tracing::debug!(%error, "the leader's first entry was not agreed on"),
        }
        sleep(PAUSE).await;
    }
}

/// A driver with what it sees and where its decisions go.
struct Seat<'a> {
    core: &'a Core,
    /// What it decides under.
    led: Leadership,
    /// Exactly what the batches noted so far lead to.
    view: Snapshot,
    /// Index of the last batch noted.
    noted: u64,
    watch: Watch,
    driver: Driver,
}

impl Seat<'_> {
    /// Drives until the outcome of a proposal is not known.
    async fn drive(mut self) -> Result<(), WatchError> {
        let mut full_pass = Instant::now() + FULL_PASS;
        loop {
            let now = Timestamp::now();
            let planning = self.core.figures.rounds.start_timer();
            let plan = self.driver.round(&self.view, now);
            planning.observe_duration();
            if plan.groups.is_empty() && !self.driver.is_due(now) {
                let delay = plan.wake_at.map(|at| Instant::now() + at.since(now));
                let wake = delay.map_or(full_pass, |delay| delay.min(full_pass));
                tokio::select! {
                    batch = self.watch.next() => {
                        let batch = batch?;
                        self.note(&batch);
                    }
                    () = sleep_until(wake) => {}
                }
            } else {
                match self.propose(plan).await {
                    Outcome::Applied => {}
                    Outcome::Refused => sleep(PAUSE).await,
                    Outcome::Unknown => return Ok(()),
                }
            }
            if Instant::now() >= full_pass {
                self.driver.look_at_everything();
                full_pass = Instant::now() + FULL_PASS;
            }
            self.catch_up().await?;
        }
    }

    /// Proposes every group, and waits for all. Unknown when any outcome is, else applied when
    /// any became part of the state.
    async fn propose(&mut self, plan: Plan) -> Outcome {
        for why in &plan.why {
            tracing::debug!(?why, "decided");
        }
        let deadline = std::time::Instant::now() + DECIDE_DEADLINE;
        let groups = plan.groups.into_iter().map(Arc::new);
        let (core, led) = (self.core, self.led);
        let mut proposals: FuturesUnordered<_> = groups
            .map(|group| async move {
                let outcome = core.raft.propose_as(led, Lane::Control, group.clone(), deadline);
                let outcome = outcome.await;
                (group, outcome.map(|_| ()))
            })
            .collect();
        let mut came = Outcome::Refused;
        while let Some((group, outcome)) = proposals.next().await {
            let outcome = self.driver.outcome(&group, &outcome);
            self.core.figures.decided(outcome);
            came = came.max(outcome);
        }
        came
    }

    /// Takes the present state, and the batches that lead to it.
    async fn catch_up(&mut self) -> Result<(), WatchError> {
        loop {
            self.view = self.core.raft.snapshot();
            while self.noted < self.view.applied() {
                let batch = self.watch.next().await?;
                self.note(&batch);
            }
            if self.noted == self.view.applied() {
                return Ok(());
            }
        }
    }

    fn note(&mut self, batch: &Batch) {
        self.noted = batch.index;
        self.driver.note(batch);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant as Deadline;

    use swarm_crypto::KeyFile;
    use swarm_raft::{Options, Raft};
    use swarm_types::spec::service::{ServiceMode, ServiceSpec};
    use swarm_types::{Change, Service, ServiceId};
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn group(changes: Vec<Change>) -> Group {
        Group { request: IdSource::system().draw(), expect: Vec::new(), changes }
    }

    fn service(replicas: u64) -> Change {
        let id: ServiceId = IdSource::system().draw();
        let mode = ServiceMode::Replicated { replicas };
        let mut spec = ServiceSpec { mode, ..ServiceSpec::default() };
        spec.annotations.name = "web".to_owned();
        Change::CreateService(Box::new(Service {
            id,
            meta: Default::default(),
            spec,
            previous: None,
            endpoint: Default::default(),
            update_status: None,
            job: None,
        }))
    }

    #[tokio::test]
    async fn a_leader_fills_slots_and_ends_with_its_store() {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyFile::load_or_create(&dir.path().join("key")).unwrap();
        let node = IdSource::system().draw();
        let options = Options::new(dir.path().join("raft"), node, "127.0.0.1:1".to_owned());
        let raft = Raft::bootstrap(options, key.sealer(), group(Vec::new())).await.unwrap();
        let core = Arc::new(Core::new(node, raft.clone()));
        let driving = tokio::spawn(run(core));
        let mut leadership = raft.leadership();
        let leads = leadership.wait_for(|it| matches!(it, Leadership::Leader { .. }));
        timeout(SOON, leads).await.unwrap().unwrap();

        let (_, mut watch) = raft.watch();
        let create = group(vec![service(2)]);
        raft.propose(Lane::Control, create, Deadline::now() + SOON).await.unwrap();
        let filled = async {
            while raft.snapshot().unassigned().count() < 2 {
                watch.next().await.unwrap();
            }
        };
        timeout(SOON, filled).await.unwrap();

        raft.shutdown().await;
        timeout(SOON, driving).await.unwrap().unwrap();
    }
}

//! Runs the planner while this manager leads: look, plan, propose, look again.
//!
//! [`Driver`] is the synchronous part: it turns batches into marks and marks into plans, and can
//! run in a simulator. The loop around it proposes and waits. Nothing is remembered here that a
//! new leader would need: it starts with a full pass.

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
pub(crate) struct Driver {
    dirty: Dirty,
    ids: IdSource,
}

impl Driver {
    /// A driver that begins with everything.
    pub(crate) fn new(ids: IdSource) -> Self {
        let mut dirty = Dirty::default();
        dirty.mark(Scope::All);
        Self { dirty, ids }
    }

    pub(crate) fn note(&mut self, batch: &Batch) {
        self.dirty.note(batch);
    }

    pub(crate) fn look_at_everything(&mut self) {
        self.dirty.mark(Scope::All);
    }

    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.dirty.is_due(now)
    }

    pub(crate) fn round(&mut self, view: &Snapshot, now: Timestamp) -> Plan {
        swarm_planner::round(view, &mut self.dirty, &mut self.ids, now)
    }

    /// Takes the outcome of a proposed group. True when it became part of the state.
    pub(crate) fn outcome(&mut self, group: &Group, outcome: &Result<(), ProposeError>) -> bool {
        match outcome {
            Ok(()) => true,
            Err(ProposeError::Refused(refusal)) => {
                if !matches!(refusal, Refusal::Stale { .. }) {
                    tracing::warn!(%refusal, request = %group.request, "a decision was refused");
                }
                self.dirty.retry(group);
                false
            }
            Err(error) => {
                tracing::debug!(%error, "a decision was not agreed on");
                self.dirty.retry(group);
                false
            }
        }
    }
}

/// Drives whenever this manager leads, until it stops.
pub(crate) async fn run(core: Arc<Core>) {
    let mut leadership = core.raft.leadership();
    loop {
        let term = *leadership.borrow_and_update();
        tokio::select! {
            () = lead(&core), if matches!(term, Leadership::Leader { .. }) => {}
            changed = leadership.changed() => if changed.is_err() { return },
            () = core.stopping.cancelled() => return,
        }
    }
}

/// Drives; ends only when it is dropped, or when the store has stopped.
async fn lead(core: &Core) {
    tracing::info!("leading");
    loop {
        let (view, watch) = core.raft.watch();
        let noted = view.applied();
        let driver = Driver::new(IdSource::system());
        let seat = Seat { core, view, noted, watch, driver };
        // A driver that missed batches is replaced by one that begins with everything.
        if let Err(WatchError::Stopped(_)) = seat.drive().await {
            return;
        }
    }
}

/// A driver with what it sees and where its decisions go.
struct Seat<'a> {
    core: &'a Core,
    /// Exactly what the batches noted so far lead to.
    view: Snapshot,
    /// Index of the last batch noted.
    noted: u64,
    watch: Watch,
    driver: Driver,
}

impl Seat<'_> {
    async fn drive(mut self) -> Result<(), WatchError> {
        let mut full_pass = Instant::now() + FULL_PASS;
        loop {
            let now = Timestamp::now();
            let plan = self.driver.round(&self.view, now);
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
            } else if !self.propose(plan).await {
                sleep(PAUSE).await;
            }
            if Instant::now() >= full_pass {
                self.driver.look_at_everything();
                full_pass = Instant::now() + FULL_PASS;
            }
            self.catch_up().await?;
        }
    }

    /// Proposes every group, and waits for all. True when any became part of the state.
    async fn propose(&mut self, plan: Plan) -> bool {
        for why in &plan.why {
            tracing::debug!(?why, "decided");
        }
        let deadline = std::time::Instant::now() + DECIDE_DEADLINE;
        let groups = plan.groups.into_iter().map(Arc::new);
        let core = self.core;
        let mut proposals: FuturesUnordered<_> = groups
            .map(|group| async move {
                let outcome = core.raft.propose(Lane::Control, group.clone(), deadline).await;
                (group, outcome.map(|_| ()))
            })
            .collect();
        let mut progress = proposals.is_empty();
        while let Some((group, outcome)) = proposals.next().await {
            progress |= self.driver.outcome(&group, &outcome);
        }
        progress
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

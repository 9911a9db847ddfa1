//! Rolling updates: which dirty places are exchanged next, and where the update stands.
//!
//! Nothing is remembered. How far an update came is read from the tasks: in each place, the first
//! task of the present spec that took over from a dirty one since the update began. It arrives
//! when it runs or ends, is watched from then on, and gives way to the next place after the
//! delay. The reaper leaves these tasks until the update is over: see [`kept`].

use std::time::Duration;

use swarm_types::object::service::{UpdateState, UpdateStatus};
use swarm_types::spec::service::{FailureAction, UpdateConfig};
use swarm_types::{Change, ObjectId, Service, Task, TaskId, TaskState, Timestamp};

use super::place::Place;
use super::tend::Turn;
use super::wish::Wish;
use crate::Reason;
use crate::draft::{Draft, decided_service};

/// An update as its places show it.
pub(super) struct Rollout {
    config: UpdateConfig,
    places: Vec<Progress>,
    /// Exchanges on their way in places that take no part.
    apart: usize,
}

/// How far an update came in one place.
struct Progress {
    /// A task has to be exchanged still.
    dirty: bool,
    /// Old and new run side by side, or the new one has not arrived.
    flying: bool,
    /// The dirty task can be exchanged at once.
    ready: bool,
    /// What the new task came to; `None` when there is no new one.
    first: Option<First>,
    /// Where it comes in the order of exchange.
    rank: (bool, u64),
}

/// What the first new task of a place came to.
struct First {
    task: TaskId,
    arrived: Option<Timestamp>,
    failed: bool,
}

/// True while an update or a roll-back is under way.
pub(crate) fn is_updating(service: &Service) -> bool {
    let state = service.update_status.as_ref().map(|status| status.state);
    matches!(state, Some(UpdateState::Updating | UpdateState::RollbackStarted))
}

/// Looks at the places of a service; `None` when there is nothing to update.
///
/// The places `apart` take no part at present, as their nodes take no tasks. An exchange that is
/// on its way there counts until it arrives or is given up: the node may be back at any time.
pub(super) fn look<'t>(
    draft: &mut Draft<'_>,
    wish: &Wish<'_>,
    places: &[Place<'_>],
    apart: impl IntoIterator<Item = &'t Place<'t>>,
) -> Option<Rollout> {
    if !is_updating(wish.service) && !wish.is_mixed() {
        return None;
    }
    let config = wish.config();
    let places = places.iter().map(|place| progress(draft, wish, &config, place)).collect();
    let apart = apart.into_iter().filter(|place| is_under_way(draft, wish, place)).count();
    Some(Rollout { config, places, apart })
}

fn progress(
    draft: &Draft<'_>,
    wish: &Wish<'_>,
    config: &UpdateConfig,
    place: &Place<'_>,
) -> Progress {
    let started = wish.service.update_status.as_ref().map(|it| it.started_at.unwrap_or_default());
    let first = started.and_then(|since| first(draft, wish, place, since)).map(|task| First {
        task: task.id,
        arrived: arrived(task),
        failed: has_failed(task, config.monitor),
    });
    let live = |task: &&Task| !task.status.state.is_terminal();
    let wanted = || place.wanted();
    let clean = wanted().any(|task| !wish.is_dirty(draft, task));
    let old = wanted().any(|task| wish.is_dirty(draft, task));
    let exhausted = wanted().next().is_none();
    let newest = place.newest().is_some_and(|task| wish.is_dirty(draft, task));
    let untried = first.is_none() && !clean;
    let arrives = first.as_ref().is_some_and(|first| first.arrived.is_none());
    let under_way = is_under_way(draft, wish, place);
    Progress {
        dirty: untried && if exhausted { newest } else { old },
        flying: under_way || clean && (old || arrives),
        ready: exhausted || wanted().any(|task| live(&task)),
        first,
        rank: (wanted().any(|task| task.status.state == TaskState::Running), place.slot),
    }
}

/// True when a task that took over from a dirty one is wanted and has not arrived, whenever it
/// was made: a node that was away may bring one back that an update before this one began.
fn is_under_way(draft: &Draft<'_>, wish: &Wish<'_>, place: &Place<'_>) -> bool {
    let clean = place.wanted().any(|task| !wish.is_dirty(draft, task));
    let first = first(draft, wish, place, Timestamp::default());
    clean && first.is_some_and(|task| arrived(task).is_none())
}

/// The first task of the present spec that took over from a dirty one since then.
///
/// One that was told to end before it ran says nothing: the next one stands for it.
fn first<'t>(
    draft: &Draft<'_>,
    wish: &Wish<'_>,
    place: &Place<'t>,
    since: Timestamp,
) -> Option<&'t Task> {
    let old = place.tasks.iter().rposition(|task| wish.is_dirty(draft, task))?;
    let new = place.tasks[old + 1..].iter().filter(|task| task.meta.created_at >= since);
    new.copied().find(|task| !withdrawn(task))
}

/// The ended tasks of a place that tell how far an update under way came: the first new one, and
/// the one it took over from.
pub(crate) fn kept(service: &Service, place: &[&Task]) -> [Option<TaskId>; 2] {
    if !is_updating(service) {
        return [None, None];
    }
    let dirty = |task: &&Task| task.spec_version() != service.meta.spec_version;
    let Some(old) = place.iter().rposition(dirty) else { return [None, None] };
    let first = place[old + 1..].iter().find(|task| !withdrawn(task));
    [Some(place[old].id), first.map(|task| task.id)]
}

/// True when the task was told to end before it ran.
fn withdrawn(task: &Task) -> bool {
    task.ran_at == Timestamp::default()
        && matches!(task.status.state, TaskState::Shutdown | TaskState::Orphaned)
}

fn arrived(task: &Task) -> Option<Timestamp> {
    match task.status.state {
        _ if task.ran_at != Timestamp::default() => Some(task.ran_at),
        state if state.is_terminal() => Some(task.status.applied_at),
        _ => None,
    }
}

/// True when the task ended by itself before it ran, or soon after.
fn has_failed(task: &Task, monitor: Duration) -> bool {
    use TaskState::{Complete, Failed, Rejected};
    let by_itself = matches!(task.status.state, Complete | Failed | Rejected);
    let ran = task.ran_at != Timestamp::default();
    by_itself && (!ran || task.status.applied_at.since(task.ran_at) <= monitor)
}

impl Rollout {
    /// Takes the update on to its next state, when one is due. True when it did: the service is
    /// another one then, and its tasks are decided on in the next round.
    pub(super) fn advance(&self, draft: &mut Draft<'_>, wish: &Wish<'_>) -> bool {
        let dirty = self.places.iter().any(|place| place.dirty);
        match wish.state() {
            None | Some(UpdateState::Completed | UpdateState::RollbackCompleted) => {
                dirty && set(draft, wish, UpdateState::Updating, "update in progress".to_owned())
            }
            Some(UpdateState::Updating | UpdateState::RollbackStarted) => {
                if let Some(task) = self.failed() {
                    return fail(draft, wish, &self.config, task);
                }
                !dirty && self.complete(draft, wish)
            }
            Some(UpdateState::Paused | UpdateState::RollbackPaused) => false,
        }
    }

    /// A failed task, when there are more of them than is tolerated.
    fn failed(&self) -> Option<TaskId> {
        if self.config.failure_action == FailureAction::Continue {
            return None;
        }
        let firsts = || self.places.iter().filter_map(|place| place.first.as_ref());
        let failed = || firsts().filter(|first| first.failed);
        let untried = self.places.iter().filter(|place| place.dirty).count();
        let total = (untried + firsts().count()) as u128;
        let ratio = u128::from(self.config.max_failure_millionths);
        let too_many = failed().count() as u128 * 1_000_000 > ratio * total;
        let last = failed().max_by_key(|first| (first.arrived, first.task));
        last.filter(|_| too_many).map(|first| first.task)
    }

    /// Ends the update when all new tasks have been watched long enough.
    fn complete(&self, draft: &mut Draft<'_>, wish: &Wish<'_>) -> bool {
        if self.places.iter().any(|place| place.flying) {
            return false;
        }
        let UpdateConfig { monitor, delay, .. } = self.config;
        let watch =
            if delay >= monitor { delay.saturating_add(Duration::from_secs(1)) } else { monitor };
        let firsts = self.places.iter().filter_map(|place| place.first.as_ref());
        let last = firsts.filter_map(|first| first.arrived).max();
        let over = last.map_or(draft.now, |last| last.after(watch));
        // A time further ahead than the watch reaches was set by a clock that was put back.
        if over > draft.now && over <= draft.now.after(watch) {
            draft.wake(wish.service.id, over);
            return false;
        }
        match wish.rolls_back() {
            true => {
                let message = "rollback completed".to_owned();
                set(draft, wish, UpdateState::RollbackCompleted, message)
            }
            false => set(draft, wish, UpdateState::Completed, "update completed".to_owned()),
        }
    }

    /// Says for each place whether its dirty task is exchanged now.
    pub(super) fn turns(&self, draft: &mut Draft<'_>, wish: &Wish<'_>) -> Vec<Turn> {
        let mut turns = vec![Turn::Wait; self.places.len()];
        if !is_updating(wish.service) || !self.places.iter().any(|place| place.dirty) {
            return turns;
        }
        let mut free = self.free(draft, wish);
        let mut next: Vec<usize> = (0..self.places.len()).collect();
        next.retain(|index| self.places[*index].dirty && self.places[*index].ready);
        next.sort_by_key(|index| self.places[*index].rank);
        for index in next {
            if free == 0 {
                break;
            }
            free -= 1;
            turns[index] = Turn::Begin;
        }
        turns
    }

    /// How many places may be begun now.
    fn free(&self, draft: &mut Draft<'_>, wish: &Wish<'_>) -> usize {
        let (now, delay) = (draft.now, self.config.delay);
        let mut busy = self.apart;
        for place in &self.places {
            let arrived = place.first.as_ref().and_then(|first| first.arrived);
            let rests = arrived.map(|at| at.after(delay)).filter(|until| {
                // See above: a clock that was put back takes no more than the delay.
                *until > now && *until <= now.after(delay)
            });
            if let Some(until) = rests {
                draft.wake(wish.service.id, until);
            }
            busy += usize::from(place.flying || rests.is_some());
        }
        match usize::try_from(self.config.parallelism).unwrap_or(usize::MAX) {
            0 => usize::MAX,
            parallelism => parallelism.saturating_sub(busy),
        }
    }
}

/// Too many tasks failed: stops the update, or returns to the spec before.
fn fail(draft: &mut Draft<'_>, wish: &Wish<'_>, config: &UpdateConfig, task: TaskId) -> bool {
    let why = format!("due to failure or early termination of task {task}");
    // A roll-back is never rolled back.
    if wish.rolls_back() {
        return set(draft, wish, UpdateState::RollbackPaused, format!("rollback paused {why}"));
    }
    // Secrets and configs that only the spec before refers to may be gone.
    let back = wish.service.previous.as_ref();
    let possible = back.is_some_and(|previous| draft.view.has_references(&previous.spec));
    if config.failure_action == FailureAction::Pause || !possible {
        return set(draft, wish, UpdateState::Paused, format!("update paused {why}"));
    }
    let status = UpdateStatus {
        state: UpdateState::RollbackStarted,
        started_at: Some(draft.now),
        completed_at: None,
        message: format!("update rolled back {why}"),
    };
    let change = Change::RollbackService(wish.service.id, Box::new(status));
    decide(draft, wish, change)
}

fn set(draft: &mut Draft<'_>, wish: &Wish<'_>, state: UpdateState, message: String) -> bool {
    let before = wish.service.update_status.as_ref().and_then(|status| status.started_at);
    let begins = state == UpdateState::Updating;
    let ends = matches!(state, UpdateState::Completed | UpdateState::RollbackCompleted);
    let status = UpdateStatus {
        state,
        started_at: if begins { Some(draft.now) } else { before },
        completed_at: ends.then_some(draft.now),
        message,
    };
    decide(draft, wish, Change::SetUpdateStatus(wish.service.id, Box::new(status)))
}

fn decide(draft: &mut Draft<'_>, wish: &Wish<'_>, change: Change) -> bool {
    let about = ObjectId::Service(wish.service.id);
    draft.decide(Reason::Update, about, decided_service(wish.service).into(), vec![change]);
    true
}

//! Keeps one place as it should be: replaces what ended or lost its node, starts what was held
//! back, and exchanges what is dirty when an update has come to it.
//!
//! One task stays: a clean one before a dirty one, one that runs before one that does not, the
//! newest of those. Beside it only a start-first update lets another one run, and only until the
//! new one does.

use swarm_types::spec::service::UpdateOrder;
use swarm_types::{Change, Expect, Task, TaskState, Timestamp};

use super::birth::Birth;
use super::place::Place;
use super::wish::Wish;
use super::{displaced, restart, start, stop};
use crate::Reason;
use crate::draft::{Draft, decided_task};

/// Whether an update has come to a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// Dirty tasks stay as they are for now.
    Wait,
    /// Dirty tasks are exchanged now.
    Begin,
}

/// Plans one place that is held.
pub(super) fn place(draft: &mut Draft<'_>, wish: &Wish<'_>, place: &Place<'_>, turn: Turn) {
    // The newest may be dropped by this plan: what comes after it cannot name it then.
    if place.wanted().chain(place.newest()).any(|task| draft.touched(task.id)) {
        return;
    }
    let (live, dead): (Vec<_>, Vec<_>) = place.wanted().partition(|task| {
        !task.status.state.is_terminal() && displaced(draft, wish, task).is_none()
    });
    let best = best(draft, wish, &live);
    let beside = best.and_then(|best| beside(draft, wish, best, &live));
    let stays = |task: &Task| [best, beside].into_iter().flatten().any(|it| it.id == task.id);
    let surplus: Vec<&Task> = live.iter().copied().filter(|task| !stays(task)).collect();
    if !surplus.is_empty() {
        // Each is stopped by a group of its own, so nothing may be added before all are.
        for task in surplus {
            stop(draft, task, Reason::Superseded, Vec::new());
        }
        return;
    }
    bury(draft, wish, place, best, &dead);
    match best {
        Some(task) if dead.is_empty() && turn == Turn::Begin && wish.is_dirty(draft, task) => {
            exchange(draft, wish, place, task);
        }
        Some(task) if task.desired == TaskState::Ready => raise(draft, wish, place, task, beside),
        None if dead.is_empty() && turn == Turn::Begin => {
            let birth = Birth { wish, place, beside: None };
            birth.plan(draft, Reason::Updated, Timestamp::default(), Default::default());
        }
        _ => {}
    }
}

/// Plans a place that gets no new task: what ended is not replaced, what is held back may start.
pub(super) fn keep(draft: &mut Draft<'_>, wish: &Wish<'_>, place: &Place<'_>) {
    for task in place.wanted() {
        if task.status.state.is_terminal() {
            stop(draft, task, Reason::NotReplaced, Vec::new());
        } else if task.desired == TaskState::Ready {
            raise(draft, wish, place, task, None);
        }
    }
}

fn best<'t>(draft: &Draft<'_>, wish: &Wish<'_>, live: &[&'t Task]) -> Option<&'t Task> {
    let runs = |task: &Task| task.status.state == TaskState::Running;
    let rank = |task: &&&Task| (!wish.is_dirty(draft, task), runs(task));
    live.iter().max_by_key(rank).copied()
}

/// The old task that runs until `best` does.
fn beside<'t>(
    draft: &Draft<'_>,
    wish: &Wish<'_>,
    best: &Task,
    live: &[&'t Task],
) -> Option<&'t Task> {
    let waits = best.status.state < TaskState::Running && wish.order() == UpdateOrder::StartFirst;
    if !waits || wish.is_dirty(draft, best) {
        return None;
    }
    let old: Vec<&Task> = live.iter().copied().filter(|task| wish.is_dirty(draft, task)).collect();
    self::best(draft, wish, &old)
}

/// Wants tasks that ended or lost their node ended, and replaces the newest unless another task
/// stands in for it.
fn bury(
    draft: &mut Draft<'_>,
    wish: &Wish<'_>,
    place: &Place<'_>,
    best: Option<&Task>,
    dead: &[&Task],
) {
    let Some((newest, older)) = dead.split_last() else { return };
    for task in older {
        retire(draft, wish, task, None);
    }
    // What fails beside a task of an older spec is the update's new task: it is tried again.
    let needed = match best {
        None => true,
        Some(best) => wish.is_dirty(draft, best) && !wish.is_dirty(draft, newest),
    };
    let lost = displaced(draft, wish, newest).is_some();
    let delay_ends = start::delay_ends(newest, &place.tasks, draft.now);
    if !lost && delay_ends > draft.now {
        // It ended before it was to start. Replaced now, a task that can never be prepared
        // would be replaced as fast as it fails.
        draft.wake(wish.service.id, delay_ends);
        return;
    }
    let replace = needed && restart::allowed(newest, &place.tasks, draft.now);
    // A task whose node failed or was drained has done nothing wrong: its replacement only keeps
    // what is left of the delay it was under itself.
    let delay = newest.spec().restart.delay;
    let start_after = if lost { delay_ends } else { draft.now.after(delay) };
    let beside = best.filter(|_| wish.order() == UpdateOrder::StartFirst);
    let birth = Birth { wish, place, beside };
    retire(draft, wish, newest, replace.then_some((birth, start_after)));
}

/// Wants a task ended, and its replacement in the same group.
fn retire(
    draft: &mut Draft<'_>,
    wish: &Wish<'_>,
    task: &Task,
    replacement: Option<(Birth<'_>, Timestamp)>,
) {
    let lost = displaced(draft, wish, task);
    let cause = lost.unwrap_or(Reason::TaskEnded);
    let node = task.node.filter(|_| lost.is_some()).map(|node| draft.unchanged(node));
    let Some((birth, start_after)) = replacement else {
        let expect = node.into_iter().collect();
        draft.decide_on(task, Reason::NotReplaced, expect, vec![end(task, cause)]);
        return;
    };
    let expect = [decided_task(task)].into_iter().chain(node).collect();
    birth.plan(draft, cause, start_after, (expect, vec![end(task, cause)]));
}

/// Puts a task of the present spec in the place of a dirty one.
fn exchange(draft: &mut Draft<'_>, wish: &Wish<'_>, place: &Place<'_>, old: &Task) {
    let expect: Vec<Expect> = vec![decided_task(old)];
    let (beside, changes) = match wish.order() {
        UpdateOrder::StartFirst => (Some(old), Vec::new()),
        UpdateOrder::StopFirst => (None, vec![end(old, Reason::Updated)]),
    };
    let birth = Birth { wish, place, beside };
    birth.plan(draft, Reason::Updated, Timestamp::default(), (expect, changes));
}

fn end(task: &Task, cause: Reason) -> Change {
    let (task, desired) = (task.id, TaskState::Shutdown);
    Change::SetDesired { task, desired, reason: cause.to_string() }
}

/// Lets a task start when its gate is open, else asks to be woken when it opens.
fn raise(
    draft: &mut Draft<'_>,
    wish: &Wish<'_>,
    place: &Place<'_>,
    task: &Task,
    beside: Option<&Task>,
) {
    let beside = beside.map(|task| task.id);
    let before = place.tasks.iter().copied().take_while(|other| other.id != task.id);
    let before: Vec<&Task> = before.filter(|other| Some(other.id) != beside).collect();
    let delay_ends = start::delay_ends(task, &place.tasks, draft.now);
    let since = task.meta.created_at;
    let opens = start::opens(draft, before.iter().copied(), since, delay_ends);
    if opens > draft.now {
        draft.wake(wish.service.id, opens);
        return;
    }
    let start = Change::SetDesired {
        task: task.id,
        desired: TaskState::Running,
        reason: Reason::MayStart.to_string(),
    };
    let expect = start::not_waited_for(draft, &before);
    draft.decide_on(task, Reason::MayStart, expect, vec![start]);
}

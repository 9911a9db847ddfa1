//! A new task in a place.

use std::sync::Arc;

use swarm_types::{
    Change, CreateTask, Expect, NewTemplate, ObjectId, Task, TaskId, TaskState, Timestamp,
};

use super::place::Place;
use super::start;
use super::wish::Wish;
use crate::draft::{Draft, Place as GroupOf, Waiting, decided_service};
use crate::{Reason, allocate};

/// A new task in a place.
pub(super) struct Birth<'a> {
    /// What it runs.
    pub(super) wish: &'a Wish<'a>,
    /// Where; with the tasks the place has had.
    pub(super) place: &'a Place<'a>,
    /// The task that runs on until this one runs.
    pub(super) beside: Option<&'a Task>,
}

impl Birth<'_> {
    /// Makes the task, after what happens to its predecessors in the same group.
    pub(super) fn plan(
        self,
        draft: &mut Draft<'_>,
        reason: Reason,
        start_after: Timestamp,
        (mut expect, mut changes): (Vec<Expect>, Vec<Change>),
    ) {
        let (now, service) = (draft.now, self.wish.service);
        let beside = self.beside.map(|task| task.id);
        let before: Vec<&Task> =
            self.place.tasks.iter().copied().filter(|task| Some(task.id) != beside).collect();
        let opens = start::opens(draft, before.iter().copied(), now, start_after);
        let id = draft.task_id();
        expect.extend(decided_service(service));
        expect.extend(start::not_waited_for(draft, &before));
        let desired = if opens > now { TaskState::Ready } else { TaskState::Running };
        changes.push(Change::CreateTask(Box::new(CreateTask {
            id,
            template: NewTemplate::Service {
                service: service.id,
                spec_version: service.meta.spec_version,
            },
            slot: self.place.slot,
            node: self.place.node,
            desired,
            replaces: self.place.newest().map(|task| task.id),
            start_after,
            job_iteration: None,
        })));
        let pending = allocate::pending(id, &self.wish.template.spec);
        let is_pending = pending.is_some();
        changes.extend(pending);
        let about = ObjectId::Service(service.id);
        let Some(group) = draft.decide(reason, about, expect, changes) else { return };
        if desired == TaskState::Ready {
            draft.wake(service.id, opens);
        }
        if is_pending {
            draft.wait(self.waiting(id, now, group));
        }
    }

    fn waiting(&self, task: TaskId, since: Timestamp, group: usize) -> Waiting {
        Waiting {
            task,
            slot: self.place.slot,
            template: Arc::clone(&self.wish.template),
            node: self.place.node,
            since,
            told: String::new(),
            group: GroupOf::Existing(group),
        }
    }
}

//! Tasks that are written several times in a row: only the last result reaches the tables.
//!
//! A planner's group makes a task, gets it ready and assigns it. What it is in between is told
//! by events, but nobody looks it up: tables and indexes get the task once, when the group turns
//! to something else or ends. Claims are checked with every write, so that a group is refused by
//! the same change and for the same reason as if each were written at once.

use std::sync::Arc;

use swarm_types::{Change, Object, ObjectId, Refusal, Task, TaskId};

use super::{Txn, Writer};
use crate::event::Event;
use crate::kind::Stored;

/// A task that is not in the tables as it is by now.
pub(crate) struct Open {
    id: TaskId,
    /// `None` when it was removed.
    now: Option<Arc<Task>>,
}

impl Txn {
    /// Closes the open task unless the change is about it.
    pub(super) fn turn_to(&mut self, change: &Change) {
        if self.open.as_ref().is_some_and(|open| task_of(change) != Some(open.id)) {
            self.close();
        }
    }

    /// Brings the tables in step with the open task.
    pub(super) fn close(&mut self) {
        if let Some(Open { id, now }) = self.open.take() {
            self.tables.put(id, now.as_ref());
        }
    }

    pub(super) fn find_task(&self, id: TaskId) -> Option<&Arc<Task>> {
        match &self.open {
            Some(open) if open.id == id => open.now.as_ref(),
            _ => self.tables.tasks.get(&id),
        }
    }

    /// The task as the group has it by now.
    pub(super) fn task(&self, id: TaskId) -> Result<&Arc<Task>, Refusal> {
        self.find_task(id).ok_or(Refusal::NotFound(ObjectId::Task(id)))
    }

    /// Stores a task that is not there yet.
    pub(super) fn open_task(&mut self, mut task: Task) -> Result<(), Refusal> {
        self.stamp_new(&mut task.meta);
        let new = self.enter(task)?;
        self.events.push(Event::Created(Object::Task(new)));
        Ok(())
    }

    /// Replaces a task that is there.
    pub(super) fn rewrite(&mut self, mut task: Task, writer: Writer) -> Result<(), Refusal> {
        self.stamp(&mut task.meta, writer);
        let old = Arc::clone(self.task(task.id)?);
        let new = self.enter(task)?;
        self.events.push(Event::Updated { old: Object::Task(old), new: Object::Task(new) });
        Ok(())
    }

    /// Drops a task that is there.
    pub(super) fn drop_task(&mut self, id: TaskId) -> Result<(), Refusal> {
        let old = Arc::clone(self.task(id)?);
        self.open = Some(Open { id, now: None });
        self.events.push(Event::Removed(Object::Task(old)));
        Ok(())
    }

    fn enter(&mut self, task: Task) -> Result<Arc<Task>, Refusal> {
        let id = task.id;
        self.tables.check(ObjectId::Task(id), &task.holdings())?;
        let task = Arc::new(task);
        self.open = Some(Open { id, now: Some(Arc::clone(&task)) });
        Ok(task)
    }
}

/// The task a change is about, when it is about one alone.
fn task_of(change: &Change) -> Option<TaskId> {
    match change {
        Change::CreateTask(new) => Some(new.id),
        Change::AssignTask(assign) => Some(assign.task),
        Change::ObserveTask(observed) => Some(observed.task),
        Change::SetTaskPending(task, _)
        | Change::ExplainTask(task, _)
        | Change::SetDesired { task, .. }
        | Change::EndTask { task, .. }
        | Change::RemoveTask(task) => Some(*task),
        _ => None,
    }
}

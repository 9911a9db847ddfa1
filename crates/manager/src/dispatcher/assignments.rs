//! `Assignments`: what a node must run, in full once and then as differences.
//!
//! A node's tasks are those that were assigned to it and still exist, the ended ones too: their
//! containers go when the reaper drops the task. A task is sent again when a manager's decision
//! changed it; what its own agent reported, the node knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use swarm_proto::shared::TemplateWriter;
use swarm_proto::v1::assignment_update::Update;
use swarm_proto::v1::assignments_message::Kind;
use swarm_proto::{field, v1};
use swarm_state::Snapshot;
use swarm_types::{NodeId, Task, TaskId, TaskState};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::hub::{Live, Marks, Pile};
use super::{IN_FLIGHT, closed};
use crate::Core;

type Message = Result<v1::AssignmentsMessage, Status>;

pub(super) fn stream(core: Arc<Core>, live: Arc<Live>) -> ReceiverStream<Message> {
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    let pile = live.begin_stream();
    core.tracker.clone().spawn(async move {
        // A node that does not read must not keep the stream from ending.
        let why = tokio::select! {
            biased;
            () = live.closed.cancelled() => closed(&core),
            () = pile.replaced.cancelled() => Status::aborted("a newer stream took its place"),
            () = feed(&core, &live, &pile, &sender) => return,
        };
        let _ = sender.try_send(Err(why));
    });
    ReceiverStream::new(receiver)
}

/// Sends what changes until nobody takes it any more.
async fn feed(core: &Core, live: &Live, pile: &Pile, sender: &mpsc::Sender<Message>) {
    let mut sent = Sent::default();
    loop {
        let marks = tokio::select! {
            marks = pile.take() => marks,
            () = sender.closed() => return,
        };
        let Some(message) = sent.next(&core.raft.snapshot(), live.node, &marks) else { continue };
        if sender.send(Ok(message)).await.is_err() {
            return;
        }
        core.figures.assignments.inc();
    }
}

/// What the node was told: each task and the decision it was told of.
#[derive(Debug, Default)]
pub struct Sent {
    tasks: BTreeMap<TaskId, u64>,
    messages: u64,
}

impl Sent {
    /// The message that brings the node up to the snapshot; `None` when nothing differs.
    pub fn next(
        &mut self,
        snapshot: &Snapshot,
        node: NodeId,
        marks: &Marks,
    ) -> Option<v1::AssignmentsMessage> {
        let first = self.messages == 0;
        let (changed, gone) = self.differences(snapshot, node, marks);
        if !first && changed.is_empty() && gone.is_empty() {
            return None;
        }
        for task in &changed {
            self.tasks.insert(task.id, task.meta.decided_version);
        }
        for task in &gone {
            self.tasks.remove(task);
        }
        let applies_to = if first { String::new() } else { self.messages.to_string() };
        self.messages += 1;
        let mut templates = TemplateWriter::new();
        let tasks: Vec<v1::Task> = changed.iter().map(|task| templates.task(task)).collect();
        let removed = gone.iter().map(|task| Update::Removed(field::put_id(*task)));
        let updates = tasks.into_iter().map(Update::Task).chain(removed);
        Some(v1::AssignmentsMessage {
            kind: if first { Kind::Complete } else { Kind::Incremental }.into(),
            epoch: snapshot.cluster().map_or(0, |cluster| cluster.epoch),
            applied_index: snapshot.applied(),
            applies_to,
            results_in: self.messages.to_string(),
            templates: templates.into_templates(),
            updates: updates.map(|it| v1::AssignmentUpdate { update: Some(it) }).collect(),
        })
    }

    fn differences(
        &self,
        snapshot: &Snapshot,
        node: NodeId,
        marks: &Marks,
    ) -> (Vec<Arc<Task>>, Vec<TaskId>) {
        let is_news =
            |task: &&Arc<Task>| self.tasks.get(&task.id) != Some(&task.meta.decided_version);
        let theirs =
            |task: &&Arc<Task>| task.node == Some(node) && task.status.state >= TaskState::Assigned;
        if marks.all {
            let all = snapshot.tasks_on_node(&node).filter(theirs).filter(is_news);
            let is_gone = |id: &&TaskId| snapshot.task(id).filter(theirs).is_none();
            return (all.cloned().collect(), self.tasks.keys().filter(is_gone).copied().collect());
        }
        let (mut changed, mut gone) = (Vec::new(), Vec::new());
        for id in &marks.tasks {
            match snapshot.task(id).filter(theirs) {
                Some(task) if is_news(&task) => changed.push(task.clone()),
                Some(_) => {}
                None if self.tasks.contains_key(id) => gone.push(*id),
                None => {}
            }
        }
        (changed, gone)
    }
}

#[cfg(test)]
mod tests;

//! Tasks after their creation. What is wanted and what is observed only grow; managers write
//! states up to ASSIGNED, agents those after it, and managers end only what no agent will.

use std::sync::Arc;

use swarm_types::object::node::NodeState;
use swarm_types::object::task::NetworkAttachment;
use swarm_types::{
    AssignTask, Change, Node, ObjectId, ObserveTask, Refusal, Task, TaskId, TaskState, TaskStatus,
};

use super::{Txn, Writer, invalid};

impl Txn {
    pub(super) fn change_task(&mut self, change: &Change) -> Result<(), Refusal> {
        match change {
            Change::CreateTask(new) => self.create_task(new),
            Change::AssignTask(assign) => self.assign_task(assign),
            Change::SetTaskPending(id, networks) => self.set_task_pending(*id, networks),
            Change::ExplainTask(id, why) => self.explain_task(*id, why),
            Change::SetDesired { task, desired, reason } => {
                self.set_desired(*task, *desired, reason)
            }
            Change::EndTask { task, state, message } => self.end_task(*task, *state, message),
            Change::RemoveTask(id) => self.remove_task(*id),
            Change::ObserveTask(observed) => self.observe_task(observed),
            _ => Ok(()),
        }
    }

    fn set_task_pending(
        &mut self,
        id: TaskId,
        networks: &[NetworkAttachment],
    ) -> Result<(), Refusal> {
        let mut task = Task::clone(self.task(id)?);
        if task.status.state != TaskState::New {
            return invalid(format!("task {id} is {} already", task.status.state));
        }
        let used: Vec<_> = networks.iter().map(|it| ObjectId::Network(it.network)).collect();
        self.need_all(&used)?;
        task.networks = networks.to_vec();
        task.status = self.status(TaskState::Pending, "pending task scheduling");
        self.rewrite(task, Writer::Planner)
    }

    fn assign_task(&mut self, assign: &AssignTask) -> Result<(), Refusal> {
        let mut task = Task::clone(self.unassigned(assign.task)?);
        if task.desired > TaskState::Complete {
            return invalid(format!("task {} is wanted {} by now", task.id, task.desired));
        }
        if task.node.is_some_and(|node| node != assign.node) {
            return invalid(format!("task {} belongs on another node", task.id));
        }
        self.need::<Node>(assign.node)?;
        let volumes: Vec<_> = assign.volumes.iter().map(|it| ObjectId::Volume(it.volume)).collect();
        self.need_all(&volumes)?;
        task.node = Some(assign.node);
        task.generic.clone_from(&assign.generic);
        task.volumes.clone_from(&assign.volumes);
        task.status = self.status(TaskState::Assigned, &assign.message);
        self.rewrite(task, Writer::Planner)
    }

    fn explain_task(&mut self, id: TaskId, why: &str) -> Result<(), Refusal> {
        let mut task = Task::clone(self.unassigned(id)?);
        if task.status.err == why {
            return Ok(());
        }
        why.clone_into(&mut task.status.err);
        (task.status.at, task.status.applied_at) = (self.at, self.at);
        self.rewrite(task, Writer::Planner)
    }

    fn set_desired(&mut self, id: TaskId, desired: TaskState, reason: &str) -> Result<(), Refusal> {
        let mut task = Task::clone(self.task(id)?);
        let known = matches!(
            desired,
            TaskState::Ready
                | TaskState::Running
                | TaskState::Complete
                | TaskState::Shutdown
                | TaskState::Remove
        );
        if !known {
            return invalid(format!("a task cannot be wanted {desired}"));
        }
        if desired < task.desired {
            return invalid(format!("task {id} is wanted {}, not {desired}", task.desired));
        }
        if desired == task.desired {
            return Ok(());
        }
        task.desired = desired;
        reason.clone_into(&mut task.desired_reason);
        self.rewrite(task, Writer::Planner)
    }

    /// A container that may still run keeps its slot, ports and addresses: only what was never
    /// assigned, or whose node is gone, is ended here.
    fn end_task(&mut self, id: TaskId, state: TaskState, message: &str) -> Result<(), Refusal> {
        let mut task = Task::clone(self.task(id)?);
        let found = task.status.state;
        if found.is_terminal() {
            return invalid(format!("task {id} has ended already: {found}"));
        }
        match state {
            TaskState::Shutdown if found < TaskState::Assigned => {}
            TaskState::Shutdown => {
                return invalid(format!("task {id} is {found}: only its node can end it"));
            }
            TaskState::Orphaned if self.node_is_gone(&task) => {}
            TaskState::Orphaned => return invalid(format!("the node of task {id} is not down")),
            _ => return invalid(format!("a manager cannot end a task as {state}")),
        }
        let (at, applied_at) = (self.at, self.at);
        let message = message.to_owned();
        task.status = TaskStatus { state, message, at, applied_at, ..task.status };
        self.rewrite(task, Writer::Planner)
    }

    fn node_is_gone(&self, task: &Task) -> bool {
        task.node.is_some_and(|id| match self.tables.nodes.get(&id) {
            Some(node) => node.status.state == NodeState::Down,
            None => true,
        })
    }

    fn remove_task(&mut self, id: TaskId) -> Result<(), Refusal> {
        let task = self.task(id)?;
        if !task.status.state.is_terminal() {
            return invalid(format!("task {id} is {}: end it first", task.status.state));
        }
        self.drop_task(id)
    }

    /// A report that says nothing new is no error: agents repeat themselves on every session.
    fn observe_task(&mut self, observed: &ObserveTask) -> Result<(), Refusal> {
        let ObserveTask { task: id, node, session, status } = observed;
        let mut task = Task::clone(self.task(*id)?);
        if task.node != Some(*node) {
            return invalid(format!("task {id} is not on node {node}"));
        }
        let present = self.need::<Node>(*node)?.session.as_ref().map(|it| it.id);
        if present != Some(*session) {
            return Err(Refusal::Superseded(*session));
        }
        let found = task.status.state;
        if found < TaskState::Assigned {
            return invalid(format!("task {id} is not assigned yet"));
        }
        if matches!(status.state, TaskState::Remove | TaskState::Orphaned) {
            return invalid(format!("a node cannot report a task as {}", status.state));
        }
        if status.state <= found || found.is_terminal() {
            return Ok(());
        }
        if status.state == TaskState::Running {
            task.ran_at = self.at;
        }
        task.status = TaskStatus { applied_at: self.at, ..status.clone() };
        self.rewrite(task, Writer::Report)
    }

    fn unassigned(&self, id: TaskId) -> Result<&Arc<Task>, Refusal> {
        let task = self.task(id)?;
        if task.status.state < TaskState::Assigned {
            return Ok(task);
        }
        invalid(format!("task {id} is {} already", task.status.state))
    }

    fn status(&self, state: TaskState, message: &str) -> TaskStatus {
        let message = message.to_owned();
        TaskStatus { state, at: self.at, message, applied_at: self.at, ..TaskStatus::default() }
    }
}

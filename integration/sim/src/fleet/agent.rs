//! A node's agent: obeys what it may, runs containers, and tells what became of them.

use std::collections::{BTreeMap, BTreeSet};

use swarm_agent::pure::{Assignment, Disobeyed, Extent, Obeyed, Orders};
use swarm_proto::v1::AssignmentsMessage;
use swarm_types::{NodeId, SessionId, Task, TaskId, TaskState};

use crate::dice::Dice;

/// A node.
pub(crate) struct Agent {
    pub(crate) node: NodeId,
    /// False while the machine is off.
    pub(crate) up: bool,
    /// True while it reaches no manager.
    pub(crate) cut: bool,
    pub(crate) session: Option<Session>,
    pub(crate) obeyed: Obeyed,
    pub(crate) containers: BTreeMap<TaskId, Container>,
    /// What it was told to stop or to forget; such a task never starts again.
    ended: BTreeSet<TaskId>,
}

/// A session as its node sees it.
pub(crate) struct Session {
    /// Which of the managers carries it.
    pub(crate) at: usize,
    pub(crate) id: SessionId,
    orders: Orders,
}

/// A task on a node.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) task: Task,
    /// How far it is.
    pub(crate) state: TaskState,
    /// True once a manager acknowledged that.
    pub(crate) told: bool,
    /// True once the managers gave it up: it goes when it has ended.
    removed: bool,
}

impl Container {
    /// True while its processes run.
    pub(crate) fn runs(&self) -> bool {
        self.state >= TaskState::Starting && !self.state.is_terminal()
    }

    fn reach(&mut self, state: TaskState) {
        if self.state < state && !self.state.is_terminal() {
            (self.state, self.told) = (state, false);
        }
    }

    fn is_done(&self) -> bool {
        self.state.is_terminal() || self.state < TaskState::Starting
    }

    fn stops(&self) -> bool {
        self.removed || self.task.desired > TaskState::Running
    }
}

impl Agent {
    pub(crate) fn new(node: NodeId) -> Self {
        Self {
            node,
            up: true,
            cut: false,
            session: None,
            obeyed: Obeyed::default(),
            containers: BTreeMap::new(),
            ended: BTreeSet::new(),
        }
    }

    /// Takes a session. What it told in an earlier one it tells again.
    pub(crate) fn begin(&mut self, at: usize, id: SessionId) {
        self.session = Some(Session { at, id, orders: Orders::default() });
        self.containers.values_mut().for_each(|it| it.told = false);
    }

    /// The machine loses power: nothing runs any more, what was obeyed is kept.
    pub(crate) fn power_off(&mut self) {
        (self.up, self.session) = (false, None);
        let running = self.containers.values_mut().filter(|it| it.runs());
        running.for_each(|it| it.reach(TaskState::Failed));
    }

    /// Obeys a message, or says why not.
    pub(crate) fn obey(&mut self, message: AssignmentsMessage) -> Result<(), Disobeyed> {
        let Some(session) = &mut self.session else { return Ok(()) };
        let before = self.obeyed;
        let assignment = session.orders.read(message, &mut self.obeyed)?;
        assert!(before <= self.obeyed, "{:?} after {before:?} is obeyed", self.obeyed);
        self.take(assignment);
        Ok(())
    }

    /// The stream of assignments begins anew.
    pub(crate) fn reopened(&mut self) {
        self.session.iter_mut().for_each(|session| session.orders = Orders::default());
    }

    fn take(&mut self, assignment: Assignment) {
        let Assignment { extent, tasks, unreadable, removed } = assignment;
        assert!(unreadable.is_empty(), "{unreadable:?}");
        if extent != Extent::Changes {
            let named: BTreeSet<_> = tasks.iter().map(|task| task.id).collect();
            self.containers.values_mut().for_each(|it| it.removed |= !named.contains(&it.task.id));
        }
        for id in removed {
            self.ended.insert(id);
            self.containers.get_mut(&id).into_iter().for_each(|it| it.removed = true);
        }
        for task in tasks {
            let (id, state) = (task.id, task.status.state);
            let wanted = task.wanted();
            assert!(!wanted || !self.ended.contains(&id), "an old order is obeyed: {task:?}");
            if !wanted {
                self.ended.insert(id);
            }
            let fresh = || Container { task: task.clone(), state, told: true, removed: false };
            let container = self.containers.entry(id).or_insert_with(fresh);
            (container.task, container.removed) = (task, false);
        }
        let removed = self.containers.values().filter(|it| it.removed).map(|it| it.task.id);
        self.ended.extend(removed);
    }

    /// Time passes for its containers. With `failing`, some end by themselves.
    pub(crate) fn run(&mut self, dice: &mut Dice, failing: bool) {
        use TaskState::{Complete, Failed, Ready, Rejected, Running, Shutdown, Starting};
        for container in self.containers.values_mut() {
            if container.stops() {
                // A stop signal takes a while to be followed.
                if container.state < Starting || dice.roll(3) == 0 {
                    container.reach(Shutdown);
                }
            } else if failing && dice.roll(100) == 0 {
                let ends = if container.runs() { [Complete, Failed] } else { [Rejected, Failed] };
                container.reach(dice.pick(&ends).unwrap());
            } else if dice.roll(2) == 0 {
                let next = if container.state < Ready { Ready } else { Starting };
                let next = if container.state >= Starting { Running } else { next };
                container.reach(next.min(container.task.desired));
            }
        }
        self.containers.retain(|_, it| !(it.removed && it.is_done()));
    }

    /// What no manager acknowledged yet.
    pub(crate) fn untold(&self) -> Vec<(TaskId, TaskState)> {
        let untold = self.containers.values().filter(|it| !it.told);
        untold.map(|it| (it.task.id, it.state)).collect()
    }

    /// A manager acknowledged a report.
    pub(crate) fn acknowledge(&mut self, task: TaskId, state: TaskState) {
        let told = self.containers.get_mut(&task).filter(|it| it.state == state);
        told.into_iter().for_each(|it| it.told = true);
    }
}

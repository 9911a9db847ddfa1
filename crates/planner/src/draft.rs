//! A plan under construction.
//!
//! The stages of a round share one: each adds groups, and sees which tasks the stages before it
//! decided on. A task is decided on once; only the allocator's and the scheduler's part is added
//! to the group that made the task, so that a slot is filled by one group of one entry.
//!
//! A draft takes [`MAX_CHANGES`] and drops what comes after, remembering that it did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use swarm_state::Snapshot;
use swarm_types::object::node::NodeState;
use swarm_types::spec::node::Availability;
use swarm_types::spec::task::GenericResource;
use swarm_types::{
    AssignTask, Change, Expect, Expected, Group, IdSource, Node, NodeId, ObjectId, Service,
    ServiceId, Task, TaskId, Template, Timestamp,
};

use crate::orchestrate::Fill;
use crate::{MAX_CHANGES, Plan, Reason, Why};

/// A task that waits for the scheduler.
pub(crate) struct Waiting {
    /// The task.
    pub(crate) task: TaskId,
    /// Its slot.
    pub(crate) slot: u64,
    /// What it runs.
    pub(crate) template: Arc<Template>,
    /// Its node when it was preset.
    pub(crate) node: Option<NodeId>,
    /// Since when it waits.
    pub(crate) since: Timestamp,
    /// What it was last told.
    pub(crate) told: String,
    /// The group the scheduler's decision belongs to.
    pub(crate) group: Place,
}

impl Waiting {
    /// A task of the snapshot.
    pub(crate) fn of(task: &Task, group: Place) -> Self {
        Self {
            task: task.id,
            slot: task.slot,
            template: Arc::clone(&task.template),
            node: task.node,
            since: task.meta.created_at,
            told: task.status.err.clone(),
            group,
        }
    }
}

/// Where a decision on a waiting task goes.
pub(crate) enum Place {
    /// Into the group that made the task or got it ready to be scheduled.
    Existing(usize),
    /// Into a group of its own, which expects this of the task.
    Own(Expect),
}

/// A plan under construction.
pub(crate) struct Draft<'a> {
    /// What is decided on.
    pub(crate) view: &'a Snapshot,
    /// The time of the decisions.
    pub(crate) now: Timestamp,
    /// Objects looked at so far.
    pub(crate) examined: usize,
    ids: &'a mut IdSource,
    groups: Vec<Group>,
    why: Vec<Why>,
    waiting: Vec<Waiting>,
    touched: BTreeSet<TaskId>,
    wakes: BTreeMap<ServiceId, Timestamp>,
    left: BTreeSet<TaskId>,
    evicted: BTreeSet<TaskId>,
    fills: BTreeMap<ServiceId, Fill>,
    spent: usize,
    cut: bool,
}

impl<'a> Draft<'a> {
    /// An empty plan.
    pub(crate) fn new(view: &'a Snapshot, ids: &'a mut IdSource, now: Timestamp) -> Self {
        Self {
            view,
            now,
            examined: 0,
            ids,
            groups: Vec::new(),
            why: Vec::new(),
            waiting: Vec::new(),
            touched: BTreeSet::new(),
            wakes: BTreeMap::new(),
            left: BTreeSet::new(),
            evicted: BTreeSet::new(),
            fills: BTreeMap::new(),
            spent: 0,
            cut: false,
        }
    }

    /// Runs a stage unless the plan is full. False when the stage did not fit, whole or in part.
    pub(crate) fn fits(&mut self, stage: impl FnOnce(&mut Self)) -> bool {
        if !self.cut {
            stage(self);
        }
        !self.cut
    }

    /// True when something did not fit.
    pub(crate) fn is_full(&self) -> bool {
        self.cut
    }

    /// True when a stage of this round decided on the task.
    pub(crate) fn touched(&self, task: TaskId) -> bool {
        self.touched.contains(&task)
    }

    /// Says that the task's node has no room for it any more.
    pub(crate) fn evict(&mut self, task: TaskId) {
        self.evicted.insert(task);
    }

    /// True when the task's node has no room for it any more.
    pub(crate) fn is_evicted(&self, task: TaskId) -> bool {
        self.evicted.contains(&task)
    }

    /// Draws the id of a new task.
    pub(crate) fn task_id(&mut self) -> TaskId {
        self.ids.draw()
    }

    /// Adds a group. Room is kept for one more change, the scheduler's; `None` means that the
    /// plan is full.
    pub(crate) fn decide(
        &mut self,
        reason: Reason,
        about: ObjectId,
        expect: Vec<Expect>,
        changes: Vec<Change>,
    ) -> Option<usize> {
        let cost = changes.len() + 1;
        if self.cut || self.spent + cost > MAX_CHANGES {
            self.cut = true;
            return None;
        }
        self.spent += cost;
        // Nobody asks for a task that the group makes: the snapshot does not have it.
        let made = changes.iter().find_map(|change| match change {
            Change::CreateTask(new) => Some(new.id),
            _ => None,
        });
        let tasks = changes.iter().filter_map(task_of);
        self.touched.extend(tasks.filter(|task| Some(*task) != made));
        self.groups.push(Group { request: self.ids.draw(), expect, changes });
        self.why.push(Why { about, reason });
        Some(self.groups.len() - 1)
    }

    /// Adds a group that is about one task of the snapshot, which nothing else decided on since.
    pub(crate) fn decide_on(
        &mut self,
        task: &Task,
        reason: Reason,
        mut expect: Vec<Expect>,
        changes: Vec<Change>,
    ) -> Option<usize> {
        expect.push(decided_task(task));
        self.decide(reason, ObjectId::Task(task.id), expect, changes)
    }

    /// Hands a task to the scheduler.
    pub(crate) fn wait(&mut self, waiting: Waiting) {
        if let Place::Own(_) = waiting.group {
            self.touched.insert(waiting.task);
        }
        self.waiting.push(waiting);
    }

    /// The tasks handed to the scheduler.
    pub(crate) fn take_waiting(&mut self) -> Vec<Waiting> {
        std::mem::take(&mut self.waiting)
    }

    /// Puts a waiting task on a node. False when the plan is full: the task then waits for the
    /// next round.
    pub(crate) fn assign(
        &mut self,
        waiting: &Waiting,
        node: &Node,
        generic: Vec<GenericResource>,
        message: &str,
    ) -> bool {
        let change = Change::AssignTask(Box::new(AssignTask {
            task: waiting.task,
            node: node.id,
            generic,
            volumes: Vec::new(),
            message: message.to_owned(),
        }));
        self.settle(waiting, Reason::Placed, &decided_node(node), change)
    }

    /// Tells a waiting task why it waits, unless it was told.
    pub(crate) fn explain(&mut self, waiting: &Waiting, text: &str) {
        if waiting.told != text {
            let change = Change::ExplainTask(waiting.task, text.to_owned());
            self.settle(waiting, Reason::NoNode, &[], change);
        }
    }

    fn settle(&mut self, waiting: &Waiting, why: Reason, on: &[Expect], change: Change) -> bool {
        match waiting.group {
            Place::Existing(index) => {
                if let Some(group) = self.groups.get_mut(index) {
                    group.expect.extend(on);
                    group.changes.push(change);
                }
                true
            }
            Place::Own(task) => {
                let expect = [&[task], on].concat();
                let about = ObjectId::Task(waiting.task);
                let decided = self.decide(why, about, expect, vec![change]).is_some();
                if !decided {
                    self.left.insert(waiting.task);
                }
                decided
            }
        }
    }

    /// The waiting tasks that did not fit into the plan.
    pub(crate) fn take_left(&mut self) -> BTreeSet<TaskId> {
        std::mem::take(&mut self.left)
    }

    /// Says that nothing of the service is left to plan but to fill these slots.
    pub(crate) fn fill_on(&mut self, service: ServiceId, rest: Fill) {
        self.fills.insert(service, rest);
    }

    /// The slots that are left of the service; `None` when the service was not planned so far.
    pub(crate) fn take_fill(&mut self, service: ServiceId) -> Option<Fill> {
        self.fills.remove(&service)
    }

    /// Asks for the service to be planned again at `at`.
    pub(crate) fn wake(&mut self, service: ServiceId, at: Timestamp) {
        let wake = self.wakes.entry(service).or_insert(at);
        *wake = at.min(*wake);
    }

    /// The plan, and when each service wants to be planned again.
    pub(crate) fn finish(self) -> (Plan, BTreeMap<ServiceId, Timestamp>) {
        let wake_at = if self.cut { Some(self.now) } else { self.wakes.values().min().copied() };
        let Self { groups, why, examined, .. } = self;
        (Plan { groups, wake_at, why, examined }, self.wakes)
    }

    /// Nothing became of the node since, present or not: it did not come back.
    pub(crate) fn unchanged(&self, node: NodeId) -> Expect {
        let present = self.view.node(&node);
        let what = present.map_or(Expected::Absent, |it| Expected::Version(it.meta.version));
        Expect { object: ObjectId::Node(node), what }
    }

    /// True when the node is gone or down: what ran there is not waited for.
    pub(crate) fn is_lost(&self, node: NodeId) -> bool {
        self.view.node(&node).is_none_or(|node| node.status.state == NodeState::Down)
    }

    /// True when no task should stay on the node: it is gone, down or drained.
    pub(crate) fn is_invalid(&self, node: NodeId) -> bool {
        let drained = |node: &Node| node.spec.availability == Availability::Drain;
        self.is_lost(node) || self.view.node(&node).is_some_and(|node| drained(node))
    }
}

/// Nothing decided on the task since.
pub(crate) fn decided_task(task: &Task) -> Expect {
    let what = Expected::Decided(task.meta.decided_version);
    Expect { object: ObjectId::Task(task.id), what }
}

/// Nothing decided on the service since, and no user changed it.
pub(crate) fn decided_service(service: &Service) -> [Expect; 2] {
    let object = ObjectId::Service(service.id);
    [
        Expect { object, what: Expected::Decided(service.meta.decided_version) },
        Expect { object, what: Expected::SpecVersion(service.meta.spec_version) },
    ]
}

fn decided_node(node: &Node) -> [Expect; 2] {
    let object = ObjectId::Node(node.id);
    [
        Expect { object, what: Expected::Decided(node.meta.decided_version) },
        Expect { object, what: Expected::SpecVersion(node.meta.spec_version) },
    ]
}

/// The task a planner's change is about.
pub(crate) fn task_of(change: &Change) -> Option<TaskId> {
    match change {
        Change::CreateTask(create) => Some(create.id),
        Change::AssignTask(assign) => Some(assign.task),
        Change::SetTaskPending(task, _)
        | Change::ExplainTask(task, _)
        | Change::SetDesired { task, .. }
        | Change::EndTask { task, .. }
        | Change::RemoveTask(task) => Some(*task),
        _ => None,
    }
}

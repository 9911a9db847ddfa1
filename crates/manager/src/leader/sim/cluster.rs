//! The simulated cluster: the real state, a clock, and nodes that report.

use std::sync::Arc;
use std::time::Duration;

use swarm_state::{Applied, Snapshot, State};
use swarm_types::object::node::{NodeDescription, NodeState, NodeStatus};
use swarm_types::spec::node::{Availability, NodeSpec};
use swarm_types::spec::service::{
    EndpointMode, EndpointSpec, FailureAction, PortConfig, Protocol, PublishMode, ServiceMode,
    ServiceSpec, UpdateConfig, UpdateOrder,
};
use swarm_types::spec::task::{RestartCondition, TaskRuntime};
use swarm_types::{
    Change, Entry, Group, IdSource, LEVEL, Meta, Node, NodeId, ObserveTask, OpenSession, Service,
    ServiceId, Task, TaskId, TaskState, TaskStatus, Timestamp,
};

/// Bytes each node has.
pub(super) const MEMORY: i64 = 4 << 30;
/// The port of the host that some services publish.
pub(super) const PORT: u16 = 80;
/// How long a task may take to end before another may start in its place.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Cluster {
    state: State,
    pub(super) now: Timestamp,
    ids: IdSource,
}

impl Cluster {
    pub(super) fn new(nodes: usize) -> Self {
        let (state, ids) = (State::new(), IdSource::seeded(1));
        let mut cluster = Self { state, now: Timestamp(1_000_000_000_000_000_000), ids };
        for _ in 0..nodes {
            let id: NodeId = cluster.ids.draw();
            let node = Node {
                id,
                meta: Meta::default(),
                spec: NodeSpec::default(),
                description: NodeDescription::default(),
                status: NodeStatus::default(),
                role: Default::default(),
                key_fingerprint: Vec::new(),
                session: None,
                attachments: Vec::new(),
                manager_addr: String::new(),
                raft_id: 0,
            };
            let changes = [Change::CreateNode(Box::new(node)), cluster.up(id)];
            let groups = changes.map(|change| cluster.group(change));
            cluster.apply(groups.into());
        }
        cluster
    }

    pub(super) fn view(&self) -> Snapshot {
        self.state.snapshot()
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    pub(super) fn group(&mut self, change: Change) -> Group {
        Group { request: self.ids.draw(), expect: Vec::new(), changes: vec![change] }
    }

    pub(super) fn apply(&mut self, groups: Vec<Group>) -> Applied {
        let groups = groups.into_iter().map(Arc::new).collect();
        let entry = Entry { level: LEVEL, at: self.now, groups, check: None };
        self.state.apply(self.view().applied() + 1, &entry).unwrap()
    }

    pub(super) fn up(&mut self, node: NodeId) -> Change {
        let description = NodeDescription { memory_bytes: MEMORY, ..NodeDescription::default() };
        Change::OpenSession(Box::new(OpenSession {
            node,
            session: self.ids.draw(),
            manager: node,
            boot_id: String::new(),
            description: Box::new(description),
            addr: String::new(),
        }))
    }

    pub(super) fn down(&self, node: NodeId) -> Change {
        let session = self.view().node(&node).and_then(|it| it.session.as_ref().map(|it| it.id));
        Change::NodeDown { node, session, message: "silent".to_owned() }
    }

    pub(super) fn turn(node: NodeId, availability: Availability) -> Change {
        Change::UpdateNode(node, NodeSpec { availability, ..NodeSpec::default() })
    }

    /// A new service; its kind says what is special about it.
    pub(super) fn service(&mut self, kind: u64, replicas: u64) -> Change {
        let id: ServiceId = self.ids.draw();
        let mode = ServiceMode::Replicated { replicas };
        let mut spec = ServiceSpec { mode, ..ServiceSpec::default() };
        spec.annotations.name = format!("s{id}");
        spec.task.runtime = TaskRuntime::Container(Box::default());
        match kind {
            1 => spec.task.restart.condition = RestartCondition::None,
            2 => spec.task.restart.max_attempts = 2,
            3 => spec.task.placement.max_replicas = 1,
            4 => spec.task.resources.reservations.memory_bytes = 1 << 30,
            5 => spec.endpoint = host_port(),
            6 => spec.mode = ServiceMode::Global,
            7 => {
                let (order, config) = (UpdateOrder::StartFirst, UpdateConfig::default());
                spec.update = Some(UpdateConfig { order, parallelism: 2, ..config });
            }
            8 => {
                let (failure_action, config) = (FailureAction::Rollback, UpdateConfig::default());
                let delay = Duration::from_secs(3);
                spec.update = Some(UpdateConfig { failure_action, delay, ..config });
            }
            _ => {}
        }
        Change::CreateService(Box::new(Service {
            id,
            meta: Meta::default(),
            spec,
            previous: None,
            endpoint: Default::default(),
            update_status: None,
            job: None,
        }))
    }

    /// What the task's node reports; nothing from one that is not up.
    pub(super) fn report(&self, task: TaskId, state: TaskState) -> Option<Change> {
        let view = self.view();
        let node = view.node(&view.task(&task)?.node?)?;
        let session = node.session.as_ref()?.id;
        let status = TaskStatus { state, at: self.now, ..TaskStatus::default() };
        let observe = ObserveTask { task, node: node.id, session, status };
        (node.status.state == NodeState::Ready).then(|| Change::ObserveTask(Box::new(observe)))
    }

    /// What nodes report that bring every task where it should be.
    pub(super) fn moves(&self) -> Vec<Change> {
        let view = self.view();
        let lags = |task: &&Arc<Task>| task.may_run() && task.status.state < goal(task);
        view.tasks().filter(lags).filter_map(|task| self.report(task.id, goal(task))).collect()
    }

    /// True when tasks of the service may run beside those they take over from.
    pub(super) fn starts_first(&self, service: ServiceId) -> bool {
        let view = self.view();
        view.service(&service).is_none_or(|service| {
            let update = service.spec.update.as_ref();
            update.is_some_and(|config| config.order == UpdateOrder::StartFirst)
        })
    }

    /// No task was let start while one before it in the slot may run on a node that is not down,
    /// unless that one was waited for long enough.
    pub(super) fn check_starts(&self, before: &Snapshot) {
        let view = self.view();
        let started = |view: &Snapshot, task: &Task| {
            view.task(&task.id).is_some_and(|it| it.desired == TaskState::Running)
        };
        for task in view.tasks().filter(|it| started(&view, it) && !started(before, it)) {
            let service = task.service().unwrap();
            let earlier = view.tasks_in_slot(&service, task.slot);
            let earlier = earlier.take_while(|it| it.id != task.id);
            let same_place = |it: &&Arc<Task>| !task.template.global || it.node == task.node;
            for other in earlier.filter(same_place).filter(|it| it.may_run()) {
                if other.wanted() {
                    assert!(self.starts_first(service), "{task:?} runs beside {other:?}");
                    continue;
                }
                let node = other.node.and_then(|node| view.node(&node));
                let lost = node.is_none_or(|node| node.status.state == NodeState::Down);
                let waited = self.now.since(task.meta.created_at) >= PATIENCE;
                assert!(lost || waited, "{task:?} does not wait for {other:?}");
            }
        }
    }
}

fn goal(task: &Task) -> TaskState {
    task.desired.min(TaskState::Shutdown)
}

fn host_port() -> EndpointSpec {
    let port = PortConfig {
        name: String::new(),
        protocol: Protocol::Tcp,
        target: 80,
        published: PORT,
        mode: PublishMode::Host,
    };
    EndpointSpec { mode: EndpointMode::DnsRr, ports: vec![port] }
}

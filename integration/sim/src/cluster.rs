//! The simulated cluster: the real state, a clock, and nodes that report.
//!
//! It makes changes and applies entries; what happens when is the business of its users.

use std::sync::Arc;
use std::time::Duration;

use swarm_state::{Applied, Snapshot, State};
use swarm_types::object::node::{NodeDescription, NodeState, NodeStatus};
use swarm_types::spec::node::{Availability, NodeSpec};
use swarm_types::spec::service::{
    EndpointMode, EndpointSpec, FailureAction, PortConfig, Protocol, PublishMode, ServiceMode,
    ServiceSpec, UpdateConfig, UpdateOrder,
};
use swarm_types::spec::task::{
    GenericResource, PlacementPreference, RestartCondition, TaskRuntime,
};
use swarm_types::{
    Change, Entry, Group, IdSource, LEVEL, Meta, Node, NodeId, ObserveTask, OpenSession, Service,
    ServiceId, SessionId, Task, TaskId, TaskState, TaskStatus, Timestamp,
};

/// The label of the zone a node is in.
const ZONE: &str = "zone";
/// The user-defined resource of which each node has two units.
const GPU: &str = "gpu";
/// The port of the host that some services publish.
const PORT: u16 = 80;

/// Kinds of services there are.
pub(crate) const KINDS: u64 = 12;

/// The simulated cluster.
pub struct Cluster {
    state: State,
    /// Its clock.
    pub now: Timestamp,
    pub(crate) ids: IdSource,
    /// What was agreed on, from the first entry.
    pub(crate) log: Vec<Logged>,
}

/// An entry of the log, and the hash of the state after it.
pub(crate) struct Logged {
    pub(crate) entry: Entry,
    pub(crate) hash: [u8; 32],
}

impl Cluster {
    /// A cluster of that many nodes, all ready.
    #[must_use]
    pub fn new(nodes: usize) -> Self {
        let (state, ids) = (State::new(), IdSource::seeded(1));
        let now = Timestamp(1_000_000_000_000_000_000);
        let mut cluster = Self { state, now, ids, log: Vec::new() };
        for number in 0..nodes {
            let node = cluster.fresh(number);
            let id = node.id;
            let changes = [Change::CreateNode(Box::new(node)), cluster.up(id)];
            let groups = changes.map(|change| cluster.group(change));
            cluster.apply(groups.into());
        }
        cluster
    }

    /// A node that never had a session; nodes are in two zones by turns.
    fn fresh(&mut self, number: usize) -> Node {
        let mut spec = NodeSpec::default();
        spec.annotations.labels.insert(ZONE.to_owned(), ["a", "b"][number % 2].to_owned());
        Node {
            id: self.ids.draw(),
            meta: Meta::default(),
            spec,
            description: NodeDescription::default(),
            status: NodeStatus::default(),
            role: Default::default(),
            key_fingerprint: Vec::new(),
            session: None,
            attachments: Vec::new(),
        }
    }

    /// The state.
    #[must_use]
    pub fn view(&self) -> Snapshot {
        self.state.snapshot()
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    /// A group of one change.
    pub fn group(&mut self, change: Change) -> Group {
        Group { request: self.ids.draw(), expect: Vec::new(), changes: vec![change] }
    }

    /// Applies groups as one entry.
    pub fn apply(&mut self, groups: Vec<Group>) -> Applied {
        self.apply_at(self.now, groups)
    }

    /// Applies groups as one entry that was written at that time.
    pub(crate) fn apply_at(&mut self, at: Timestamp, groups: Vec<Group>) -> Applied {
        let groups = groups.into_iter().map(Arc::new).collect();
        let entry = Entry { level: LEVEL, at, groups, check: None };
        let applied = self.state.apply(self.view().applied() + 1, &entry).unwrap();
        self.log.push(Logged { entry, hash: self.view().hash() });
        applied
    }

    /// A node opens a session.
    pub fn up(&mut self, node: NodeId) -> Change {
        let session = self.ids.draw();
        self.open(node, session, node)
    }

    /// A node opens that session at a manager.
    pub(crate) fn open(&self, node: NodeId, session: SessionId, manager: NodeId) -> Change {
        let unit =
            |name: &str| GenericResource::Named { kind: GPU.to_owned(), value: name.to_owned() };
        let description = NodeDescription {
            nano_cpus: 4_000_000_000,
            memory_bytes: 4 << 30,
            generic: vec![unit("0"), unit("1")],
            ..NodeDescription::default()
        };
        Change::OpenSession(Box::new(OpenSession {
            node,
            session,
            manager,
            boot_id: String::new(),
            description: Box::new(description),
            addr: String::new(),
        }))
    }

    pub(crate) fn down(&self, node: NodeId) -> Change {
        let session = self.view().node(&node).and_then(|it| it.session.as_ref().map(|it| it.id));
        Change::NodeDown { node, session, message: "silent".to_owned() }
    }

    pub(crate) fn turn(&self, id: NodeId, availability: Availability) -> Change {
        let view = self.view();
        let spec = view.node(&id).map(|node| node.spec.clone()).unwrap_or_default();
        Change::UpdateNode(id, NodeSpec { availability, ..spec })
    }

    /// A new service; its kind, one of [`KINDS`], says what is special about it.
    pub fn service(&mut self, kind: u64, replicas: u64) -> Change {
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
            9 => spec.task.placement.constraints = vec![format!("node.labels.{ZONE}==a")],
            10 => {
                let descriptor = format!("node.labels.{ZONE}");
                spec.task.placement.preferences = vec![PlacementPreference::Spread { descriptor }];
                spec.task.resources.reservations.nano_cpus = 1_500_000_000;
            }
            11 => {
                let unit = GenericResource::Discrete { kind: GPU.to_owned(), value: 1 };
                spec.task.resources.reservations.generic = vec![unit];
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
    pub(crate) fn report(&self, task: TaskId, state: TaskState) -> Option<Change> {
        let view = self.view();
        let node = view.node(&view.task(&task)?.node?)?;
        let session = node.session.as_ref()?.id;
        let status = TaskStatus { state, at: self.now, ..TaskStatus::default() };
        let observe = ObserveTask { task, node: node.id, session, status };
        (node.status.state == NodeState::Ready).then(|| Change::ObserveTask(Box::new(observe)))
    }

    /// What nodes report that bring every task where it should be.
    pub(crate) fn moves(&self) -> Vec<Change> {
        let view = self.view();
        let lags = |task: &&Arc<Task>| task.may_run() && task.status.state < goal(task);
        view.tasks().filter(lags).filter_map(|task| self.report(task.id, goal(task))).collect()
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

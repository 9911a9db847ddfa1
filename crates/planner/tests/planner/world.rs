//! A cluster in memory: the real state, a clock that is set by hand, and agents that do as told.

use std::sync::Arc;
use std::time::Duration;

use swarm_planner::{Dirty, Plan, Scope, plan, round};
use swarm_state::{Applied, Snapshot, State};
use swarm_types::object::cluster::RootCa;
use swarm_types::object::node::{NodeDescription, NodeState, NodeStatus};
use swarm_types::spec::cluster::ClusterSpec;
use swarm_types::spec::container::ContainerSpec;
use swarm_types::spec::node::{Availability, NodeSpec};
use swarm_types::spec::secret::SecretSpec;
use swarm_types::spec::service::{
    EndpointSpec, ServiceMode, ServiceSpec, UpdateConfig, UpdateOrder,
};
use swarm_types::spec::task::{Platform, TaskRuntime};
use swarm_types::{
    Change, Cluster, Entry, Group, IdSource, LEVEL, Meta, Node, NodeId, ObserveTask, OpenSession,
    Refusal, Secret, SecretId, Sensitive, Service, ServiceId, Task, TaskId, TaskState, TaskStatus,
    Timestamp, defaults,
};

/// Most rounds a cluster may take to come to rest.
const ROUNDS: usize = 120;

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) dirty: Dirty,
    pub(crate) now: Timestamp,
    ids: IdSource,
    planner_ids: IdSource,
}

impl World {
    /// A cluster with that many nodes, all ready.
    pub(crate) fn new(nodes: usize) -> Self {
        let mut world = Self {
            state: State::new(),
            dirty: Dirty::default(),
            now: Timestamp(1_000_000_000_000_000_000),
            ids: IdSource::seeded(1),
            planner_ids: IdSource::seeded(2),
        };
        for _ in 0..nodes {
            world.node();
        }
        world
    }

    pub(crate) fn view(&self) -> Snapshot {
        self.state.snapshot()
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    /// Applies groups as one entry.
    pub(crate) fn apply(&mut self, groups: Vec<Group>) -> Applied {
        let groups = groups.into_iter().map(Arc::new).collect();
        let entry = Entry { level: LEVEL, at: self.now, groups, check: None };
        let index = self.view().applied() + 1;
        let applied = self.state.apply(index, &entry).expect("the level is known");
        self.dirty.note(&applied.events);
        applied
    }

    /// Applies one change and says what became of it.
    pub(crate) fn try_change(&mut self, change: Change) -> Result<(), Refusal> {
        let request = self.ids.draw();
        let group = Group { request, expect: Vec::new(), changes: vec![change] };
        self.apply(vec![group]).results.remove(0).map(|_| ())
    }

    pub(crate) fn change(&mut self, change: Change) {
        self.try_change(change).expect("the change is allowed");
    }

    /// Plans a part of the cluster.
    pub(crate) fn plan(&mut self, scope: Scope) -> Plan {
        plan(&self.view(), scope, &mut self.planner_ids, self.now)
    }

    /// Plans what the events marked, and applies it; every group must be accepted.
    pub(crate) fn step(&mut self) -> Plan {
        let view = self.view();
        let plan = round(&view, &mut self.dirty, &mut self.planner_ids, self.now);
        if !plan.groups.is_empty() {
            let applied = self.apply(plan.groups.clone());
            for (result, group) in applied.results.iter().zip(&plan.groups) {
                assert!(result.is_ok(), "{result:?} of {group:?}");
            }
            self.check_starts(&view);
        }
        plan
    }

    /// No task was let start while one before it in the slot may run on a node that is not down,
    /// unless that one was given a minute, and 10 s more than its grace period, to stop.
    fn check_starts(&self, before: &Snapshot) {
        let starts = |view: &Snapshot, task: &Task| {
            view.task(&task.id).is_some_and(|it| it.desired == TaskState::Running)
        };
        let view = self.view();
        for task in view.tasks().filter(|it| starts(&view, it) && !starts(before, it)) {
            let service = task.service().expect("all have one");
            let earlier = view.tasks_in_slot(&service, task.slot).take_while(|it| it.id != task.id);
            let same_place = |it: &&Arc<Task>| !task.template.global || it.node == task.node;
            for other in earlier.filter(same_place).filter(|it| it.may_run()) {
                if other.wanted() {
                    assert!(self.starts_first(service), "{task:?} runs beside {other:?}");
                    continue;
                }
                let node = other.node.and_then(|node| view.node(&node));
                let lost = node.is_none_or(|node| node.status.state == NodeState::Down);
                let grace = other.spec().container().map_or(MINUTE, |it| it.stop_grace_period);
                let patience = MINUTE.max(grace + Duration::from_secs(10));
                let waited = self.now.since(task.meta.created_at) >= patience;
                assert!(lost || waited, "{task:?} does not wait for {other:?}");
            }
        }
    }

    pub(crate) fn starts_first(&self, service: ServiceId) -> bool {
        let view = self.view();
        // Tasks of a removed service may be left in the midst of its update.
        let Some(service) = view.service(&service) else { return true };
        let spec = &service.spec;
        let order = |config: &Option<UpdateConfig>| config.as_ref().map(|it| it.order);
        [&spec.update, &spec.rollback]
            .into_iter()
            .any(|config| order(config) == Some(UpdateOrder::StartFirst))
    }

    /// Plans and applies until there is nothing more to do; says in how many rounds.
    pub(crate) fn settle(&mut self) -> usize {
        for rounds in 0..ROUNDS {
            if self.step().groups.is_empty() {
                return rounds;
            }
        }
        panic!("not at rest after {ROUNDS} rounds");
    }

    /// Agents do what they are told, and the planner what it must, until nothing changes.
    pub(crate) fn run(&mut self) {
        for _ in 0..ROUNDS {
            if self.settle() + self.obey() == 0 {
                return;
            }
        }
        panic!("not at rest after {ROUNDS} turns");
    }

    /// Every node that is up brings its tasks where they should be. Says how many moved.
    pub(crate) fn obey(&mut self) -> usize {
        self.obey_some(usize::MAX)
    }

    /// Like [`Self::obey`], for some of the tasks: at least one, chosen by a number.
    pub(crate) fn obey_some(&mut self, pace: usize) -> usize {
        let tasks: Vec<Arc<Task>> = self.view().tasks().cloned().collect();
        let moves: Vec<(TaskId, TaskState)> = tasks
            .iter()
            .filter(|task| task.may_run() && task.node.is_some_and(|node| self.is_up(node)))
            .map(|task| (task.id, task.desired.min(TaskState::Shutdown)))
            .filter(|(id, goal)| self.task(*id).status.state < *goal)
            .collect();
        let most = 1 + pace.saturating_sub(1) % moves.len().max(1);
        let some = if pace == usize::MAX { moves.len() } else { most.min(moves.len()) };
        for (task, goal) in &moves[..some] {
            self.report(*task, *goal);
        }
        some
    }

    fn is_up(&self, node: NodeId) -> bool {
        let view = self.view();
        view.node(&node).is_some_and(|node| node.status.state == NodeState::Ready)
    }

    /// A node that is ready, with 4 CPUs and 8 GiB.
    pub(crate) fn node(&mut self) -> NodeId {
        let node = Node {
            id: self.ids.draw(),
            meta: Meta::default(),
            spec: NodeSpec::default(),
            description: NodeDescription::default(),
            status: NodeStatus::default(),
            role: Default::default(),
            key_fingerprint: Vec::new(),
            session: None,
            attachments: Vec::new(),
        };
        let id = node.id;
        self.change(Change::CreateNode(Box::new(node)));
        self.up(id);
        id
    }

    /// A secret without a value.
    pub(crate) fn secret(&mut self) -> SecretId {
        let id = self.ids.draw();
        let mut spec = SecretSpec::default();
        spec.annotations.name = format!("key{id}");
        let secret = Secret { id, meta: Meta::default(), spec, internal: false };
        self.change(Change::CreateSecret(Box::new(secret)));
        id
    }

    /// Draws the id of a session.
    pub(crate) fn session(&mut self) -> swarm_types::SessionId {
        self.ids.draw()
    }

    /// The node opens a session.
    pub(crate) fn up(&mut self, node: NodeId) {
        self.up_as(node, |_| {});
    }

    /// A node of that description with those labels.
    pub(crate) fn node_of(
        &mut self,
        labels: &[(&str, &str)],
        edit: impl FnOnce(&mut NodeDescription),
    ) -> NodeId {
        let node = self.node();
        self.up_as(node, edit);
        self.set_labels(node, labels);
        node
    }

    pub(crate) fn set_labels(&mut self, node: NodeId, labels: &[(&str, &str)]) {
        let mut spec = self.view().node(&node).expect("the node is there").spec.clone();
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        spec.annotations.labels = labels.iter().map(owned).collect();
        self.change(Change::UpdateNode(node, spec));
    }

    /// The node opens a session and describes itself so.
    pub(crate) fn up_as(&mut self, node: NodeId, edit: impl FnOnce(&mut NodeDescription)) {
        let platform = Platform { os: "linux".to_owned(), architecture: "x86_64".to_owned() };
        let mut description = NodeDescription {
            platform,
            nano_cpus: 4_000_000_000,
            memory_bytes: 8 << 30,
            ..NodeDescription::default()
        };
        edit(&mut description);
        let open = OpenSession {
            node,
            session: self.ids.draw(),
            manager: node,
            boot_id: "boot".to_owned(),
            description: Box::new(description),
            addr: "192.0.2.1".to_owned(),
        };
        self.change(Change::OpenSession(Box::new(open)));
    }

    pub(crate) fn down(&mut self, node: NodeId) {
        let session = self.view().node(&node).and_then(|it| it.session.as_ref()).map(|it| it.id);
        self.change(Change::NodeDown { node, session, message: "silent".to_owned() });
    }

    pub(crate) fn set_availability(&mut self, node: NodeId, availability: Availability) {
        self.change(Change::UpdateNode(node, NodeSpec { availability, ..NodeSpec::default() }));
    }

    /// Founds the cluster with that limit of ended tasks.
    pub(crate) fn set_history_limit(&mut self, limit: i64) {
        let spec = ClusterSpec { task_history_limit: limit, ..ClusterSpec::default() };
        let cluster = Cluster {
            id: self.ids.draw(),
            meta: Meta::default(),
            spec,
            root_ca: RootCa::default(),
            epoch: 1,
            level: LEVEL,
            address_pools: Vec::new(),
            subnet_size: defaults::SUBNET_SIZE,
            data_path_port: defaults::DATA_PATH_PORT,
            vni_base: 4096,
            data_path_keys: Vec::new(),
            key_clock: 0,
            unlock_key: Sensitive::default(),
            removed_nodes: Vec::new(),
        };
        self.change(Change::CreateCluster(Box::new(cluster)));
    }

    /// A service of that many replicas, which is not planned yet.
    pub(crate) fn service(&mut self, replicas: u64) -> ServiceId {
        self.service_of(replicas, |_| {})
    }

    pub(crate) fn service_of(
        &mut self,
        replicas: u64,
        edit: impl FnOnce(&mut ServiceSpec),
    ) -> ServiceId {
        let id: ServiceId = self.ids.draw();
        let mut spec =
            ServiceSpec { mode: ServiceMode::Replicated { replicas }, ..ServiceSpec::default() };
        spec.annotations.name = format!("s{id}");
        spec.task.runtime = TaskRuntime::Container(Box::new(ContainerSpec {
            image: "web".to_owned(),
            stop_grace_period: defaults::STOP_GRACE_PERIOD,
            ..ContainerSpec::default()
        }));
        edit(&mut spec);
        let service = Service {
            id,
            meta: Meta::default(),
            spec,
            previous: None,
            endpoint: Default::default(),
            update_status: None,
            job: None,
        };
        self.change(Change::CreateService(Box::new(service)));
        id
    }

    pub(crate) fn update(&mut self, service: ServiceId, edit: impl FnOnce(&mut ServiceSpec)) {
        let view = self.view();
        let mut spec = view.service(&service).expect("the service is there").spec.clone();
        edit(&mut spec);
        self.change(Change::UpdateService(service, Box::new(spec)));
    }

    pub(crate) fn scale(&mut self, service: ServiceId, replicas: u64) {
        self.update(service, |spec| spec.mode = ServiceMode::Replicated { replicas });
    }

    pub(crate) fn task(&self, id: TaskId) -> Arc<Task> {
        Arc::clone(self.view().task(&id).expect("the task is there"))
    }

    /// All tasks of a service, by slot, oldest first.
    pub(crate) fn tasks(&self, service: ServiceId) -> Vec<Arc<Task>> {
        self.view().tasks_of_service(&service).cloned().collect()
    }

    /// The tasks that should run or be ready to.
    pub(crate) fn wanted(&self, service: ServiceId) -> Vec<Arc<Task>> {
        self.tasks(service).into_iter().filter(|task| task.wanted()).collect()
    }

    /// The slots in which a task is wanted.
    pub(crate) fn slots(&self, service: ServiceId) -> Vec<u64> {
        self.wanted(service).iter().map(|task| task.slot).collect()
    }

    /// The only task wanted in a slot.
    pub(crate) fn wanted_in(&self, service: ServiceId, slot: u64) -> Arc<Task> {
        let mut tasks = self.wanted(service);
        tasks.retain(|task| task.slot == slot);
        assert_eq!(tasks.len(), 1, "{tasks:?}");
        tasks.remove(0)
    }

    /// Number of wanted tasks of the service on a node.
    pub(crate) fn count_on(&self, service: ServiceId, node: NodeId) -> usize {
        self.wanted(service).iter().filter(|task| task.node == Some(node)).count()
    }

    /// The task's node reports a state.
    pub(crate) fn report(&mut self, task: TaskId, state: TaskState) {
        self.try_report(task, state).expect("the report is taken");
    }

    pub(crate) fn try_report(&mut self, task: TaskId, state: TaskState) -> Result<(), Refusal> {
        let view = self.view();
        let node = view.task(&task).and_then(|task| task.node).expect("the task has a node");
        let session = view.node(&node).and_then(|node| node.session.clone()).expect("a session").id;
        let status = TaskStatus { state, at: self.now, ..TaskStatus::default() };
        let observe = ObserveTask { task, node, session, status };
        self.try_change(Change::ObserveTask(Box::new(observe)))
    }
}

/// Publishes a port of the host.
pub(crate) fn host_port(published: u16) -> EndpointSpec {
    use swarm_types::spec::service::{EndpointMode, PortConfig, Protocol, PublishMode};
    let port = PortConfig {
        name: String::new(),
        protocol: Protocol::Tcp,
        target: 80,
        published,
        mode: PublishMode::Host,
    };
    EndpointSpec { mode: EndpointMode::DnsRr, ports: vec![port] }
}

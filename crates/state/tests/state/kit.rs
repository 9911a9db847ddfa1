//! A small world to act in.

use std::sync::Arc;

use swarm_state::{Accepted, Applied, Snapshot, State};
use swarm_types::object::node::NodeDescription;
use swarm_types::object::service::{UpdateState, UpdateStatus};
use swarm_types::spec::Annotations;
use swarm_types::spec::network::NetworkSpec;
use swarm_types::spec::node::{NodeRole, NodeSpec};
use swarm_types::spec::secret::SecretSpec;
use swarm_types::spec::service::{EndpointSpec, PortConfig, PublishMode, ServiceMode, ServiceSpec};
use swarm_types::spec::volume::VolumeSpec;
use swarm_types::*;

pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) ids: IdSource,
    pub(crate) index: u64,
    pub(crate) at: i64,
}

pub(crate) type Outcome = Result<Accepted, Refusal>;

impl World {
    pub(crate) fn new() -> Self {
        Self { state: State::new(), ids: IdSource::seeded(1), index: 0, at: 1 }
    }

    pub(crate) fn group(&mut self, expect: Vec<Expect>, changes: Vec<Change>) -> Arc<Group> {
        Arc::new(Group { request: self.ids.draw(), expect, changes })
    }

    pub(crate) fn entry(&mut self, groups: Vec<Arc<Group>>) -> Applied {
        self.index += 1;
        let at = Timestamp(self.at);
        let entry = Entry { level: LEVEL, at, groups, check: None };
        self.state.apply(self.index, &entry).unwrap()
    }

    pub(crate) fn act(&mut self, changes: Vec<Change>) -> Outcome {
        self.act_if(vec![], changes)
    }

    pub(crate) fn act_if(&mut self, expect: Vec<Expect>, changes: Vec<Change>) -> Outcome {
        let group = self.group(expect, changes);
        self.entry(vec![group]).results.remove(0)
    }

    pub(crate) fn must(&mut self, change: Change) {
        self.act(vec![change]).unwrap();
    }

    pub(crate) fn view(&self) -> Snapshot {
        self.state.snapshot()
    }

    pub(crate) fn service(&mut self, name: &str) -> ServiceId {
        let service = service(self.ids.draw(), spec(name));
        let id = service.id;
        self.must(Change::CreateService(Box::new(service)));
        id
    }

    pub(crate) fn node(&mut self, role: NodeRole) -> NodeId {
        let node = node(self.ids.draw(), role);
        let id = node.id;
        self.must(Change::CreateNode(Box::new(node)));
        id
    }

    pub(crate) fn network(&mut self, name: &str) -> NetworkId {
        let network = network(self.ids.draw(), name);
        let id = network.id;
        self.must(Change::CreateNetwork(Box::new(network)));
        id
    }

    pub(crate) fn secret(&mut self, name: &str) -> SecretId {
        let secret = secret(self.ids.draw(), name);
        let id = secret.id;
        self.must(Change::CreateSecret(Box::new(secret)));
        id
    }

    pub(crate) fn session(&mut self, node: NodeId) -> SessionId {
        let session = self.ids.draw();
        self.must(open(node, session));
        session
    }

    pub(crate) fn new_task(&mut self, service: ServiceId, slot: u64) -> CreateTask {
        let spec_version = self.view().service(&service).unwrap().meta.spec_version;
        let template = NewTemplate::Service { service, spec_version };
        let replaces = self.view().tasks_in_slot(&service, slot).last().map(|task| task.id);
        CreateTask {
            id: self.ids.draw(),
            template,
            slot,
            node: None,
            desired: TaskState::Running,
            replaces,
            start_after: Timestamp(0),
            job_iteration: None,
        }
    }

    pub(crate) fn task(&mut self, service: ServiceId, slot: u64) -> TaskId {
        let task = self.new_task(service, slot);
        let id = task.id;
        self.must(Change::CreateTask(Box::new(task)));
        id
    }

    /// A task on a ready node with an open session.
    pub(crate) fn assigned(&mut self) -> (TaskId, NodeId, SessionId) {
        let (service, node) = (self.service("assigned"), self.node(NodeRole::Worker));
        let (session, task) = (self.session(node), self.task(service, 1));
        self.must(assign(task, node));
        (task, node, session)
    }
}

pub(crate) fn named(name: &str) -> Annotations {
    Annotations { name: name.to_owned(), ..Annotations::default() }
}

pub(crate) fn spec(name: &str) -> ServiceSpec {
    ServiceSpec { annotations: named(name), ..ServiceSpec::default() }
}

pub(crate) fn global(name: &str) -> ServiceSpec {
    ServiceSpec { mode: ServiceMode::Global, ..spec(name) }
}

pub(crate) fn publishing(name: &str, mode: PublishMode) -> ServiceSpec {
    let port = PortConfig { target: 80, published: 8080, mode, ..PortConfig::default() };
    let endpoint = EndpointSpec { ports: vec![port], ..EndpointSpec::default() };
    ServiceSpec { endpoint, ..spec(name) }
}

pub(crate) fn service(id: ServiceId, spec: ServiceSpec) -> Service {
    let (meta, endpoint) = (Meta::default(), Default::default());
    Service { id, meta, spec, previous: None, endpoint, update_status: None, job: None }
}

pub(crate) fn node(id: NodeId, role: NodeRole) -> Node {
    Node {
        id,
        meta: Meta::default(),
        spec: NodeSpec { role, ..NodeSpec::default() },
        description: NodeDescription::default(),
        status: Default::default(),
        role,
        key_fingerprint: vec![],
        session: None,
        attachments: vec![],
    }
}

pub(crate) fn network(id: NetworkId, name: &str) -> Network {
    let spec = NetworkSpec { annotations: named(name), ..NetworkSpec::default() };
    let (meta, driver_options) = (Meta::default(), Default::default());
    Network { id, meta, spec, ipam: vec![], vnis: vec![], driver_options }
}

pub(crate) fn secret(id: SecretId, name: &str) -> Secret {
    let data = Sensitive::new(b"hidden".to_vec());
    let spec = SecretSpec { annotations: named(name), data, ..SecretSpec::default() };
    Secret { id, meta: Meta::default(), spec, internal: false }
}

pub(crate) fn open(node: NodeId, session: SessionId) -> Change {
    Change::OpenSession(Box::new(OpenSession {
        node,
        session,
        manager: node,
        boot_id: "boot".to_owned(),
        description: Box::default(),
        addr: "192.0.2.1".to_owned(),
    }))
}

pub(crate) fn assign(task: TaskId, node: NodeId) -> Change {
    let (generic, volumes, message) = (vec![], vec![], "assigned".to_owned());
    Change::AssignTask(Box::new(AssignTask { task, node, generic, volumes, message }))
}

pub(crate) fn observe(task: TaskId, node: NodeId, session: SessionId, state: TaskState) -> Change {
    let status = TaskStatus { state, ..TaskStatus::default() };
    Change::ObserveTask(Box::new(ObserveTask { task, node, session, status }))
}

pub(crate) fn desire(task: TaskId, desired: TaskState) -> Change {
    Change::SetDesired { task, desired, reason: "test".to_owned() }
}

pub(crate) fn end(task: TaskId, state: TaskState) -> Change {
    Change::EndTask { task, state, message: "test".to_owned() }
}

pub(crate) fn cluster(id: ClusterId) -> Cluster {
    Cluster {
        id,
        meta: Meta::default(),
        spec: Default::default(),
        root_ca: Default::default(),
        epoch: 1,
        level: 1,
        address_pools: vec![],
        subnet_size: 24,
        data_path_port: 4789,
        vni_base: 4096,
        data_path_keys: vec![],
        key_clock: 1,
        unlock_key: Sensitive::default(),
        removed_nodes: vec![],
    }
}

pub(crate) fn volume(id: VolumeId, name: &str) -> Volume {
    let spec = VolumeSpec { annotations: named(name), ..VolumeSpec::default() };
    Volume { id, meta: Meta::default(), spec, publish: vec![], info: None, pending_delete: false }
}

pub(crate) fn rollback() -> UpdateStatus {
    let (state, message) = (UpdateState::RollbackStarted, String::new());
    UpdateStatus { state, started_at: None, completed_at: None, message }
}

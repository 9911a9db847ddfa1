//! Several managers in one process: real stores, real ports of the loopback, real certificates.

use std::future::Future;
use std::time::{Duration, Instant};

use swarm_crypto::ca::{NodeCertificate, NodeKey};
use swarm_crypto::seal::{Key, Sealer};
use swarm_crypto::tls::channel;
use swarm_crypto::{Credentials, Identity};
use swarm_proto::v1;
use swarm_proto::v1::managers_client::ManagersClient;
use swarm_raft::{Dial, Lane, Leadership, Options, Raft};
use swarm_state::Snapshot;
use swarm_types::object::cluster::{Cluster, RootCa};
use swarm_types::object::node::Node;
use swarm_types::spec::node::NodeRole;
use swarm_types::{Change, ClusterId, Group, IdSource, NodeId, Timestamp};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::{empty_cluster, manager};
use crate::Manager;
use crate::control::Control;

/// How long certificates are valid.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// A manager and what it runs on.
pub(crate) struct Seat {
    pub(crate) node: NodeId,
    pub(crate) raft: Raft,
    pub(crate) manager: Manager,
    pub(crate) credentials: Credentials,
}

impl Seat {
    pub(crate) fn addr(&self) -> String {
        self.manager.address().to_string()
    }

    pub(crate) fn control(&self) -> Control {
        Control::new(self.manager.core.clone(), crate::access::Access::Local)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.raft.snapshot()
    }

    fn leads(&self) -> bool {
        matches!(*self.raft.leadership().borrow(), Leadership::Leader { .. })
    }
}

/// A cluster of them.
pub(crate) struct Many {
    pub(crate) cluster: ClusterId,
    pub(crate) authority: RootCa,
    pub(crate) seats: Vec<Seat>,
    pub(crate) ids: IdSource,
    home: TempDir,
}

impl Many {
    pub(crate) async fn of(count: usize) -> Self {
        let (home, mut ids) = (tempfile::tempdir().unwrap(), IdSource::seeded(1));
        let (cluster, node) = (ids.draw(), ids.draw());
        let object = empty_cluster(cluster);
        let authority = object.root_ca.clone();
        let mut this = Self { cluster, authority, seats: Vec::new(), ids, home };
        this.found(object, node).await;
        for _ in 1..count {
            let node = this.ids.draw();
            this.change(Change::CreateNode(Box::new(manager(node)))).await;
            this.join(node).await;
            this.admit(node).await.unwrap();
        }
        this
    }

    async fn found(&mut self, cluster: Cluster, node: NodeId) {
        let (listener, credentials) = (listener().await, self.credentials(node, NodeRole::Manager));
        let changes = vec![
            Change::CreateCluster(Box::new(cluster)),
            Change::CreateNode(Box::new(manager(node))),
        ];
        let first = Group { request: self.ids.draw(), expect: Vec::new(), changes };
        let options = self.options(node, &listener, &credentials);
        let raft = Raft::bootstrap(options, sealer(), first).await.unwrap();
        self.seat(node, raft, credentials, listener);
    }

    /// Starts the node's manager with an empty store; it is no member yet.
    pub(crate) async fn join(&mut self, node: NodeId) {
        let (listener, credentials) = (listener().await, self.credentials(node, NodeRole::Manager));
        let options = self.options(node, &listener, &credentials);
        let raft = Raft::join(options, sealer(), 1).await.unwrap();
        self.seat(node, raft, credentials, listener);
    }

    fn seat(&mut self, node: NodeId, raft: Raft, credentials: Credentials, listener: TcpListener) {
        let (of, with) = (raft.clone(), credentials.clone());
        let options = crate::Options { node, raft: of, credentials: with, listener };
        let manager = Manager::start(options).unwrap();
        self.seats.push(Seat { node, raft, manager, credentials });
    }

    fn options(&self, node: NodeId, listener: &TcpListener, credentials: &Credentials) -> Options {
        let credentials = credentials.clone();
        let addr = listener.local_addr().unwrap().to_string();
        let dial = Dial::new(move |addr| channel(addr, &credentials));
        Options { dial, ..Options::new(self.home.path().join(node.to_string()), node, addr) }
    }

    /// What the leader says to a node whose manager does not run.
    pub(crate) async fn admit_code(&self, node: NodeId) -> Code {
        let request = v1::AdmitRequest { member: 77, addr: "127.0.0.1:1".to_owned(), epoch: 1 };
        let credentials = self.credentials(node, NodeRole::Manager);
        let mut managers = ManagersClient::new(self.leader().await.to(&credentials));
        code(managers.admit(request)).await
    }

    /// Asks another manager to let the node's store in.
    pub(crate) async fn admit(&self, node: NodeId) -> Result<(), Status> {
        let seat = self.of_node(node);
        let request =
            v1::AdmitRequest { member: seat.raft.info().member, addr: seat.addr(), epoch: 1 };
        let asked = self.seats.iter().find(|other| other.node != node).unwrap();
        let mut managers = ManagersClient::new(asked.to(&seat.credentials));
        managers.admit(request).await.map(drop)
    }

    /// What a node of that id and role shows.
    pub(crate) fn credentials(&self, node: NodeId, role: NodeRole) -> Credentials {
        self.credentials_of(Identity { node, role, cluster: self.cluster })
    }

    pub(crate) fn credentials_of(&self, identity: Identity) -> Credentials {
        let key = NodeKey::generate().unwrap();
        let signed = self.certificate(identity, key, Timestamp::now().after(LIFE));
        Credentials::node(&signed, &self.authority.cert).unwrap()
    }

    /// A certificate for that key which is valid until then.
    pub(crate) fn certificate(
        &self,
        identity: Identity,
        key: NodeKey,
        until: Timestamp,
    ) -> NodeCertificate {
        let RootCa { cert, key: root, .. } = &self.authority;
        let root = swarm_crypto::ca::RootCa::from_pem(cert, root).unwrap();
        let at = Timestamp(until.0 - i64::try_from(LIFE.as_nanos()).unwrap());
        let chain = root.issue(&key.csr().unwrap(), &identity, LIFE, at).unwrap();
        NodeCertificate::new(chain, key).unwrap()
    }

    pub(crate) fn stranger(&self) -> Credentials {
        Credentials::anonymous(self.cluster, &self.authority.cert).unwrap()
    }

    pub(crate) fn of_node(&self, node: NodeId) -> &Seat {
        self.seats.iter().find(|seat| seat.node == node).unwrap()
    }

    pub(crate) fn nodes(&self) -> Vec<NodeId> {
        self.seats.iter().map(|seat| seat.node).collect()
    }

    /// The seat that leads, once one does.
    pub(crate) async fn leader(&self) -> &Seat {
        eventually("a leader", || self.seats.iter().find(|seat| seat.leads())).await
    }

    /// One that follows, and is fit to serve.
    pub(crate) async fn follower(&self) -> &Seat {
        let leader = self.leader().await.node;
        let fit = |seat: &&Seat| seat.node != leader && seat.manager.core.is_fit();
        eventually("a follower that is fit", || self.seats.iter().find(fit)).await
    }

    /// Proposes one change at any member until it is applied.
    pub(crate) async fn change(&mut self, change: Change) {
        let group = Group { request: self.ids.draw(), expect: Vec::new(), changes: vec![change] };
        self.leader().await;
        let deadline = Instant::now() + Duration::from_secs(20);
        self.seats[0].raft.propose(Lane::Control, group, deadline).await.unwrap();
    }

    /// A node in the state; no manager runs there.
    pub(crate) async fn node(&mut self, role: NodeRole) -> NodeId {
        self.node_of(role, vec![2; 32]).await
    }

    /// The same, of the key with that fingerprint.
    pub(crate) async fn node_of(&mut self, role: NodeRole, key_fingerprint: Vec<u8>) -> NodeId {
        let mut node = Node { key_fingerprint, ..manager(self.ids.draw()) };
        (node.role, node.spec.role) = (role, role);
        let id = node.id;
        self.change(Change::CreateNode(Box::new(node))).await;
        id
    }

    /// Ends a manager without a word to the others.
    pub(crate) async fn kill(&mut self, node: NodeId) {
        let at = self.seats.iter().position(|seat| seat.node == node).unwrap();
        let seat = self.seats.remove(at);
        seat.raft.shutdown().await;
        seat.manager.stop().await;
    }

    pub(crate) async fn end(self) {
        for seat in self.seats {
            seat.manager.stop().await;
            seat.raft.shutdown().await;
        }
    }
}

impl Seat {
    /// A channel to this manager.
    pub(crate) fn to(&self, credentials: &Credentials) -> Channel {
        channel(&self.addr(), credentials).unwrap()
    }
}

/// Waits for something that nobody announces.
pub(crate) async fn eventually<T>(what: &str, mut holds: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = holds() {
            return found;
        }
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The code of what was refused.
pub(crate) async fn code<T>(call: impl Future<Output = Result<T, Status>>) -> Code {
    match call.await {
        Ok(_) => Code::Ok,
        Err(status) => status.code(),
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn sealer() -> Sealer {
    Sealer::new(&Key::new([7; 32]), 1)
}

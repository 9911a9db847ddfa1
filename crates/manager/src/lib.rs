//! A manager: the servers and loops around the replicated state.
//!
//! [`control`] serves users, [`dispatcher`] serves nodes, [`ca`] lets nodes in, [`leader`] decides
//! while this manager leads. All speak to the state through [`swarm_raft::Raft`] only: they read snapshots,
//! watch batches of events, and propose groups. None of them keeps state that another needs;
//! what must survive is proposed.
//!
//! Reading order: [`Manager::start`], `control/service.rs`, `leader/driver.rs`.

mod access;
mod audit;
mod ca;
mod clock;
mod control;
mod core;
mod dispatcher;
mod errors;
mod figures;
mod leader;
mod managers;
#[cfg(test)]
mod refusals;
mod relay;
mod standing;
#[cfg(test)]
mod testing;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use swarm_crypto::tls::Credentials;
use swarm_proto::v1::ca_server::CaServer;
use swarm_proto::v1::control_server::ControlServer;
use swarm_proto::v1::dispatcher_server::DispatcherServer;
use swarm_proto::v1::managers_server::ManagersServer;
use swarm_proto::v1::relay_server::RelayServer;
use swarm_raft::Raft;
use swarm_types::NodeId;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Server};
use tower::Service;

use self::core::Core;
use access::Access;
use ca::Ca;
use control::Control;
use dispatcher::Dispatcher;
/// The leader's decisions, for the simulator.
pub use leader::driver::{Driver, Outcome};
use managers::Managers;
pub use relay::{CALL_WINDOW, FOR_NODE, MOST_CALLS};
use relay::{Forward, Relay};

/// What a dispatcher and a judge decide, without clock and I/O, for the simulator.
pub mod pure {
    pub use crate::dispatcher::assignments::Sent;
    pub use crate::dispatcher::fence::{is_valid, may_order};
    pub use crate::dispatcher::hub::Marks;
    pub use crate::leader::liveness::{Liveness, Look, MISSED, Silent};
}

/// Largest request that is taken.
const MAX_REQUEST: usize = 16 << 20;
/// Largest question of a manager beside the log: what it hears of all nodes.
const MAX_VOUCH: usize = 1 << 20;
/// Largest request of somebody who may be anybody.
const MAX_STRANGE_REQUEST: usize = 64 << 10;
/// Calls at once on one connection.
const MAX_CALLS: u32 = 1024;
/// How often an idle connection is asked whether its other end is there.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long the answer may take.
const KEEP_ALIVE_DEADLINE: Duration = Duration::from_secs(5);
/// How long requests may take to end when the manager stops.
const DRAIN: Duration = Duration::from_secs(3);
/// How long everything may take to end when the manager stops.
const STOP_DEADLINE: Duration = Duration::from_secs(8);

/// What a manager runs with.
#[derive(Debug)]
pub struct Options {
    /// The node it runs on.
    pub node: NodeId,
    /// The replicated state.
    pub raft: Raft,
    /// Its certificate, replaced when renewed.
    pub credentials: Credentials,
    /// Where nodes, managers and users reach it.
    pub listener: TcpListener,
}

/// The control service as the node's own socket serves it.
#[derive(Clone, Debug)]
pub struct LocalControl(ControlServer<Control>);

impl Service<Request<Body>> for LocalControl {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.0, context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.call(request))
    }
}

/// The cluster's authority, as a manager's own node asks it. Needs no manager that runs.
#[derive(Clone, Debug)]
pub struct Authority {
    node: NodeId,
    raft: Raft,
}

impl Authority {
    /// Signs for that node with what is in its store.
    #[must_use]
    pub const fn new(node: NodeId, raft: Raft) -> Self {
        Self { node, raft }
    }

    /// Signs the node's own key again with what is in its replica, also when its certificate has
    /// expired. Returns the chain in PEM.
    ///
    /// # Errors
    ///
    /// When the replica does not know the node or has no key of the authority, or the request is
    /// malformed.
    pub fn renew(&self, csr: &[u8]) -> Result<String, Status> {
        ca::renew_own(&self.raft.snapshot(), self.node, csr)
    }
}

/// A running manager. Stop it with [`Manager::stop`]; dropping it stops its loops too.
#[derive(Debug)]
pub struct Manager {
    core: Arc<Core>,
    credentials: Credentials,
    address: SocketAddr,
    failed: watch::Receiver<bool>,
}

impl Manager {
    /// Starts the servers and loops.
    ///
    /// # Errors
    ///
    /// When the listener has no local address.
    pub fn start(options: Options) -> std::io::Result<Self> {
        let address = options.listener.local_addr()?;
        let core = Arc::new(Core::new(options.node, options.raft));
        let mut loops = JoinSet::new();
        loops.spawn(dispatcher::hub::run(core.clone()));
        loops.spawn(leader::driver::run(core.clone()));
        loops.spawn(leader::judge::run(core.clone()));
        loops.spawn(leader::roles::run(core.clone()));
        loops.spawn(leader::vouch::run(core.clone(), options.credentials.clone()));
        loops.spawn(serve(core.clone(), options.listener, options.credentials.clone()));
        let (tell, failed) = watch::channel(false);
        core.tracker.spawn(supervise(core.clone(), loops, tell));
        Ok(Self { core, credentials: options.credentials, address, failed })
    }

    /// True once a loop or the port has ended that should not have; the manager has then stopped,
    /// and its node must not go on without it.
    #[must_use]
    pub fn failed(&self) -> watch::Receiver<bool> {
        self.failed.clone()
    }

    /// The control service for the node's own socket, whose callers the socket's mode admits.
    #[must_use]
    pub fn local_control(&self) -> LocalControl {
        LocalControl(control_server(&self.core, Access::Local))
    }

    /// What signs this manager's own key.
    #[must_use]
    pub fn authority(&self) -> Authority {
        Authority::new(self.core.node, self.core.raft.clone())
    }

    /// The node whose manager leads, as far as is known here.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        self.core.leader()
    }

    /// The way to call `Tasks` of another node, with [`FOR_NODE`] in the call's metadata: over the
    /// node's own connection, or by the manager that has it.
    ///
    /// # Errors
    ///
    /// UNAVAILABLE when no manager has one.
    pub fn reach(&self, node: NodeId) -> Result<Channel, Status> {
        relay::reach(&self.core, &self.credentials, node)
    }

    /// What was counted since the manager was started, for Prometheus.
    #[must_use]
    pub fn gather(&self) -> Vec<prometheus::proto::MetricFamily> {
        self.core.figures.gather(self.core.hub.sessions())
    }

    /// Where the manager listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends streams and loops, and waits for them.
    pub async fn stop(self) {
        self.core.stopping.cancel();
        self.core.tracker.close();
        if tokio::time::timeout(STOP_DEADLINE, self.core.tracker.wait()).await.is_err() {
            tracing::warn!(
                left = self.core.tracker.len(),
                "the manager's tasks did not end in time"
            );
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.core.stopping.cancel();
    }
}

fn control_server(core: &Arc<Core>, access: Access) -> ControlServer<Control> {
    ControlServer::new(Control::new(core.clone(), access)).max_decoding_message_size(MAX_REQUEST)
}

/// Waits for the loops. One that ends before the manager stops takes the others with it: half a
/// manager would look alive and decide nothing.
async fn supervise(core: Arc<Core>, mut loops: JoinSet<()>, tell: watch::Sender<bool>) {
    let ended = loops.join_next().await;
    if !core.stopping.is_cancelled() {
        if let Some(Err(panic)) = ended {
            tracing::error!(%panic, "a part of the manager failed");
        }
        tell.send_replace(true);
        core.stopping.cancel();
    }
    while loops.join_next().await.is_some() {}
}

async fn serve(core: Arc<Core>, listener: TcpListener, credentials: Credentials) {
    let stopping = core.stopping.clone();
    let incoming = swarm_crypto::tls::serve(listener, credentials, stopping.clone());
    let dispatcher = DispatcherServer::new(Dispatcher::new(core.clone()));
    let ca = CaServer::new(Ca::new(core.clone()));
    let managers = ManagersServer::new(Managers::new(core.clone()));
    let served = Server::builder()
        // Thousands of small answers a second would otherwise wait for each other's ACKs.
        .tcp_nodelay(true)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_DEADLINE))
        .max_concurrent_streams(Some(MAX_CALLS))
        .add_service(control_server(&core, Access::Certificate))
        .add_service(ca.max_decoding_message_size(MAX_STRANGE_REQUEST))
        .add_service(dispatcher.max_decoding_message_size(MAX_REQUEST))
        .add_service(managers.max_decoding_message_size(MAX_VOUCH))
        .add_service(RelayServer::new(Relay::new(core.clone())))
        .add_service(Forward::new(core.clone()))
        .add_service(InterceptedService::new(core.raft.service(), raft_callers(core.clone())))
        .serve_with_incoming_shutdown(incoming, stopping.clone().cancelled_owned());
    let drained = async {
        stopping.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        served = served => if let Err(error) = served {
            tracing::error!(%error, "the managers' port is closed");
        },
        // Whoever does not read its answers must not hold the manager.
        () = drained => {}
    }
}

/// Lets only managers speak raft.
fn raft_callers(core: Arc<Core>) -> impl Interceptor + Clone {
    move |request: tonic::Request<()>| {
        access::manager(&request, &core.raft.snapshot(), core.freshness())?;
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// A core on a store of one in a directory of its own.
    async fn core() -> (tempfile::TempDir, Arc<Core>) {
        let dir = tempfile::tempdir().unwrap();
        let mut ids = swarm_types::IdSource::seeded(1);
        let node = ids.draw();
        let options = swarm_raft::Options::new(dir.path().join("raft"), node, String::new());
        let sealer = swarm_crypto::Sealer::new(&swarm_crypto::Key::generate(), 1);
        let first =
            swarm_types::Group { request: ids.draw(), expect: Vec::new(), changes: Vec::new() };
        let raft = Raft::bootstrap(options, sealer, first).await.unwrap();
        (dir, Arc::new(Core::new(node, raft)))
    }

    #[tokio::test]
    async fn a_loop_that_panics_fails_the_manager_and_ends_the_others() {
        let (_dir, core) = core().await;
        let (tell, failed) = watch::channel(false);
        let mut loops = JoinSet::new();
        loops.spawn(leader::judge::run(core.clone()));
        loops.spawn(async { panic!("a bug") });

        let supervised = supervise(core.clone(), loops, tell);
        tokio::time::timeout(Duration::from_secs(10), supervised).await.unwrap();

        assert!(*failed.borrow() && core.stopping.is_cancelled());
    }

    #[tokio::test]
    async fn loops_that_end_on_stop_are_no_failure() {
        let (_dir, core) = core().await;
        let (tell, failed) = watch::channel(false);
        let mut loops = JoinSet::new();
        loops.spawn(leader::judge::run(core.clone()));
        core.stopping.cancel();

        let began = Instant::now();
        supervise(core, loops, tell).await;

        assert!(!*failed.borrow() && began.elapsed() < Duration::from_secs(10));
    }
}

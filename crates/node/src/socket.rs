//! The node's own socket: `swarm.sock` in the run directory, 0660, group `swarm` where there is
//! one. Serves the node, its images, volumes and tasks, and the control API while there is a
//! manager.

use std::convert::Infallible;
use std::fs::{self, Permissions};
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use nix::unistd::{Group, chown};
use swarm_manager::LocalControl;
use swarm_proto::v1::control_server;
use swarm_proto::v1::images_server::ImagesServer;
use swarm_proto::v1::node_local_server::NodeLocalServer;
use swarm_proto::v1::tasks_server::TasksServer;
use swarm_proto::v1::volumes_server::VolumesServer;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::server::NamedService;
use tonic::transport::Server;
use tower::Service;

use crate::images::Store;
use crate::local::Local;
use crate::managing::Managing;
use crate::tasks::{Callers, Tasks};
use crate::volumes::Volumes;
use crate::{Inner, NodeError, Options};

pub(crate) const SOCKET: &str = "swarm.sock";
const GROUP: &str = "swarm";
/// Owner and group may connect.
const MODE: u32 = 0o660;
/// Largest request that is taken; an archive comes in smaller pieces.
const MAX_REQUEST: usize = 16 << 20;

/// Serves the socket until the node stops.
pub(crate) fn serve(inner: &Arc<Inner>) -> Result<(), NodeError> {
    let path = path(&inner.options);
    let listener = listen(&path).map_err(NodeError::io("open", &path))?;
    let stopping = inner.stopping.clone();
    let server = Server::builder()
        .add_service(NodeLocalServer::new(Local(inner.clone())))
        .add_service(ImagesServer::new(Store(inner.clone())).max_decoding_message_size(MAX_REQUEST))
        .add_service(TasksServer::new(Tasks::new(inner.clone(), Callers::Users)))
        .add_service(VolumesServer::new(Volumes(inner.clone())))
        .add_service(inner.control.clone())
        .serve_with_incoming_shutdown(
            UnixListenerStream::new(listener),
            stopping.clone().cancelled_owned(),
        );
    inner.tracker.spawn(async move {
        tokio::select! {
            // Dropped on stop: calls that are still waiting must not hold the node.
            () = stopping.cancelled() => {}
            served = server => if let Err(error) = served {
                tracing::error!(%error, "the node's socket is closed");
            }
        }
    });
    Ok(())
}

/// Removes the socket after the node has stopped.
pub(crate) fn remove(options: &Options) {
    let _ = fs::remove_file(path(options));
}

pub(crate) fn path(options: &Options) -> PathBuf {
    options.run_dir.join(SOCKET)
}

fn listen(path: &std::path::Path) -> std::io::Result<UnixListener> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    // No other node runs here, so a socket that is there is left over from one that crashed.
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    if let Some(group) = Group::from_name(GROUP)? {
        chown(path, None, Some(group.gid))?;
    }
    Ok(listener)
}

/// The control API while there is a manager, and a refusal that says what to do otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<RwLock<Behind>>);

/// What is behind the gate.
#[derive(Clone, Debug, Default)]
enum Behind {
    /// The node is of no cluster.
    #[default]
    Nothing,
    /// The node is a worker.
    Worker,
    /// The node is a manager that waits for the unlock key.
    Locked,
    Manager(LocalControl),
}

impl Gate {
    /// Opens it to a member's manager, if it has one.
    pub(crate) fn to(&self, managing: Option<&Managing>) {
        let control = managing.map(|managing| managing.manager.local_control());
        self.set(control.map_or(Behind::Worker, Behind::Manager));
    }

    pub(crate) fn lock(&self) {
        self.set(Behind::Locked);
    }

    pub(crate) fn close(&self) {
        self.set(Behind::Nothing);
    }

    fn set(&self, behind: Behind) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = behind;
    }
}

impl NamedService for Gate {
    const NAME: &'static str = control_server::SERVICE_NAME;
}

impl Service<Request<Body>> for Gate {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let behind = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let refusal = match behind {
            Behind::Manager(mut control) => {
                return Box::pin(async move { control.call(request).await });
            }
            Behind::Nothing => {
                "this node is not a swarm manager: use `swarm init` or `swarm join` to connect \
                 it to a swarm and try again"
            }
            Behind::Locked => {
                "Swarm is encrypted and needs to be unlocked before it can be used. Please use \
                 \"swarm unlock\" to unlock it."
            }
            Behind::Worker => {
                "this node is not a swarm manager: worker nodes can't be used to view or modify \
                 cluster state; run this command on a manager, or promote this node to one"
            }
        };
        Box::pin(async move { Ok(tonic::Status::failed_precondition(refusal).into_http()) })
    }
}

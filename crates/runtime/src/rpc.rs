//! The connection to containerd: one channel, headers on every request, deadlines on every call.
//!
//! The channel connects lazily and again after a restart, so there is nothing to re-open. A
//! [`Link`] with a lease protects what is written through it from containerd's garbage collector
//! until the lease is deleted.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use containerd_client::services::v1::containers_client::ContainersClient;
use containerd_client::services::v1::content_client::ContentClient;
use containerd_client::services::v1::diff_client::DiffClient;
use containerd_client::services::v1::images_client::ImagesClient;
use containerd_client::services::v1::leases_client::LeasesClient;
use containerd_client::services::v1::namespaces_client::NamespacesClient;
use containerd_client::services::v1::snapshots::snapshots_client::SnapshotsClient;
use containerd_client::services::v1::tasks_client::TasksClient;
use containerd_client::services::v1::version_client::VersionClient;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use crate::Error;

/// Reads and small writes.
pub(crate) const QUICK: Duration = Duration::from_secs(10);
/// Calls that start or end processes.
pub(crate) const PROCESS: Duration = Duration::from_secs(60);
/// Unpacking one layer.
pub(crate) const UNPACK: Duration = Duration::from_secs(900);

/// Largest answer read, and the largest that containerd sends.
const ANSWER: usize = 16 << 20;

pub(crate) type Wire = InterceptedService<Channel, Headers>;

/// What containerd wants to know of every request.
#[derive(Clone, Debug)]
pub(crate) struct Headers {
    namespace: MetadataValue<Ascii>,
    lease: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let headers = request.metadata_mut();
        headers.insert("containerd-namespace", self.namespace.clone());
        if let Some(lease) = &self.lease {
            headers.insert("containerd-lease", lease.clone());
        }
        Ok(request)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Link {
    channel: Channel,
    headers: Headers,
}

macro_rules! clients {
    ($($name:ident: $client:ident),* $(,)?) => {
        impl Link {
            $(pub(crate) fn $name(&self) -> $client<Wire> {
                $client::with_interceptor(self.channel.clone(), self.headers.clone())
                    .max_decoding_message_size(ANSWER)
            })*
        }
    };
}

clients! {
    containers: ContainersClient,
    diff: DiffClient,
    images: ImagesClient,
    leases: LeasesClient,
    namespaces: NamespacesClient,
    snapshots: SnapshotsClient,
    tasks: TasksClient,
    version: VersionClient,
    content: ContentClient,
}

impl Link {
    /// Must be called within a tokio runtime. Does not connect yet.
    pub(crate) fn new(socket: &Path, namespace: &str) -> Result<Self, Error> {
        let bad = |why: String| Error::BadConfig { field: "namespace", why };
        let namespace = namespace.parse().map_err(|_| bad("not a header value".into()))?;
        let socket = socket.to_owned();
        let connector = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        // The address is required and never looked at.
        let channel = Endpoint::from_static("http://containerd")
            .connect_timeout(QUICK)
            .connect_with_connector_lazy(connector);
        Ok(Self { channel, headers: Headers { namespace, lease: None } })
    }

    /// The same connection; what is written through it is held by `lease`.
    pub(crate) fn leased(&self, lease: &str) -> Self {
        let headers = Headers { lease: lease.parse().ok(), ..self.headers.clone() };
        Self { channel: self.channel.clone(), headers }
    }
}

/// Waits for an answer, at most for `deadline`.
pub(crate) async fn rpc<T>(
    call: &'static str,
    deadline: Duration,
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Error> {
    match tokio::time::timeout(deadline, answer).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(refusal(call, status)),
        Err(_) => Err(Error::TimedOut { call, waited: deadline }),
    }
}

/// Tells a refusal from a broken connection: only the latter has a source on this side.
pub(crate) fn refusal(call: &'static str, status: Status) -> Error {
    let local = std::error::Error::source(&status).is_some();
    // What containerd says when a shim ends while it is asked; a moment later it knows the end.
    let shim_ended =
        status.code() == tonic::Code::Unknown && status.message().starts_with("ttrpc: closed");
    if local || shim_ended || status.code() == tonic::Code::Unavailable {
        tracing::debug!(call, %status, "containerd cannot be reached");
        return Error::Unavailable { call };
    }
    Error::Containerd { call, status: Box::new(status) }
}

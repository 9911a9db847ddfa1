//! One manager, asked through its socket: each call once, and told apart what came of it.
//!
//! Repeating is the recorder's business, which does so at another manager under the same
//! request id; the client of the product stays with one.

use std::error::Error;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use swarm_proto::v1::control_client::ControlClient;
use swarm_proto::{field, v1};
use swarm_types::spec::Annotations;
use swarm_types::spec::container::ContainerSpec;
use swarm_types::spec::service::{ServiceMode, ServiceSpec};
use swarm_types::spec::task::{TaskRuntime, TaskSpec};
use swarm_types::{RequestId, ServiceId, Timestamp};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};

use crate::op::Mark;

/// Label that says which write a spec comes from.
const LABEL: &str = "mark";

/// What became of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer<T> {
    /// It happened.
    Yes(T),
    /// It was refused, because of what there is.
    No(Refused),
    /// It had no effect, and may have one if it is repeated.
    NotNow(String),
    /// Nobody knows.
    Lost(String),
}

/// Why a write was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// There is no object of that id.
    Missing,
    /// There is an object of that name.
    Taken,
    /// The object was written since it was read.
    Stale,
    /// Another write was in the same entry of the log: nothing follows from it.
    Crowded,
}

/// A service as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Read {
    /// Its id.
    pub id: ServiceId,
    /// Its name.
    pub name: String,
    /// What an update must name.
    pub spec_version: u64,
    /// The write it comes from.
    pub mark: Mark,
    /// When that was, as the managers have it.
    pub written_at: Timestamp,
}

/// A connection to one manager, made when first needed and again after it broke.
#[derive(Clone, Debug)]
pub struct Manager {
    control: ControlClient<Channel>,
}

impl Manager {
    /// The manager behind a socket.
    #[must_use]
    pub fn new(socket: PathBuf) -> Self {
        let connector = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        // The authority is only a header here; the socket is the address.
        let channel =
            Endpoint::from_static("http://swarm.sock").connect_with_connector_lazy(connector);
        Self { control: ControlClient::new(channel) }
    }

    /// Creates a service without tasks; its id has the characters of the request's.
    pub async fn create(
        &self,
        within: Duration,
        request: RequestId,
        name: &str,
        mark: Mark,
    ) -> Answer<Option<Read>> {
        let request = v1::CreateServiceRequest {
            request_id: field::put_id(request),
            spec: Some((&spec(name, mark)).into()),
        };
        let mut control = self.control.clone();
        let answer = write(within, control.create_service(request)).await;
        answer.map(|it| it.and_then(|it| read(it.service)))
    }

    /// Replaces what was read.
    pub async fn update(
        &self,
        within: Duration,
        request: RequestId,
        of: &Read,
        mark: Mark,
    ) -> Answer<Option<Read>> {
        let request = v1::UpdateServiceRequest {
            request_id: field::put_id(request),
            id: field::put_id(of.id),
            spec_version: of.spec_version,
            spec: Some((&spec(&of.name, mark)).into()),
        };
        let mut control = self.control.clone();
        let answer = write(within, control.update_service(request)).await;
        answer.map(|it| it.and_then(|it| read(it.service)))
    }

    /// Removes a service.
    pub async fn remove(
        &self,
        within: Duration,
        request: RequestId,
        id: ServiceId,
    ) -> Answer<Option<()>> {
        let request =
            v1::RemoveServiceRequest { request_id: field::put_id(request), id: field::put_id(id) };
        let mut control = self.control.clone();
        write(within, control.remove_service(request)).await.map(|it| it.map(drop))
    }

    /// The service of that id, as of now.
    pub async fn get(&self, within: Duration, id: ServiceId) -> Answer<Option<Read>> {
        let request = v1::GetServiceRequest { id: field::put_id(id), stale: false };
        let mut control = self.control.clone();
        match once(within, control.get_service(request)).await {
            Answer::No(Refused::Missing) => Answer::Yes(None),
            other => other.map(|it| read(it.service.and_then(|it| it.service))),
        }
    }

    /// All services, as of now.
    pub async fn list(&self, within: Duration) -> Answer<Vec<Read>> {
        let mut control = self.control.clone();
        let listed = once(within, control.list_services(v1::ListServicesRequest { stale: false }));
        listed.await.map(|it| it.services.into_iter().filter_map(|it| read(it.service)).collect())
    }
}

impl<T> Answer<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Yes(answer) => Answer::Yes(change(answer)),
            Self::No(refused) => Answer::No(refused),
            Self::NotNow(why) => Answer::NotNow(why),
            Self::Lost(why) => Answer::Lost(why),
        }
    }
}

fn spec(name: &str, mark: Mark) -> ServiceSpec {
    let labels = [(LABEL.to_owned(), mark.0.to_string())].into();
    let container = ContainerSpec { image: "busybox:test".to_owned(), ..ContainerSpec::default() };
    ServiceSpec {
        annotations: Annotations { name: name.to_owned(), labels },
        mode: ServiceMode::Replicated { replicas: 0 },
        task: TaskSpec {
            runtime: TaskRuntime::Container(Box::new(container)),
            ..TaskSpec::default()
        },
        ..ServiceSpec::default()
    }
}

fn read(service: Option<v1::Service>) -> Option<Read> {
    let service = service?;
    let (meta, named) = (service.meta?, service.spec?.annotations?);
    Some(Read {
        id: field::id(&service.id, "id").ok()?,
        spec_version: meta.spec_version,
        written_at: Timestamp(meta.updated_at_ns),
        mark: Mark(named.labels.get(LABEL)?.parse().ok()?),
        name: named.name,
    })
}

/// A write whose answer may be missing though it is known to have happened.
async fn write<T>(
    within: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Answer<Option<T>> {
    match tokio::time::timeout(within, call).await {
        // Done, and what was written is gone already.
        Ok(Err(status)) if status.code() == Code::Aborted => Answer::Yes(None),
        Ok(done) => told(done).map(Some),
        Err(late) => Answer::Lost(late.to_string()),
    }
}

async fn once<T>(
    within: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Answer<T> {
    match tokio::time::timeout(within, call).await {
        Ok(done) => told(done),
        Err(late) => Answer::Lost(late.to_string()),
    }
}

fn told<T>(done: Result<Response<T>, Status>) -> Answer<T> {
    let status = match done {
        Ok(answer) => return Answer::Yes(answer.into_inner()),
        Err(status) => status,
    };
    let why = status.to_string();
    // A status with a source was made on this side.
    if status.source().is_some() {
        return if is_unreached(&status) { Answer::NotNow(why) } else { Answer::Lost(why) };
    }
    match status.code() {
        Code::NotFound => Answer::No(Refused::Missing),
        Code::AlreadyExists => Answer::No(Refused::Taken),
        Code::FailedPrecondition if why.contains("is at version") => Answer::No(Refused::Stale),
        Code::InvalidArgument if why.contains("at the same moment") => Answer::No(Refused::Crowded),
        Code::Unavailable | Code::ResourceExhausted | Code::FailedPrecondition => {
            Answer::NotNow(why)
        }
        _ => Answer::Lost(why),
    }
}

fn is_unreached(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused);
        }
        source = error.source();
    }
    false
}

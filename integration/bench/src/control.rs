//! A user of the managers' port, as another manager would be: mutual TLS to 2377.

use std::error::Error;
use std::path::Path;

use prost::Message;
use swarm_crypto::ca::CertificateFiles;
use swarm_crypto::{Credentials, tls};
use swarm_proto::v1;
use swarm_proto::v1::control_client::ControlClient;
use swarm_types::spec::Annotations;
use swarm_types::spec::container::ContainerSpec;
use swarm_types::spec::service::{ServiceMode, ServiceSpec};
use swarm_types::spec::task::{NetworkAttachmentConfig, TaskRuntime, TaskSpec};
use swarm_types::{IdSource, RequestId};
use tonic::transport::Channel;

/// Where every node of the figures listens, in its own network.
pub(crate) const ADDRESS: &str = "127.0.0.1:2377";

/// One connection.
pub(crate) struct Control {
    client: ControlClient<Channel>,
    ids: IdSource,
}

impl Control {
    /// A connection with the certificate of the node whose state directory this is.
    pub(crate) fn of(state: &Path) -> Result<Self, Box<dyn Error>> {
        Self::at(ADDRESS, state)
    }

    /// The same to a manager that listens elsewhere.
    pub(crate) fn at(address: &str, state: &Path) -> Result<Self, Box<dyn Error>> {
        let files = CertificateFiles::open(&state.join("certificates"))?;
        let root = files.root()?.ok_or("the node has no root certificate")?;
        let node = files.load()?.ok_or("the node has no certificate")?;
        let channel = tls::channel(address, &Credentials::node(&node, &root)?)?;
        Ok(Self { client: ControlClient::new(channel), ids: IdSource::system() })
    }

    /// Creates a service without tasks, as a user with a usual spec would.
    pub(crate) async fn create(&mut self) -> Result<(), tonic::Status> {
        let request = request(&self.ids.draw());
        self.client.create_service(request).await.map(drop)
    }

    /// Creates a service of one task on every worker.
    pub(crate) async fn create_everywhere(&mut self) -> Result<(), tonic::Status> {
        let id: RequestId = self.ids.draw();
        let mut spec = spec(&id);
        spec.mode = ServiceMode::Global;
        spec.task.placement.constraints = vec!["node.role==worker".to_owned()];
        let (request_id, spec) = (id.as_str().into(), Some(v1::ServiceSpec::from(&spec)));
        self.client.create_service(v1::CreateServiceRequest { request_id, spec }).await.map(drop)
    }

    /// Asks for the smallest thing that needs neither log nor quorum. Returns the index of the last
    /// entry that the manager has applied.
    pub(crate) async fn round_trip(&mut self) -> Result<u64, tonic::Status> {
        let answer = self.client.get_cluster(v1::GetClusterRequest { stale: true }).await?;
        Ok(answer.into_inner().applied_index)
    }
}

fn request(id: &RequestId) -> v1::CreateServiceRequest {
    let spec = Some(v1::ServiceSpec::from(&spec(id)));
    v1::CreateServiceRequest { request_id: id.as_str().into(), spec }
}

/// Bytes of what [`Control::create`] sends.
pub(crate) fn request_size() -> usize {
    request(&IdSource::system().draw()).encoded_len()
}

fn spec(id: &RequestId) -> ServiceSpec {
    let container = ContainerSpec {
        image: "registry.example.com/team/web:1.2.3".to_owned(),
        env: (0..4).map(|at| format!("VARIABLE_{at}=a value of usual length")).collect(),
        ..ContainerSpec::default()
    };
    ServiceSpec {
        annotations: Annotations { name: format!("s{id}"), ..Annotations::default() },
        mode: ServiceMode::Replicated { replicas: 0 },
        task: TaskSpec {
            runtime: TaskRuntime::Container(Box::new(container)),
            networks: vec![NetworkAttachmentConfig::default()],
            ..TaskSpec::default()
        },
        ..ServiceSpec::default()
    }
}

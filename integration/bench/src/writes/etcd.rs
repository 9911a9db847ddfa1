//! etcd with a member in the namespace of each manager, and the few calls of its API used here.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use netns_test::Cluster;
use prost::Message;
use swarm_types::{IdSource, RequestId};
use tempfile::TempDir;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use super::{DEADLINE, Failure, PAUSE, Write};

/// How long a call may take.
const CALL: Duration = Duration::from_secs(10);

/// The members; they end, and their data goes, when dropped.
pub(super) struct Etcd {
    members: Vec<Child>,
    addresses: Vec<String>,
    _data: TempDir,
}

impl Etcd {
    /// Starts a member beside each manager, its data on the same disk.
    pub(super) fn up(cluster: &Cluster, members: u8) -> std::io::Result<Self> {
        let root = cluster.dir();
        let data = TempDir::with_prefix_in("etcd", root.parent().unwrap_or(&root))?;
        let rows: Vec<_> = (1..=members).map(|at| cluster.status(&format!("m{at}"))).collect();
        let field = |at: usize, name: &str| rows[at][name].as_str().unwrap_or_default().to_owned();
        let addresses: Vec<String> = (0..rows.len()).map(|at| field(at, "Address")).collect();
        let peers: Vec<String> = (0..).zip(&addresses).map(peer).collect();
        let mut this = Self { members: Vec::new(), addresses: addresses.clone(), _data: data };
        for (at, address) in addresses.iter().enumerate() {
            let dir = this._data.path().join(at.to_string());
            let member = start(at, address, &field(at, "Netns"), &dir, &peers.join(","))?;
            this.members.push(member);
        }
        Ok(this)
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.members.iter().map(Child::id).collect()
    }

    /// Where the member that leads answers; waits until there is one.
    pub(super) async fn leader(&self) -> Result<String, Failure> {
        let start = Instant::now();
        loop {
            for address in &self.addresses {
                if leads(address).await.unwrap_or(false) {
                    return Ok(address.clone());
                }
            }
            if start.elapsed() > DEADLINE {
                return Err("no member of etcd leads".into());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for member in &mut self.members {
            // Fails only when it has ended by itself.
            let _ = member.kill();
            let _ = member.wait();
        }
    }
}

fn peer((at, address): (usize, &String)) -> String {
    format!("e{at}=http://{address}:2380")
}

fn start(
    at: usize,
    address: &str,
    netns: &str,
    data: &Path,
    peers: &str,
) -> std::io::Result<Child> {
    let (client, own) = (format!("http://{address}:2379"), format!("http://{address}:2380"));
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={netns}")).arg("etcd").arg("--data-dir").arg(data);
    command.args(["--name", &format!("e{at}"), "--log-level", "error"]);
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &own, "--initial-advertise-peer-urls", &own]);
    command.args(["--initial-cluster", peers, "--initial-cluster-state", "new"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

async fn leads(address: &str) -> Result<bool, Status> {
    let mut client = Grpc::new(connected(address).await?);
    let asked = StatusRequest {};
    let told: StatusResponse = call(&mut client, "/etcdserverpb.Maintenance/Status", asked).await?;
    Ok(told.leader != 0 && told.header.is_some_and(|header| header.member_id == told.leader))
}

async fn connected(address: &str) -> Result<Channel, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{address}:2379"));
    let endpoint = endpoint.map_err(|why| Status::from_error(why.into()))?;
    let endpoint = endpoint.connect_timeout(CALL).timeout(CALL).tcp_nodelay(true);
    endpoint.connect().await.map_err(|why| Status::from_error(why.into()))
}

async fn call<Ask, Answer>(
    client: &mut Grpc<Channel>,
    path: &'static str,
    ask: Ask,
) -> Result<Answer, Status>
where
    Ask: Message + 'static,
    Answer: Message + Default + 'static,
{
    client.ready().await.map_err(|why| Status::from_error(why.into()))?;
    let codec = ProstCodec::default();
    let answered = client.unary(Request::new(ask), PathAndQuery::from_static(path), codec).await;
    answered.map(tonic::Response::into_inner)
}

/// One connection that puts keys.
pub(super) struct Keys {
    client: Grpc<Channel>,
    ids: IdSource,
    value: Vec<u8>,
}

impl Keys {
    /// A connection, used once. Values have that many bytes.
    pub(super) async fn at(address: &str, size: usize) -> Result<Self, Status> {
        let client = Grpc::new(connected(address).await?);
        let mut this = Self { client, ids: IdSource::system(), value: vec![b'v'; size] };
        this.write().await?;
        Ok(this)
    }
}

impl Write for Keys {
    async fn write(&mut self) -> Result<(), Status> {
        let id: RequestId = self.ids.draw();
        let put = PutRequest { key: format!("/services/{id}").into(), value: self.value.clone() };
        let _: PutResponse = call(&mut self.client, "/etcdserverpb.KV/Put", put).await?;
        Ok(())
    }
}

// Of etcd's rpc.proto, the fields that are read or written here.

#[derive(Clone, PartialEq, Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct PutResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
}

#[derive(Clone, PartialEq, Message)]
struct ResponseHeader {
    #[prost(uint64, tag = "2")]
    member_id: u64,
}

#[derive(Clone, PartialEq, Message)]
struct StatusRequest {}

#[derive(Clone, PartialEq, Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

//! One simulated node.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use swarm_crypto::ca::{JoinToken, NodeCertificate, NodeKey};
use swarm_crypto::{Credentials, tls};
use swarm_proto::v1;
use swarm_proto::v1::assignment_update::Update;
use swarm_proto::v1::ca_client::CaClient;
use swarm_proto::v1::dispatcher_client::DispatcherClient;
use swarm_types::object::node::NodeDescription;
use swarm_types::{TaskState, TaskStatus, Timestamp};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tonic::Streaming;
use tonic::transport::Channel;

use super::Tally;
use crate::control::ADDRESS;

/// Why a simulated node failed.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Time between two reports.
const REPORT: Duration = Duration::from_secs(1);

/// Where strangers with a token come in.
#[derive(Clone)]
pub(crate) struct Gate {
    ca: CaClient<Channel>,
    token: Arc<JoinToken>,
}

impl Gate {
    pub(crate) fn open(token: &str) -> Result<Self, Failure> {
        let token = JoinToken::parse(token)?;
        let channel = tls::channel(ADDRESS, &Credentials::joining(&token)?)?;
        Ok(Self { ca: CaClient::new(channel), token: Arc::new(token) })
    }

    /// Makes a node.
    pub(crate) async fn admit(mut self) -> Result<Simulated, Failure> {
        let key = NodeKey::generate()?;
        let request = v1::IssueNodeCertificateRequest {
            token: Some((&self.token.text()).into()),
            csr: key.csr()?,
            availability: v1::Availability::Active.into(),
        };
        let answer = self.ca.issue_node_certificate(request).await?.into_inner();
        let certificate = NodeCertificate::new(answer.chain, key)?;
        let credentials = Credentials::node(&certificate, &answer.root)?;
        let client = DispatcherClient::new(tls::channel(ADDRESS, &credentials)?);
        Ok(Simulated { client })
    }
}

/// A node that has its certificate.
pub(crate) struct Simulated {
    client: DispatcherClient<Channel>,
}

impl Simulated {
    /// Lives until it is dropped; returns only when something fails.
    pub(crate) async fn live(mut self, tally: Arc<Tally>) -> Result<(), Failure> {
        let (session, mut news) = self.open().await?;
        let (session_id, epoch) = (session.session_id, session.epoch);
        let request = v1::AssignmentsRequest { session_id: session_id.clone(), epoch };
        let mut orders = self.client.assignments(request).await?.into_inner();
        let task = first_task(&mut orders).await?;
        tally.running.fetch_add(1, Ordering::Relaxed);
        let mut client = self.client.clone();
        let beat = v1::HeartbeatRequest { session_id: session_id.clone(), epoch };
        let beats = async {
            loop {
                let answer = client.heartbeat(beat.clone()).await?.into_inner();
                sleep(Duration::from_millis(answer.period_ms.into())).await;
            }
        };
        let updates = vec![v1::TaskUpdate { task, status: Some(running()) }];
        let report = v1::UpdateTaskStatusRequest { session_id, epoch, updates };
        tokio::select! {
            failed = beats => failed,
            failed = self.report(report, &tally) => failed,
            ended = drain(&mut news) => ended,
            ended = drain(&mut orders) => ended,
        }
    }

    async fn open(
        &mut self,
    ) -> Result<(v1::SessionMessage, Streaming<v1::SessionMessage>), Failure> {
        let description = NodeDescription {
            nano_cpus: 4_000_000_000,
            memory_bytes: 8 << 30,
            ..NodeDescription::default()
        };
        let request = v1::SessionRequest {
            description: Some((&description).into()),
            boot_id: "simulated".to_owned(),
            ..v1::SessionRequest::default()
        };
        let mut news = self.client.session(request).await?.into_inner();
        let first = news.message().await?.ok_or("the session ended at once")?;
        Ok((first, news))
    }

    async fn report(
        &mut self,
        report: v1::UpdateTaskStatusRequest,
        tally: &Tally,
    ) -> Result<(), Failure> {
        let mut ticks = interval(REPORT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let start = Instant::now();
            self.client.update_task_status(report.clone()).await?;
            let took = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
            tally.slowest_us.fetch_max(took, Ordering::Relaxed);
            tally.reports.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn running() -> v1::TaskStatus {
    let (state, at) = (TaskState::Running, Timestamp::now());
    (&TaskStatus { state, at, ..TaskStatus::default() }).into()
}

/// The first task that is ordered.
async fn first_task(orders: &mut Streaming<v1::AssignmentsMessage>) -> Result<Vec<u8>, Failure> {
    loop {
        let message = orders.message().await?.ok_or("the orders ended")?;
        for update in message.updates {
            if let Some(Update::Task(task)) = update.update {
                return Ok(task.id);
            }
        }
    }
}

/// Reads on, so that the manager is not held up.
async fn drain<T>(stream: &mut Streaming<T>) -> Result<(), Failure> {
    while stream.message().await?.is_some() {}
    Err("a stream ended".into())
}

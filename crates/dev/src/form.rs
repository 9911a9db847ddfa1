//! Making nodes a cluster: the first manager founds it, workers join, and all are heard of.

use std::time::Duration;

use futures::future::try_join_all;
use swarm_client::{Client, ClientError, Consistency, Joining, LocalState};
use swarm_types::object::node::NodeState;
use swarm_types::spec::node::{Availability, NodeRole};
use tokio::time::Instant;

use crate::DevError;
use crate::r#become::{Part, tail};
use crate::place::Place;
use crate::record::{Member, Record, Role};

/// How long a node that is part of the cluster may take until the managers hear of it.
const READY: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// Has every node that is in no cluster found or join this one, and waits until all are READY.
pub(crate) async fn form(cluster: &Place, record: &Record) -> Result<(), DevError> {
    let first = Member { role: Role::Manager, number: 1 };
    let manager = client(cluster, first);
    if is_outside(&manager, first).await? {
        let address = record.address(first).to_string();
        manager.init(&address).await.map_err(failed("found a cluster on", first))?;
    }
    let workers = record.shape.nodes().into_iter().filter(|node| node.role == Role::Worker);
    try_join_all(workers.map(|node| join(cluster, &manager, first, node))).await?;
    await_ready(cluster, &manager, first, record.shape.nodes()).await
}

async fn join(
    cluster: &Place,
    manager: &Client,
    first: Member,
    node: Member,
) -> Result<(), DevError> {
    let own = client(cluster, node);
    if !is_outside(&own, node).await? {
        return Ok(());
    }
    let asked = manager.join_token(NodeRole::Worker).await;
    let asked = asked.map_err(failed("ask for a join token", first))?;
    let with = Joining {
        token: asked.token,
        managers: vec![asked.manager],
        advertise: String::new(),
        listen: String::new(),
        availability: Availability::Active,
    };
    own.join(&with).await.map_err(failed("join the cluster as", node))?;
    Ok(())
}

fn client(cluster: &Place, node: Member) -> Client {
    Client::unix(&cluster.node(&node.name()).socket())
}

async fn is_outside(client: &Client, node: Member) -> Result<bool, DevError> {
    let info = client.info().await.map_err(failed("ask", node))?;
    Ok(info.state == LocalState::Inactive)
}

fn failed(action: &str, node: Member) -> impl FnOnce(ClientError) -> DevError {
    let action = format!("{action} {}", node.name());
    move |source| DevError::Node { action, source }
}

/// Waits until the manager hears of every node.
async fn await_ready(
    cluster: &Place,
    manager: &Client,
    first: Member,
    nodes: Vec<Member>,
) -> Result<(), DevError> {
    let deadline = Instant::now() + READY;
    loop {
        let listed = manager.nodes(Consistency::Stale).await;
        let listed = listed.map_err(failed("list the nodes of", first))?.value;
        let ready = |node: &Member| {
            let name = node.name();
            let of_name = listed.iter().filter(|it| it.description.hostname == name);
            of_name.into_iter().any(|it| it.status.state == NodeState::Ready)
        };
        let Some(missing) = nodes.iter().find(|node| !ready(node)) else { return Ok(()) };
        if Instant::now() > deadline {
            let states = listed.iter().map(|it| (&it.description.hostname, it.status.state));
            let seen = format!("{:?}; ", states.collect::<Vec<_>>());
            return Err(DevError::TooLate {
                wanted: format!("{} is ready", missing.name()),
                seconds: READY.as_secs(),
                seen: seen + &tail(Part::Daemon, &cluster.node(&missing.name())),
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

//! Making nodes a cluster: the first manager founds it, the others join, and all are heard of.

use std::time::Duration;

use futures::future::try_join_all;
use swarm_client::{Client, ClientError, Consistency, Info, Joining, LocalState};
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
    let nodes = record.shape.nodes();
    let (first, manager) = founder(cluster, record).await?;
    let (managers, workers): (Vec<Member>, Vec<Member>) =
        nodes.iter().partition(|node| node.role == Role::Manager);
    // The members of a quorum change one at a time, whoever asks.
    for node in managers {
        join(cluster, &manager, first, node).await?;
    }
    try_join_all(workers.into_iter().map(|node| join(cluster, &manager, first, node))).await?;
    await_ready(cluster, &manager, first, nodes).await
}

/// A manager of the cluster; the first node becomes one where no node is in a cluster.
async fn founder(cluster: &Place, record: &Record) -> Result<(Member, Client), DevError> {
    let mut within = Vec::new();
    for node in record.shape.nodes() {
        let client = client(cluster, node);
        let info = info(&client, node).await?;
        if info.is_manager {
            return Ok((node, client));
        }
        if info.state != LocalState::Inactive {
            within.push((node.name(), info.state));
        }
    }
    if !within.is_empty() {
        return Err(unserved(&cluster.name, &within));
    }
    let first = Member { role: Role::Manager, number: 1 };
    let manager = client(cluster, first);
    let address = record.address(first).to_string();
    manager.init(&address).await.map_err(failed("found a cluster on", first))?;
    Ok((first, manager))
}

/// Another cluster beside the one that nodes are part of would help nobody.
fn unserved(cluster: &str, within: &[(String, LocalState)]) -> DevError {
    let are: Vec<String> = within.iter().map(|(node, is)| format!("{node} is {is}")).collect();
    let are = are.join(", ");
    let locked = within.iter().find(|(_, state)| *state == LocalState::Locked);
    let advice = match locked {
        Some((node, _)) => format!("`swarm dev exec --name {cluster} {node} -- swarm unlock`"),
        None => format!("have them leave, or remove all by `swarm dev down --name {cluster}`"),
    };
    DevError::Refused(format!("no manager of the nodes' cluster serves: {are}; {advice}"))
}

async fn join(
    cluster: &Place,
    manager: &Client,
    first: Member,
    node: Member,
) -> Result<(), DevError> {
    let own = client(cluster, node);
    if info(&own, node).await?.state != LocalState::Inactive {
        return Ok(());
    }
    let role = match node.role {
        Role::Manager => NodeRole::Manager,
        Role::Worker => NodeRole::Worker,
    };
    let asked = manager.join_token(role).await;
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

async fn info(client: &Client, node: Member) -> Result<Info, DevError> {
    client.info().await.map_err(failed("ask", node))
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

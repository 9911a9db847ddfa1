//! One refusal for every rule. Each leaves the objects as they were.

use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::IpNetwork;
use swarm_types::object::service::{Endpoint, UpdateState, UpdateStatus, VirtualIp};
use swarm_types::object::task::NetworkAttachment;
use swarm_types::spec::container::ContainerSpec;
use swarm_types::spec::network::IpamConfig;
use swarm_types::spec::node::{Membership, NodeRole, NodeSpec};
use swarm_types::spec::secret::{FileTarget, SecretReference, SecretSpec};
use swarm_types::spec::service::{PublishMode, ServiceSpec};
use swarm_types::spec::task::{NetworkAttachmentConfig, NetworkTarget, TaskRuntime, TaskSpec};
use swarm_types::*;

use crate::kit::*;

/// Expects a refusal whose text holds `why`, and no event.
pub(crate) fn refuse(world: &mut World, change: Change, why: &str) {
    let group = world.group(vec![], vec![change]);
    let applied = world.entry(vec![group]);
    let refusal = applied.results[0].clone().expect_err(why);
    assert!(refusal.to_string().contains(why), "{refusal} lacks {why:?}");
    assert_eq!(applied.events.events, []);
}

pub(crate) fn create(world: &mut World, spec: ServiceSpec) -> Change {
    Change::CreateService(Box::new(service(world.ids.draw(), spec)))
}

pub(crate) fn on_network(name: &str, network: NetworkId) -> ServiceSpec {
    let target = NetworkTarget::Network(network);
    let networks = vec![NetworkAttachmentConfig { target, ..Default::default() }];
    ServiceSpec { task: TaskSpec { networks, ..TaskSpec::default() }, ..spec(name) }
}

pub(crate) fn with_secret(name: &str, id: SecretId, secret: &str) -> ServiceSpec {
    let secrets =
        vec![SecretReference { id, name: secret.to_owned(), target: FileTarget::default() }];
    let container = ContainerSpec { secrets, ..ContainerSpec::default() };
    let runtime = TaskRuntime::Container(Box::new(container));
    ServiceSpec { task: TaskSpec { runtime, ..TaskSpec::default() }, ..spec(name) }
}

pub(crate) fn ingress(world: &mut World) -> Network {
    let mut network = network(world.ids.draw(), "ingress");
    network.spec.ingress = true;
    network
}

fn address(last: u8) -> IpNetwork {
    IpNetwork::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), 24).unwrap()
}

fn endpoint(network: NetworkId, last: u8) -> Box<Endpoint> {
    let virtual_ips = vec![VirtualIp { network, address: address(last) }];
    Box::new(Endpoint { ports: vec![], virtual_ips })
}

pub(crate) fn pending(task: TaskId, network: NetworkId, last: u8) -> Change {
    let (addresses, aliases) = (vec![address(last)], vec![]);
    Change::SetTaskPending(task, vec![NetworkAttachment { network, addresses, aliases }])
}

#[test]
fn references_must_exist_under_their_name_and_stay() {
    let mut world = World::new();
    let change = create(&mut world, on_network("a", NetworkId::MIN));
    refuse(&mut world, change, "not found");
    let change = create(&mut world, with_secret("a", SecretId::MIN, "key"));
    refuse(&mut world, change, "not found");

    let (net, key) = (world.network("net"), world.secret("key"));
    let change = create(&mut world, with_secret("a", key, "other"));
    refuse(&mut world, change, "is named");
    let (change, other) = (
        create(&mut world, on_network("a", net)),
        create(&mut world, with_secret("b", key, "key")),
    );
    world.must(change);
    world.must(other);
    refuse(&mut world, Change::RemoveNetwork(net), "in use by service a");
    refuse(&mut world, Change::RemoveSecret(key), "in use by service b");
}

#[test]
fn a_network_stays_while_a_task_may_use_it() {
    let mut world = World::new();
    let net = world.network("net");
    let change = create(&mut world, on_network("a", net));
    world.must(change);
    let id = world.view().service_by_name("a").unwrap().id;
    let task = world.task(id, 1);
    world.must(Change::UpdateService(id, Box::new(spec("a"))));
    refuse(&mut world, Change::RemoveNetwork(net), "in use by task");
    world.must(end(task, TaskState::Shutdown));
    world.must(Change::RemoveNetwork(net));
}

#[test]
fn ports_of_the_mesh_exclude_every_other_use() {
    let mut world = World::new();
    let change = create(&mut world, publishing("a", PublishMode::Ingress));
    refuse(&mut world, change.clone(), "needs ingress network");
    let mesh = ingress(&mut world);
    world.must(Change::CreateNetwork(Box::new(mesh.clone())));
    world.must(change);
    refuse(&mut world, Change::RemoveNetwork(mesh.id), "in use by service a");
    for mode in [PublishMode::Ingress, PublishMode::Host] {
        let change = create(&mut world, publishing("b", mode));
        refuse(&mut world, change, "port '8080' is already in use");
    }
    let b = world.service("b");
    let ports = publishing("b", PublishMode::Host).endpoint.ports;
    let taken = Box::new(Endpoint { ports, virtual_ips: vec![] });
    refuse(&mut world, Change::SetEndpoint(b, taken), "port '8080' is already in use");

    let a = world.view().service_by_name("a").unwrap().id;
    world.must(Change::RemoveService(a));
    for name in ["c", "d"] {
        let change = create(&mut world, publishing(name, PublishMode::Host));
        world.must(change);
    }
}

#[test]
fn addresses_identifiers_subnets_and_the_mesh_belong_to_one() {
    let mut world = World::new();
    let (one, two) = (world.network("one"), world.network("two"));
    let config = |subnet: &str| {
        let subnet = subnet.parse().unwrap();
        vec![IpamConfig { subnet, range: None, gateway: None, reserved: Default::default() }]
    };
    let set = |network, subnet, vni| Change::SetNetwork {
        network,
        ipam: config(subnet),
        vnis: vec![vni],
    };
    world.must(set(one, "10.0.0.0/24", 4097));
    refuse(&mut world, set(two, "10.0.1.0/24", 4097), "4097 is held by");
    refuse(&mut world, set(two, "10.0.0.128/25", 4098), "overlaps");
    let mesh = ingress(&mut world);
    world.must(Change::CreateNetwork(Box::new(mesh)));
    let mut second = ingress(&mut world);
    second.spec.annotations.name = "second".to_owned();
    refuse(&mut world, Change::CreateNetwork(Box::new(second)), "already present");

    let (web, db) = (world.service("web"), world.service("db"));
    world.must(Change::SetEndpoint(web, endpoint(one, 2)));
    refuse(&mut world, Change::SetEndpoint(db, endpoint(one, 2)), "is held by");
    let task = world.task(web, 1);
    refuse(&mut world, pending(task, one, 2), "is held by");
    world.must(pending(task, one, 3));
    world.must(desire(task, TaskState::Remove));
    refuse(&mut world, Change::SetEndpoint(db, endpoint(one, 3)), "is held by");
    refuse(&mut world, Change::RemoveNetwork(one), "in use by");
    world.must(end(task, TaskState::Shutdown));
    world.must(Change::SetEndpoint(db, endpoint(one, 3)));
}

#[test]
fn the_last_manager_stays() {
    let mut world = World::new();
    let (a, b) = (world.node(NodeRole::Manager), world.node(NodeRole::Manager));
    let worker = || Box::new(NodeSpec::default());
    let demote = |id| Change::UpdateNode(id, *worker());
    refuse(&mut world, Change::RemoveNode { node: a, refuse_until: Timestamp(9) }, "demote it");
    let groups = vec![world.group(vec![], vec![demote(a)]), world.group(vec![], vec![demote(b)])];
    let results = world.entry(groups).results;
    assert!(results[0].is_ok());
    assert!(results[1].as_ref().unwrap_err().to_string().contains("last manager"));
    world.must(Change::SetNodeRole(a, NodeRole::Worker));
    refuse(&mut world, Change::SetNodeRole(b, NodeRole::Worker), "last manager");
}

#[test]
fn a_slot_is_served_by_one_chain_of_tasks() {
    let mut world = World::new();
    let service = world.service("web");
    let (first, rival) = (world.new_task(service, 1), world.new_task(service, 1));
    let create = |task: &CreateTask| Change::CreateTask(Box::new(task.clone()));
    world.must(create(&first));
    refuse(&mut world, create(&rival), "is served by task");
    let (next, twin) = (world.new_task(service, 1), world.new_task(service, 1));
    let groups = [next, twin].map(|task| world.group(vec![], vec![create(&task)])).to_vec();
    let results = world.entry(groups).results;
    assert!(results[0].is_ok() && results[1].is_err());
    let stray = CreateTask { replaces: Some(first.id), ..world.new_task(service, 2) };
    refuse(&mut world, create(&stray), "is empty");
    let old = NewTemplate::Service { service, spec_version: 99 };
    let old = CreateTask { template: old, ..world.new_task(service, 3) };
    refuse(&mut world, create(&old), "update out of sequence");
    let odd = CreateTask { desired: TaskState::Shutdown, ..world.new_task(service, 3) };
    refuse(&mut world, create(&odd), "cannot be wanted");
    let lost = CreateTask { node: Some(NodeId::MIN), ..world.new_task(service, 3) };
    refuse(&mut world, create(&lost), "not found");
}

#[test]
fn a_global_service_has_one_chain_per_node() {
    let mut world = World::new();
    let (a, b) = (world.node(NodeRole::Worker), world.node(NodeRole::Worker));
    let change = create(&mut world, global("agent"));
    world.must(change);
    let id = world.view().service_by_name("agent").unwrap().id;
    let mut on = |node: Option<NodeId>| {
        let task = CreateTask { node, replaces: None, ..world.new_task(id, 0) };
        world.act(vec![Change::CreateTask(Box::new(task))])
    };
    assert!(on(None).is_err());
    assert!(on(Some(a)).is_ok() && on(Some(b)).is_ok());
    assert!(on(Some(a)).is_err());
}

#[test]
fn wanted_and_observed_states_only_grow() {
    let mut world = World::new();
    let (task, node, _) = world.assigned();
    refuse(&mut world, assign(task, node), "is assigned already");
    refuse(&mut world, Change::SetTaskPending(task, vec![]), "is assigned already");
    refuse(&mut world, Change::ExplainTask(task, "no".to_owned()), "is assigned already");
    world.must(desire(task, TaskState::Shutdown));
    refuse(&mut world, desire(task, TaskState::Running), "is wanted shutdown");
    refuse(&mut world, desire(task, TaskState::Failed), "cannot be wanted");
    refuse(&mut world, Change::RemoveTask(task), "end it first");
    let web = world.service("web");
    let unwanted = world.task(web, 1);
    world.must(desire(unwanted, TaskState::Remove));
    refuse(&mut world, assign(unwanted, node), "is wanted remove");
}

#[test]
fn a_report_needs_the_tasks_node_and_its_present_session() {
    let mut world = World::new();
    let (task, node, old) = world.assigned();
    let other = world.node(NodeRole::Worker);
    let session = world.session(node);
    let report = |node, session, state| observe(task, node, session, state);
    refuse(&mut world, report(node, old, TaskState::Running), "superseded");
    refuse(&mut world, report(other, session, TaskState::Running), "is not on node");
    refuse(&mut world, report(node, session, TaskState::Orphaned), "cannot report");
    let down = |session| Change::NodeDown { node, session, message: "silent".to_owned() };
    refuse(&mut world, down(Some(old)), "superseded");
    refuse(&mut world, down(None), "opened a session meanwhile");
    world.must(down(Some(session)));
}

#[test]
fn managers_end_only_what_no_agent_will() {
    let mut world = World::new();
    let (task, node, session) = world.assigned();
    refuse(&mut world, end(task, TaskState::Shutdown), "only its node can end it");
    refuse(&mut world, end(task, TaskState::Orphaned), "is not down");
    refuse(&mut world, end(task, TaskState::Failed), "cannot end a task as");
    let message = "silent".to_owned();
    world.must(Change::NodeDown { node, session: Some(session), message });
    world.must(end(task, TaskState::Orphaned));
    refuse(&mut world, end(task, TaskState::Orphaned), "has ended already");
}

#[test]
fn what_must_not_change_does_not() {
    let mut world = World::new();
    let key = world.secret("key");
    let other = SecretSpec { data: Sensitive::new(vec![1]), ..secret(key, "key").spec };
    refuse(&mut world, Change::UpdateSecret(key, Box::new(other)), "only updates to labels");
    let web = world.service("web");
    let status = UpdateStatus {
        state: UpdateState::RollbackStarted,
        started_at: None,
        completed_at: None,
        message: String::new(),
    };
    refuse(&mut world, Change::RollbackService(web, Box::new(status)), "previous spec");
    let node = world.node(NodeRole::Worker);
    let waits = NodeSpec { membership: Membership::Pending, ..NodeSpec::default() };
    world.must(Change::UpdateNode(node, waits));
    let session = world.ids.draw();
    refuse(&mut world, open(node, session), "not accepted");
}

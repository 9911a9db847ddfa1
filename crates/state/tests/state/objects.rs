//! Rules of the rarer kinds: cluster, nodes, networks, configs, volumes, opaque objects and
//! attachments.

use swarm_types::object::cluster::RemovedNode;
use swarm_types::object::task::VolumeAttachment;
use swarm_types::object::volume::PublishStatus;
use swarm_types::spec::container::ContainerSpec;
use swarm_types::spec::node::{NodeRole, NodeSpec};
use swarm_types::spec::secret::{ConfigReference, ConfigSpec};
use swarm_types::spec::service::{PublishMode, ServiceSpec};
use swarm_types::spec::task::{
    NetworkAttachmentConfig, NetworkTarget, ResourceReference, TaskRuntime, TaskSpec,
};
use swarm_types::*;

use crate::kit::*;
use crate::refusals::{create, ingress, refuse};

#[test]
fn the_cluster_is_one_and_its_counters_grow() {
    let mut world = World::new();
    let first = cluster(world.ids.draw());
    let set = |cluster: Cluster| Change::SetCluster(Box::new(cluster));
    refuse(&mut world, set(first.clone()), "no cluster yet");
    refuse(&mut world, Change::UpdateCluster(Box::default()), "no cluster yet");
    world.must(Change::CreateCluster(Box::new(first.clone())));
    let other = cluster(world.ids.draw());
    refuse(&mut world, Change::CreateCluster(Box::new(other.clone())), "already exists");
    refuse(&mut world, set(other), "not found");
    refuse(&mut world, set(Cluster { epoch: 0, ..first.clone() }), "only grow");
    refuse(&mut world, set(Cluster { level: 0, ..first.clone() }), "only grow");
    refuse(&mut world, set(Cluster { key_clock: 0, ..first.clone() }), "only grow");
    let mut seen = first.clone();
    seen.spec.autolock = !seen.spec.autolock;
    refuse(&mut world, set(seen.clone()), "settings changed meanwhile");
    world.must(Change::UpdateCluster(Box::new(seen.spec.clone())));
    world.must(set(Cluster { epoch: 2, ..seen.clone() }));
    assert_eq!(world.view().cluster().unwrap().epoch, 2);
    refuse(&mut world, set(seen), "only grow");
}

#[test]
fn a_removed_node_does_not_rejoin_and_nobody_forgets_it() {
    let mut world = World::new();
    let first = cluster(world.ids.draw());
    world.must(Change::CreateCluster(Box::new(first.clone())));
    let id = world.node(NodeRole::Worker);
    world.must(Change::RemoveNode { node: id, refuse_until: Timestamp(500) });
    let removed = vec![RemovedNode { node: id, until: Timestamp(500) }];
    let rejoin = Change::CreateNode(Box::new(node(id, NodeRole::Worker)));
    refuse(&mut world, rejoin.clone(), "join it again under a new identity");
    world.must(Change::SetCluster(Box::new(first)));
    assert_eq!(world.view().cluster().unwrap().removed_nodes, removed);
    refuse(&mut world, rejoin.clone(), "join it again under a new identity");

    world.at = 501;
    let other = world.node(NodeRole::Worker);
    world.must(Change::RemoveNode { node: other, refuse_until: Timestamp(900) });
    world.must(rejoin);
}

#[test]
fn a_manager_is_removed_only_after_both_roles_are_given_up() {
    let mut world = World::new();
    let (a, _) = (world.node(NodeRole::Manager), world.node(NodeRole::Manager));
    let remove = Change::RemoveNode { node: a, refuse_until: Timestamp(9) };
    world.must(Change::UpdateNode(a, NodeSpec::default()));
    refuse(&mut world, remove.clone(), "demote it");
    world.must(Change::SetNodeRole(a, NodeRole::Worker));
    world.must(remove);
}

#[test]
fn predefined_networks_stay() {
    let mut world = World::new();
    let mut host = network(world.ids.draw(), "host");
    let label = ("com.docker.swarm.predefined".to_owned(), String::new());
    host.spec.annotations.labels.extend([label]);
    world.must(Change::CreateNetwork(Box::new(host.clone())));
    refuse(&mut world, Change::RemoveNetwork(host.id), "is predefined");
}

#[test]
fn the_mesh_stays_while_a_port_of_it_is_not_worked_out() {
    let mut world = World::new();
    let mesh = ingress(&mut world);
    world.must(Change::CreateNetwork(Box::new(mesh.clone())));
    let mut open = publishing("a", PublishMode::Ingress);
    open.endpoint.ports[0].published = 0;
    let change = create(&mut world, open);
    world.must(change);
    refuse(&mut world, Change::RemoveNetwork(mesh.id), "in use by service a");
}

#[test]
fn configs_are_referenced_by_name_and_stay() {
    let mut world = World::new();
    let id = world.ids.draw();
    let config = ConfigSpec { annotations: named("conf"), ..ConfigSpec::default() };
    let using = |name: &str, config: &str| {
        let config = ConfigReference { id, name: config.to_owned(), target: None };
        let container = ContainerSpec { configs: vec![config], ..ContainerSpec::default() };
        let runtime = TaskRuntime::Container(Box::new(container));
        ServiceSpec { task: TaskSpec { runtime, ..TaskSpec::default() }, ..spec(name) }
    };
    let change = create(&mut world, using("a", "conf"));
    refuse(&mut world, change.clone(), "not found");
    let stored = Config { id, meta: Meta::default(), spec: config.clone() };
    world.must(Change::CreateConfig(Box::new(stored)));
    let misnamed = create(&mut world, using("b", "CONF"));
    refuse(&mut world, misnamed, "is named");
    world.must(change);
    refuse(&mut world, Change::RemoveConfig(id), "in use by service a");
    let other = ConfigSpec { data: vec![1], ..config };
    refuse(&mut world, Change::UpdateConfig(id, Box::new(other)), "only updates to labels");

    let a = world.view().service_by_name("a").unwrap().id;
    let references = vec![ResourceReference::Config(id)];
    let task = TaskSpec { references, ..TaskSpec::default() };
    world.must(Change::UpdateService(a, Box::new(ServiceSpec { task, ..spec("a") })));
    refuse(&mut world, Change::RemoveConfig(id), "in use by service a");
    world.must(Change::UpdateService(a, Box::new(spec("a"))));
    world.must(Change::RemoveConfig(id));
    refuse(&mut world, Change::RollbackService(a, Box::new(rollback())), "not found");
}

#[test]
fn volumes_stay_while_published_or_used_and_hold_their_secrets() {
    let mut world = World::new();
    let (key, id) = (world.secret("key"), world.ids.draw());
    let mut disk = volume(id, "disk");
    disk.spec.secrets.insert("token".to_owned(), SecretId::MIN);
    refuse(&mut world, Change::CreateVolume(Box::new(disk.clone())), "not found");
    disk.spec.secrets.insert("token".to_owned(), key);
    refuse(&mut world, Change::SetVolume(Box::new(disk.clone())), "not found");
    world.must(Change::CreateVolume(Box::new(disk.clone())));
    refuse(&mut world, Change::RemoveSecret(key), "in use by volume");
    let twin = volume(world.ids.draw(), "DISK");
    refuse(&mut world, Change::CreateVolume(Box::new(twin)), "already exists");

    let (node, service) = (world.node(NodeRole::Worker), world.service("web"));
    let task = world.task(service, 1);
    let attachment =
        |volume| VolumeAttachment { volume, source: String::new(), target: "/data".to_owned() };
    let mut placed =
        AssignTask { task, node, generic: vec![], volumes: vec![], message: String::new() };
    placed.volumes = vec![attachment(VolumeId::MIN)];
    refuse(&mut world, Change::AssignTask(Box::new(placed.clone())), "not found");
    placed.volumes = vec![attachment(id)];
    world.must(Change::AssignTask(Box::new(placed)));
    refuse(&mut world, Change::RemoveVolume(id), "in use by task");
    world.must(Change::RemoveNode { node, refuse_until: Timestamp(9) });

    let (state, message) = (Default::default(), String::new());
    disk.publish = vec![PublishStatus { node, state, context: Default::default(), message }];
    world.must(Change::SetVolume(Box::new(disk.clone())));
    let meta = world.view().volume(&id).unwrap().meta;
    assert!(meta.decided_version == world.index && meta.spec_version < world.index);
    refuse(&mut world, Change::RemoveVolume(id), "in use by node");
    disk.publish.clear();
    world.must(Change::SetVolume(Box::new(disk)));
    world.must(Change::RemoveVolume(id));
    world.must(Change::RemoveSecret(key));
}

#[test]
fn resources_need_their_extension_and_keep_it() {
    let mut world = World::new();
    let (kind, id) = (world.ids.draw(), world.ids.draw());
    let (meta, payload) = (Meta::default(), vec![]);
    let resource =
        Resource { id, meta, annotations: named("thing"), kind: "Kind".to_owned(), payload };
    refuse(&mut world, Change::CreateResource(Box::new(resource.clone())), "no extension");
    let extension =
        Extension { id: kind, meta, annotations: named("kind"), description: String::new() };
    world.must(Change::CreateExtension(Box::new(extension)));
    refuse(&mut world, Change::SetResource(Box::new(resource.clone())), "not found");
    world.must(Change::CreateResource(Box::new(resource.clone())));
    let stray = Resource { kind: "other".to_owned(), ..resource };
    refuse(&mut world, Change::SetResource(Box::new(stray)), "no extension");
    refuse(&mut world, Change::RemoveExtension(kind), "in use by resource");
    world.must(Change::RemoveResource(id));
    refuse(&mut world, Change::RemoveResource(id), "not found");
    world.must(Change::RemoveExtension(kind));
}

#[test]
fn an_attachment_has_a_node_and_holds_its_network() {
    let mut world = World::new();
    let (net, node) = (world.network("net"), world.node(NodeRole::Worker));
    let target = NetworkTarget::Network(net);
    let networks = vec![NetworkAttachmentConfig { target, ..Default::default() }];
    let runtime = TaskRuntime::Attachment(ContainerRef::default());
    let task = TaskSpec { runtime, networks, ..TaskSpec::default() };
    let service = world.service("web");
    let attach = |task: TaskSpec, base: CreateTask| CreateTask {
        template: NewTemplate::Attachment(Box::new(task)),
        slot: 0,
        node: Some(node),
        ..base
    };
    let base = world.new_task(service, 1);
    let good = attach(task.clone(), base.clone());
    let create = |task: &CreateTask| Change::CreateTask(Box::new(task.clone()));
    let why = "is an attachment";
    refuse(&mut world, create(&CreateTask { node: None, ..good.clone() }), why);
    refuse(&mut world, create(&CreateTask { slot: 1, ..good.clone() }), why);
    refuse(&mut world, create(&CreateTask { replaces: Some(TaskId::MIN), ..good.clone() }), why);
    refuse(&mut world, create(&attach(TaskSpec::default(), base.clone())), why);
    let mut lost = task;
    lost.networks[0].target = NetworkTarget::Network(NetworkId::MIN);
    refuse(&mut world, create(&attach(lost, base)), "not found");

    world.must(create(&good));
    assert_eq!(world.view().tasks_on_node(&node).count(), 1);
    refuse(&mut world, Change::RemoveNetwork(net), "in use by task");
    world.must(end(good.id, TaskState::Shutdown));
    world.must(Change::RemoveNetwork(net));
}

#[test]
fn a_task_stays_on_its_node_and_reports_only_once_assigned() {
    let mut world = World::new();
    let (a, b) = (world.node(NodeRole::Worker), world.node(NodeRole::Worker));
    let session = world.session(a);
    let change = create(&mut world, global("agent"));
    world.must(change);
    let service = world.view().service_by_name("agent").unwrap().id;
    let task = CreateTask { node: Some(a), ..world.new_task(service, 0) };
    let id = task.id;
    world.must(Change::CreateTask(Box::new(task)));
    refuse(&mut world, assign(id, b), "belongs on another node");
    refuse(&mut world, observe(id, a, session, TaskState::Running), "is not assigned yet");
    world.must(assign(id, a));
    world.must(observe(id, a, session, TaskState::Running));
    refuse(&mut world, assign(id, b), "is running already");
}

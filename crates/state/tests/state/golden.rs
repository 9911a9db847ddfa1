//! The hash of a fixed history at level 1, frozen.
//!
//! Replicas of different builds compare hashes and apply the same old logs: the figure may
//! change only together with a new level, which leaves this one as it is.

use swarm_types::spec::node::NodeRole;
use swarm_types::spec::service::PublishMode;
use swarm_types::*;

use crate::kit::*;

const LEVEL_1: &str = "42ee422c4fbfe883b795e7dcaaed44dcf487e2f77bce7ed4c25fc3615823fd62";

/// An id that depends on nothing but its number.
fn id<T: FreshId>(number: u32) -> T {
    format!("{number:025}").parse::<RequestId>().unwrap().created()
}

/// Groups of one entry each, then two that are refused.
fn history() -> Vec<Vec<Change>> {
    let mut mesh = network(id(2), "ingress");
    mesh.spec.ingress = true;
    let create = |task, slot| {
        let template = NewTemplate::Service { service: id(5), spec_version: 5 };
        let (replaces, start_after, job_iteration) = (None, Timestamp(7), Some(3));
        let (id, node, desired) = (id(task), None, TaskState::Running);
        let new =
            CreateTask { id, template, slot, node, desired, replaces, start_after, job_iteration };
        Change::CreateTask(Box::new(new))
    };
    vec![
        vec![Change::CreateCluster(Box::new(cluster(id(1))))],
        vec![Change::CreateNetwork(Box::new(mesh))],
        vec![Change::CreateNode(Box::new(node(id(3), NodeRole::Worker)))],
        vec![Change::CreateSecret(Box::new(secret(id(4), "key")))],
        vec![Change::CreateService(Box::new(service(
            id(5),
            publishing("web", PublishMode::Ingress),
        )))],
        vec![open(id(3), id(6)), create(7, 1), create(8, 2)],
        vec![Change::SetTaskPending(id(7), vec![]), assign(id(7), id(3))],
        vec![observe(id(7), id(3), id(6), TaskState::Running)],
        vec![Change::UpdateService(id(5), Box::new(global("web")))],
        vec![Change::RollbackService(id(5), Box::new(rollback()))],
        vec![end(id(8), TaskState::Shutdown), Change::RemoveTask(id(8))],
        vec![Change::CreateVolume(Box::new(volume(id(9), "disk")))],
        vec![Change::RemoveSecret(id(4))],
        vec![Change::RemoveSecret(id(4))],
        vec![create(10, 3), create(11, 1)],
    ]
}

#[test]
fn the_hash_of_level_1_is_what_it_always_was() {
    let mut world = World::new();
    let mut refused = Vec::new();
    for (number, changes) in (100..).zip(history()) {
        world.at += 1_000;
        let group = Group { request: id(number), expect: vec![], changes };
        let result = world.entry(vec![group.into()]).results.remove(0);
        refused.extend(result.is_err().then_some(number));
    }
    assert_eq!(refused, [113, 114]);
    let hash: String = world.view().hash().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, LEVEL_1);
}

//! Entries and records.

use swarm_types::*;

use super::{Choices, Draw, cases, fields};

impl Draw for Entry {
    fn draw(from: &mut Choices) -> Self {
        Self { level: LEVEL, at: from.draw(), check: from.draw(), groups: from.draw() }
    }
}

impl Draw for RememberedRequest {
    fn draw(from: &mut Choices) -> Self {
        let outcome = if from.draw() { Ok(from.draw()) } else { Err(from.draw()) };
        Self { request: from.draw(), at: from.draw(), outcome }
    }
}

fields! {
    HashCheck { index, hash }
    Group { request, expect, changes }
    Expect { object, what }
    OpenSession { node, session, manager, boot_id, description, addr }
    CreateTask { id, template, slot, node, desired, replaces, start_after, job_iteration }
    AssignTask { task, node, generic, volumes, message }
    ObserveTask { task, node, session, status }
    SnapshotHeader { applied, at, hash }
}

cases! {
    Expected [
        |_| Expected::Absent,
        |from| Expected::Version(from.draw()),
        |from| Expected::SpecVersion(from.draw()),
        |from| Expected::Decided(from.draw()),
    ]
    ObjectId [
        |from| ObjectId::Cluster(from.draw()),
        |from| ObjectId::Node(from.draw()),
        |from| ObjectId::Service(from.draw()),
        |from| ObjectId::Task(from.draw()),
        |from| ObjectId::Network(from.draw()),
        |from| ObjectId::Secret(from.draw()),
        |from| ObjectId::Config(from.draw()),
        |from| ObjectId::Volume(from.draw()),
        |from| ObjectId::Extension(from.draw()),
        |from| ObjectId::Resource(from.draw()),
    ]
    NewTemplate [
        |from| NewTemplate::Service { service: from.draw(), spec_version: from.draw() },
        |from| NewTemplate::Attachment(from.draw()),
    ]
    Refusal [
        |from| Refusal::Stale { object: from.draw(), expected: from.draw(), found: from.draw() },
        |from| Refusal::NotFound(from.draw()),
        |from| Refusal::Exists(from.draw()),
        |from| Refusal::NameTaken { kind: from.draw(), name: from.draw() },
        |from| Refusal::InUse { object: from.draw(), user: from.draw() },
        |from| Refusal::Superseded(from.draw()),
        |from| Refusal::Invalid(from.draw()),
        |from| Refusal::Panicked(from.draw()),
    ]
    Change [
        |from| Change::CreateCluster(from.draw()),
        |from| Change::UpdateCluster(from.draw()),
        |from| Change::SetCluster(from.draw()),
        |from| Change::CreateNode(from.draw()),
        |from| Change::UpdateNode(from.draw(), from.draw()),
        |from| Change::RemoveNode { node: from.draw(), refuse_until: from.draw() },
        |from| Change::OpenSession(from.draw()),
        |from| Change::NodeDown {
            node: from.draw(), session: from.draw(), message: from.draw()
        },
        |from| Change::SetNodeRole(from.draw(), from.draw()),
        |from| Change::SetNodeKey(from.draw(), from.draw()),
        |from| Change::CreateService(from.draw()),
        |from| Change::UpdateService(from.draw(), from.draw()),
        |from| Change::RollbackService(from.draw(), from.draw()),
        |from| Change::RemoveService(from.draw()),
        |from| Change::SetUpdateStatus(from.draw(), from.draw()),
        |from| Change::SetEndpoint(from.draw(), from.draw()),
        |from| Change::CreateTask(from.draw()),
        |from| Change::AssignTask(from.draw()),
        |from| Change::SetTaskPending(from.draw(), from.draw()),
        |from| Change::ExplainTask(from.draw(), from.draw()),
        |from| Change::SetDesired {
            task: from.draw(), desired: from.draw(), reason: from.draw()
        },
        |from| Change::EndTask { task: from.draw(), state: from.draw(), message: from.draw() },
        |from| Change::RemoveTask(from.draw()),
        |from| Change::ObserveTask(from.draw()),
        |from| Change::CreateNetwork(from.draw()),
        |from| Change::SetNetwork { network: from.draw(), ipam: from.draw(), vnis: from.draw() },
        |from| Change::RemoveNetwork(from.draw()),
        |from| Change::CreateSecret(from.draw()),
        |from| Change::UpdateSecret(from.draw(), from.draw()),
        |from| Change::RemoveSecret(from.draw()),
        |from| Change::CreateConfig(from.draw()),
        |from| Change::UpdateConfig(from.draw(), from.draw()),
        |from| Change::RemoveConfig(from.draw()),
        |from| Change::CreateVolume(from.draw()),
        |from| Change::SetVolume(from.draw()),
        |from| Change::RemoveVolume(from.draw()),
        |from| Change::CreateExtension(from.draw()),
        |from| Change::RemoveExtension(from.draw()),
        |from| Change::CreateResource(from.draw()),
        |from| Change::SetResource(from.draw()),
        |from| Change::RemoveResource(from.draw()),
    ]
    Record [
        |from| Record::Object(from.draw()),
        |from| Record::Request(from.draw()),
    ]
}

//! Objects.

use swarm_types::object::cluster::*;
use swarm_types::object::node::*;
use swarm_types::object::service::*;
use swarm_types::object::task::*;
use swarm_types::object::volume::*;
use swarm_types::{Config, Extension, Meta, Network, Object, Resource, Secret, TaskState};

use super::{Choices, Draw, cases, fields};

fields! {
    Meta { version, spec_version, decided_version, created_at, updated_at }
    Cluster {
        id, meta, spec, root_ca, epoch, level, address_pools, subnet_size, data_path_port,
        vni_base, data_path_keys, key_clock, unlock_key, removed_nodes
    }
    RootCa {
        cert, key, digest, worker_token, manager_token, rotation, last_forced_rotation
    }
    RootRotation { cert, key, cross_signed }
    DataPathKey { key, generation }
    RemovedNode { node, until }
    Node {
        id, meta, spec, description, status, role, key_fingerprint, session, attachments
    }
    NodeDescription {
        hostname, platform, nano_cpus, memory_bytes, generic, engine_version, engine_labels,
        plugins, tls
    }
    Plugin { kind, name }
    TlsInfo { trust_root, issuer_subject, issuer_public_key }
    NodeStatus { state, message, addr }
    NodeSession { id, manager, boot_id, opened_at }
    NodeAttachment { network, address }
    Service { id, meta, spec, previous, endpoint, update_status, job }
    PreviousSpec { spec, spec_version }
    Endpoint { ports, virtual_ips }
    VirtualIp { network, address }
    UpdateStatus { state, started_at, completed_at, message }
    JobStatus { iteration, last_execution }
    Task {
        id, meta, template, slot, node, desired, desired_reason, status, replaces, start_after, ran_at,
        networks, generic, job_iteration, volumes
    }
    Template { service, spec_version, service_annotations, endpoint, global, spec }
    TaskStatus { state, at, message, err, container, ports, applied_at }
    ContainerStatus { id, pid, exit_code }
    NetworkAttachment { network, addresses, aliases }
    VolumeAttachment { volume, source, target }
    Network { id, meta, spec, ipam, vnis, driver_options }
    Secret { id, meta, spec, internal }
    Config { id, meta, spec }
    Volume { id, meta, spec, publish, info, pending_delete }
    PublishStatus { node, state, context, message }
    VolumeInfo { capacity_bytes, context, volume_id, accessible }
    Extension { id, meta, annotations, description }
    Resource { id, meta, annotations, kind, payload }
}

cases! {
    NodeState [
        |_| NodeState::Unknown, |_| NodeState::Down, |_| NodeState::Ready,
        |_| NodeState::Disconnected,
    ]
    UpdateState [
        |_| UpdateState::Updating, |_| UpdateState::Paused, |_| UpdateState::Completed,
        |_| UpdateState::RollbackStarted, |_| UpdateState::RollbackPaused,
        |_| UpdateState::RollbackCompleted,
    ]
    PublishState [
        |_| PublishState::PendingPublish, |_| PublishState::Published,
        |_| PublishState::PendingNodeUnpublish, |_| PublishState::PendingUnpublish,
    ]
    Object [
        |from| Object::Cluster(from.draw()),
        |from| Object::Node(from.draw()),
        |from| Object::Service(from.draw()),
        |from| Object::Task(from.draw()),
        |from| Object::Network(from.draw()),
        |from| Object::Secret(from.draw()),
        |from| Object::Config(from.draw()),
        |from| Object::Volume(from.draw()),
        |from| Object::Extension(from.draw()),
        |from| Object::Resource(from.draw()),
    ]
}

impl Draw for TaskState {
    fn draw(from: &mut Choices) -> Self {
        Self::ALL[from.below(Self::ALL.len())]
    }
}

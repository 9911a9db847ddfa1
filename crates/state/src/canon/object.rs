//! Objects in canonical form.

use swarm_types::object::cluster::{DataPathKey, RemovedNode, RootCa, RootRotation};
use swarm_types::object::node::{
    NodeAttachment, NodeDescription, NodeSession, NodeState, NodeStatus, Plugin, TlsInfo,
};
use swarm_types::object::service::{
    Endpoint, JobStatus, PreviousSpec, UpdateState, UpdateStatus, VirtualIp,
};
use swarm_types::object::task::{ContainerStatus, NetworkAttachment, VolumeAttachment};
use swarm_types::object::volume::{PublishState, PublishStatus, VolumeInfo};
use swarm_types::{
    Cluster, Config, Extension, Meta, Network, Node, Refusal, RememberedRequest, Resource, Secret,
    Service, Task, TaskStatus, Template, Volume,
};

use super::{Canon, structs, words};

structs! {
    Meta { version, spec_version, decided_version, created_at, updated_at }
    Cluster {
        id, meta, spec, root_ca, epoch, level, address_pools, subnet_size, data_path_port,
        vni_base, data_path_keys, key_clock, unlock_key, removed_nodes,
    }
    RootCa {
        cert, key, digest, worker_token, manager_token, rotation, last_forced_rotation,
    }
    RootRotation { cert, key, cross_signed }
    DataPathKey { key, generation }
    RemovedNode { node, until }
    Node {
        id, meta, spec, description, status, role, key_fingerprint, session, attachments,
    }
    NodeDescription {
        hostname, platform, nano_cpus, memory_bytes, generic, engine_version, engine_labels,
        plugins, tls,
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

words! {
    NodeState { Unknown = 0, Down = 1, Ready = 2, Disconnected = 3 }
    UpdateState {
        Updating = 0, Paused = 1, Completed = 2, RollbackStarted = 3, RollbackPaused = 4,
        RollbackCompleted = 5,
    }
    PublishState {
        PendingPublish = 0, Published = 1, PendingNodeUnpublish = 2, PendingUnpublish = 3,
    }
}

/// A shared template is named only: it is counted once, by the table of templates.
impl Canon for Task {
    fn canon(&self, out: &mut Vec<u8>) {
        let Self {
            id,
            meta,
            template,
            slot,
            node,
            desired,
            desired_reason,
            status,
            replaces,
            start_after,
            ran_at,
            networks,
            generic,
            job_iteration,
            volumes,
        } = self;
        id.canon(out);
        meta.canon(out);
        match template.service {
            Some(service) => (service, template.spec_version).canon(out),
            None => template.canon(out),
        }
        slot.canon(out);
        node.canon(out);
        desired.canon(out);
        desired_reason.canon(out);
        status.canon(out);
        replaces.canon(out);
        start_after.canon(out);
        ran_at.canon(out);
        networks.canon(out);
        generic.canon(out);
        job_iteration.canon(out);
        volumes.canon(out);
    }
}

impl Canon for RememberedRequest {
    fn canon(&self, out: &mut Vec<u8>) {
        let Self { request, at, outcome } = self;
        request.canon(out);
        at.canon(out);
        match outcome {
            Ok(version) => (0u8, *version).canon(out),
            Err(refusal) => refusal.canon(out),
        }
    }
}

/// The kind only: texts are for people, and that of a panic is the compiler's.
impl Canon for Refusal {
    fn canon(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Stale { .. } => 1,
            Self::NotFound(_) => 2,
            Self::Exists(_) => 3,
            Self::NameTaken { .. } => 4,
            Self::InUse { .. } => 5,
            Self::Superseded(_) => 6,
            Self::Invalid(_) => 7,
            Self::Panicked(_) => 8,
        });
    }
}

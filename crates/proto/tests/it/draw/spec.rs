//! Specs.

use swarm_types::ContainerRef;
use swarm_types::spec::cluster::*;
use swarm_types::spec::container::*;
use swarm_types::spec::mount::*;
use swarm_types::spec::network::*;
use swarm_types::spec::node::*;
use swarm_types::spec::secret::*;
use swarm_types::spec::service::*;
use swarm_types::spec::task::*;
use swarm_types::spec::volume::*;
use swarm_types::spec::{Annotations, Driver};

use super::{cases, fields};

fields! {
    Annotations { name, labels }
    Driver { name, options }
    ServiceSpec { annotations, task, mode, update, rollback, endpoint }
    UpdateConfig { parallelism, delay, failure_action, monitor, max_failure_millionths, order }
    EndpointSpec { mode, ports }
    PortConfig { name, protocol, target, published, mode }
    TaskSpec {
        runtime, resources, restart, placement, networks, log_driver, force_update, references
    }
    ContainerRef { id }
    Resources { limits, reservations, swap_bytes, memory_swappiness }
    Limits { nano_cpus, memory_bytes, pids }
    Reservations { nano_cpus, memory_bytes, generic }
    RestartPolicy { condition, delay, max_attempts, window }
    Placement { constraints, preferences, max_replicas, platforms }
    Platform { architecture, os }
    NetworkAttachmentConfig { target, aliases, addresses, driver_options }
    ContainerSpec {
        image, labels, command, args, hostname, env, dir, user, groups, privileges, init,
        stop_signal, tty, open_stdin, read_only, mounts, stop_grace_period, healthcheck, hosts,
        dns, secrets, configs, isolation, sysctls, capability_add, capability_drop, ulimits,
        oom_score_adj, pull
    }
    PullOptions { registry_auth }
    Privileges { credential_spec, selinux, seccomp, apparmor_enabled, no_new_privileges }
    SeLinuxContext { disable, user, role, kind, level }
    HealthConfig { test, interval, timeout, retries, start_period, start_interval }
    DnsConfig { nameservers, search, options }
    Ulimit { name, soft, hard }
    Mount {
        kind, source, target, read_only, consistency, bind, volume, image_subpath, tmpfs
    }
    BindOptions {
        propagation, non_recursive, create_mountpoint, read_only_non_recursive,
        read_only_force_recursive
    }
    VolumeOptions { no_copy, labels, subpath, driver }
    TmpfsOptions { size_bytes, mode, options }
    NetworkSpec {
        annotations, driver, ipv6, internal, attachable, ingress, ipam, config_from
    }
    IpamSpec { driver, configs }
    IpamConfig { subnet, range, gateway, reserved }
    NodeSpec { annotations, role, membership, availability }
    SecretSpec { annotations, data, templating, driver }
    ConfigSpec { annotations, data, templating }
    SecretReference { id, name, target }
    ConfigReference { id, name, target }
    FileTarget { name, uid, gid, mode }
    VolumeSpec {
        annotations, group, driver, access, secrets, requisite, preferred, required_bytes,
        limit_bytes, availability
    }
    AccessMode { multi_node, sharing, access }
    ClusterSpec {
        annotations, task_history_limit, raft, heartbeat_period, ca, default_log_driver, autolock
    }
    RaftConfig {
        snapshot_interval, keep_old_snapshots, log_entries_for_slow_followers, election_tick,
        heartbeat_tick
    }
    CaConfig { node_cert_expiry, external_cas, signing_cert, signing_key, force_rotate }
    ExternalCa { protocol, url, options, ca_cert }
}

cases! {
    ServiceMode [
        |from| ServiceMode::Replicated { replicas: from.draw() },
        |_| ServiceMode::Global,
        |from| ServiceMode::ReplicatedJob {
            max_concurrent: from.draw(), total_completions: from.draw()
        },
        |_| ServiceMode::GlobalJob,
    ]
    FailureAction [
        |_| FailureAction::Pause, |_| FailureAction::Continue, |_| FailureAction::Rollback,
    ]
    UpdateOrder [|_| UpdateOrder::StopFirst, |_| UpdateOrder::StartFirst]
    EndpointMode [|_| EndpointMode::Vip, |_| EndpointMode::DnsRr]
    Protocol [|_| Protocol::Tcp, |_| Protocol::Udp, |_| Protocol::Sctp]
    PublishMode [|_| PublishMode::Ingress, |_| PublishMode::Host]
    TaskRuntime [
        |from| TaskRuntime::Container(from.draw()),
        |from| TaskRuntime::Attachment(from.draw()),
        |from| TaskRuntime::Generic { kind: from.draw(), payload: from.draw() },
    ]
    ResourceReference [
        |from| ResourceReference::Secret(from.draw()),
        |from| ResourceReference::Config(from.draw()),
    ]
    GenericResource [
        |from| GenericResource::Named { kind: from.draw(), value: from.draw() },
        |from| GenericResource::Discrete { kind: from.draw(), value: from.draw() },
    ]
    RestartCondition [
        |_| RestartCondition::None, |_| RestartCondition::OnFailure, |_| RestartCondition::Any,
    ]
    PlacementPreference [|from| PlacementPreference::Spread { descriptor: from.draw() }]
    NetworkTarget [
        |_| NetworkTarget::Host,
        |_| NetworkTarget::None,
        |from| NetworkTarget::Network(from.draw()),
    ]
    Isolation [|_| Isolation::Default, |_| Isolation::Process, |_| Isolation::HyperV]
    CredentialSpec [
        |from| CredentialSpec::Config(from.draw()),
        |from| CredentialSpec::File(from.draw()),
        |from| CredentialSpec::Registry(from.draw()),
    ]
    Seccomp [
        |_| Seccomp::Default, |_| Seccomp::Unconfined, |from| Seccomp::Custom(from.draw()),
    ]
    MountKind [
        |_| MountKind::Bind, |_| MountKind::Volume, |_| MountKind::Tmpfs,
        |_| MountKind::NamedPipe, |_| MountKind::Cluster, |_| MountKind::Image,
    ]
    Consistency [
        |_| Consistency::Default, |_| Consistency::Full, |_| Consistency::Cached,
        |_| Consistency::Delegated,
    ]
    Propagation [
        |_| Propagation::RPrivate, |_| Propagation::Private, |_| Propagation::RShared,
        |_| Propagation::Shared, |_| Propagation::RSlave, |_| Propagation::Slave,
    ]
    NodeRole [|_| NodeRole::Worker, |_| NodeRole::Manager]
    Membership [|_| Membership::Pending, |_| Membership::Accepted]
    Availability [
        |_| Availability::Active, |_| Availability::Pause, |_| Availability::Drain,
    ]
    Sharing [
        |_| Sharing::None, |_| Sharing::ReadOnly, |_| Sharing::OneWriter, |_| Sharing::All,
    ]
    VolumeAccess [
        |from| VolumeAccess::Mount { fs_type: from.draw(), flags: from.draw() },
        |_| VolumeAccess::Block,
    ]
}

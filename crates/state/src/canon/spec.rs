//! Specs in canonical form.

use swarm_types::ContainerRef;
use swarm_types::spec::cluster::{CaConfig, ClusterSpec, ExternalCa, RaftConfig};
use swarm_types::spec::container::{
    ContainerSpec, CredentialSpec, DnsConfig, HealthConfig, Isolation, Privileges, PullOptions,
    SeLinuxContext, Seccomp, Ulimit,
};
use swarm_types::spec::mount::{
    BindOptions, Consistency, Mount, MountKind, Propagation, TmpfsOptions, VolumeOptions,
};
use swarm_types::spec::network::{IpamConfig, IpamSpec, NetworkSpec};
use swarm_types::spec::node::{Availability, Membership, NodeRole, NodeSpec};
use swarm_types::spec::secret::{
    ConfigReference, ConfigSpec, FileTarget, SecretReference, SecretSpec,
};
use swarm_types::spec::service::{
    EndpointMode, EndpointSpec, FailureAction, PortConfig, Protocol, PublishMode, ServiceMode,
    ServiceSpec, UpdateConfig, UpdateOrder,
};
use swarm_types::spec::task::{
    GenericResource, Limits, NetworkAttachmentConfig, NetworkTarget, Placement,
    PlacementPreference, Platform, Reservations, ResourceReference, Resources, RestartCondition,
    RestartPolicy, TaskRuntime, TaskSpec,
};
use swarm_types::spec::volume::{AccessMode, Sharing, VolumeAccess, VolumeSpec};
use swarm_types::spec::{Annotations, Driver};

use super::{Canon, structs, words};

structs! {
    Annotations { name, labels }
    Driver { name, options }
    ClusterSpec {
        annotations, task_history_limit, raft, heartbeat_period, ca, default_log_driver, autolock,
    }
    RaftConfig {
        snapshot_interval, keep_old_snapshots, log_entries_for_slow_followers, election_tick,
        heartbeat_tick,
    }
    CaConfig { node_cert_expiry, external_cas, signing_cert, signing_key, force_rotate }
    ExternalCa { protocol, url, options, ca_cert }
    ContainerSpec {
        image, labels, command, args, hostname, env, dir, user, groups, privileges, init,
        stop_signal, tty, open_stdin, read_only, mounts, stop_grace_period, healthcheck, hosts,
        dns, secrets, configs, isolation, sysctls, capability_add, capability_drop, ulimits,
        oom_score_adj, pull,
    }
    PullOptions { registry_auth }
    Privileges { credential_spec, selinux, seccomp, apparmor_enabled, no_new_privileges }
    SeLinuxContext { disable, user, role, kind, level }
    HealthConfig { test, interval, timeout, retries, start_period, start_interval }
    DnsConfig { nameservers, search, options }
    Ulimit { name, soft, hard }
    Mount {
        kind, source, target, read_only, consistency, bind, volume, image_subpath, tmpfs,
    }
    BindOptions {
        propagation, non_recursive, create_mountpoint, read_only_non_recursive,
        read_only_force_recursive,
    }
    VolumeOptions { no_copy, labels, subpath, driver }
    TmpfsOptions { size_bytes, mode, options }
    NetworkSpec {
        annotations, driver, ipv6, internal, attachable, ingress, ipam, config_from,
    }
    IpamSpec { driver, configs }
    IpamConfig { subnet, range, gateway, reserved }
    NodeSpec { annotations, role, membership, availability }
    SecretSpec { annotations, data, templating, driver }
    ConfigSpec { annotations, data, templating }
    SecretReference { id, name, target }
    ConfigReference { id, name, target }
    FileTarget { name, uid, gid, mode }
    ServiceSpec { annotations, task, mode, update, rollback, endpoint }
    UpdateConfig { parallelism, delay, failure_action, monitor, max_failure_millionths, order }
    EndpointSpec { mode, ports }
    PortConfig { name, protocol, target, published, mode }
    TaskSpec {
        runtime, resources, restart, placement, networks, log_driver, force_update, references,
    }
    ContainerRef { id }
    Resources { limits, reservations, swap_bytes, memory_swappiness }
    Limits { nano_cpus, memory_bytes, pids }
    Reservations { nano_cpus, memory_bytes, generic }
    RestartPolicy { condition, delay, max_attempts, window }
    Placement { constraints, preferences, max_replicas, platforms }
    Platform { architecture, os }
    NetworkAttachmentConfig { target, aliases, addresses, driver_options }
    VolumeSpec {
        annotations, group, driver, access, secrets, requisite, preferred, required_bytes,
        limit_bytes, availability,
    }
    AccessMode { multi_node, sharing, access }
}

words! {
    Isolation { Default = 0, Process = 1, HyperV = 2 }
    MountKind { Bind = 0, Volume = 1, Tmpfs = 2, NamedPipe = 3, Cluster = 4, Image = 5 }
    Consistency { Default = 0, Full = 1, Cached = 2, Delegated = 3 }
    Propagation { RPrivate = 0, Private = 1, RShared = 2, Shared = 3, RSlave = 4, Slave = 5 }
    NodeRole { Worker = 0, Manager = 1 }
    Membership { Pending = 0, Accepted = 1 }
    Availability { Active = 0, Pause = 1, Drain = 2 }
    FailureAction { Pause = 0, Continue = 1, Rollback = 2 }
    UpdateOrder { StopFirst = 0, StartFirst = 1 }
    EndpointMode { Vip = 0, DnsRr = 1 }
    Protocol { Tcp = 0, Udp = 1, Sctp = 2 }
    PublishMode { Ingress = 0, Host = 1 }
    RestartCondition { None = 0, OnFailure = 1, Any = 2 }
    Sharing { None = 0, ReadOnly = 1, OneWriter = 2, All = 3 }
}

impl Canon for CredentialSpec {
    fn canon(&self, out: &mut Vec<u8>) {
        match self {
            Self::Config(text) => (0u8.canon(out), text.canon(out)),
            Self::File(text) => (1u8.canon(out), text.canon(out)),
            Self::Registry(text) => (2u8.canon(out), text.canon(out)),
        };
    }
}

impl Canon for Seccomp {
    fn canon(&self, out: &mut Vec<u8>) {
        match self {
            Self::Default => out.push(0),
            Self::Unconfined => out.push(1),
            Self::Custom(filter) => {
                out.push(2);
                filter.canon(out);
            }
        }
    }
}

impl Canon for ServiceMode {
    fn canon(&self, out: &mut Vec<u8>) {
        match self {
            Self::Replicated { replicas } => {
                out.push(0);
                replicas.canon(out);
            }
            Self::Global => out.push(1),
            Self::ReplicatedJob { max_concurrent, total_completions } => {
                out.push(2);
                (*max_concurrent, *total_completions).canon(out);
            }
            Self::GlobalJob => out.push(3),
        }
    }
}

impl Canon for TaskRuntime {
    fn canon(&self, out: &mut Vec<u8>) {
        match self {
            Self::Container(spec) => (0u8.canon(out), spec.canon(out)),
            Self::Attachment(container) => (1u8.canon(out), container.canon(out)),
            Self::Generic { kind, payload } => {
                2u8.canon(out);
                (kind.canon(out), payload.canon(out))
            }
        };
    }
}

impl Canon for ResourceReference {
    fn canon(&self, out: &mut Vec<u8>) {
        match self {
            Self::Secret(id) => (0u8.canon(out), id.canon(out)),
            Self::Config(id) => (1u8.canon(out), id.canon(out)),
        };
    }
}

impl Canon for GenericResource {
    fn canon(&self, out: &mut Vec<u8>) {
        match self {
            Self::Named { kind, value } => {
                out.push(0);
                kind.canon(out);
                value.canon(out);
            }
            Self::Discrete { kind, value } => {
                out.push(1);
                kind.canon(out);
                value.canon(out);
            }
        }
    }
}

impl Canon for PlacementPreference {
    fn canon(&self, out: &mut Vec<u8>) {
        match self {
            Self::Spread { descriptor } => {
                out.push(0);
                descriptor.canon(out);
            }
        }
    }
}

impl Canon for NetworkTarget {
    fn canon(&self, out: &mut Vec<u8>) {
        match self {
            Self::Host => out.push(0),
            Self::None => out.push(1),
            Self::Network(id) => {
                out.push(2);
                id.canon(out);
            }
        }
    }
}

impl Canon for VolumeAccess {
    fn canon(&self, out: &mut Vec<u8>) {
        match self {
            Self::Mount { fs_type, flags } => {
                out.push(0);
                fs_type.canon(out);
                flags.canon(out);
            }
            Self::Block => out.push(1),
        }
    }
}

//! Every leaf of a service's spec is listed here with what becomes of it. The structs are taken
//! apart without `..`: a field that is added to one of them stops the build until it is listed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::resolve::Spec;
use crate::spec::Annotations;
use crate::spec::Driver;
use crate::spec::container::{
    DnsConfig, HealthConfig, Privileges, PullOptions, SeLinuxContext, Seccomp, Ulimit,
};
use crate::spec::mount::{Mount, MountKind, VolumeOptions};
use crate::spec::secret::{ConfigReference, FileTarget, SecretReference};
use crate::spec::service::EndpointSpec;
use crate::spec::service::{FailureAction, PortConfig, UpdateConfig, UpdateOrder};
use crate::spec::task::{
    GenericResource, Limits, Placement, PlacementPreference, Platform, Reservations,
    ResourceReference, Resources, RestartCondition, RestartPolicy, TaskSpec,
};
use crate::{ConfigId, ContainerRef, IdSource, NetworkId, SecretId, Sensitive, resolve};

/// A change of one field, and the name it is refused by; `None` when it is served.
struct Leaf<'a> {
    refused: Option<&'static str>,
    change: Box<dyn FnOnce() + 'a>,
}

fn served<'a>(change: impl FnOnce() + 'a) -> Leaf<'a> {
    Leaf { refused: None, change: Box::new(change) }
}

fn refused<'a>(field: &'static str, change: impl FnOnce() + 'a) -> Leaf<'a> {
    Leaf { refused: Some(field), change: Box::new(change) }
}

fn word() -> String {
    "word".to_owned()
}

fn pair() -> (String, String) {
    (word(), word())
}

fn service(it: &mut ServiceSpec) -> Vec<Leaf<'_>> {
    let ServiceSpec { annotations, task, mode, update, rollback, endpoint } = it;
    let Annotations { name, labels } = annotations;
    let EndpointSpec { mode: endpoint_mode, ports } = endpoint;
    let mut leaves = vec![
        served(|| *name = word()),
        served(|| labels.extend([pair()])),
        served(|| *mode = ServiceMode::Replicated { replicas: 9 }),
        refused("EndpointSpec.Mode", || *endpoint_mode = EndpointMode::DnsRr),
        refused("EndpointSpec.Ports.PublishMode", || {
            ports.push(PortConfig { target: 1, ..Default::default() })
        }),
    ];
    leaves.extend(update_config(update.get_or_insert_default()));
    leaves.extend(update_config(rollback.get_or_insert_default()));
    leaves.extend(task_spec(task));
    leaves
}

fn update_config(it: &mut UpdateConfig) -> Vec<Leaf<'_>> {
    let UpdateConfig { parallelism, delay, failure_action, monitor, max_failure_millionths, order } =
        it;
    vec![
        served(|| *parallelism = 2),
        served(|| *delay = Duration::from_secs(1)),
        served(|| *failure_action = FailureAction::Continue),
        served(|| *monitor = Duration::ZERO),
        served(|| *max_failure_millionths = 1),
        served(|| *order = UpdateOrder::StartFirst),
    ]
}

fn task_spec(it: &mut TaskSpec) -> Vec<Leaf<'_>> {
    let TaskSpec {
        runtime,
        resources,
        restart,
        placement,
        networks,
        log_driver,
        force_update,
        references,
    } = it;
    let mut leaves = vec![
        served(|| *log_driver = Some(Driver::default())),
        served(|| *force_update = 1),
        refused("TaskTemplate.References", || {
            references.extend([
                ResourceReference::Secret(SecretId::MIN),
                ResourceReference::Config(ConfigId::MIN),
            ]);
        }),
    ];
    leaves.extend(resource_leaves(resources));
    leaves.extend(restart_leaves(restart));
    leaves.extend(placement_leaves(placement));
    for network in networks {
        leaves.extend(network_leaves(network));
    }
    if let TaskRuntime::Container(container) = runtime {
        leaves.extend(process_leaves(container));
    }
    leaves
}

fn resource_leaves(it: &mut Resources) -> Vec<Leaf<'_>> {
    let Resources { limits, reservations, swap_bytes, memory_swappiness } = it;
    let Limits { nano_cpus, memory_bytes, pids } = limits;
    let Reservations { nano_cpus: reserved_cpus, memory_bytes: reserved_memory, generic } =
        reservations;
    vec![
        served(|| *nano_cpus = 1 << 30),
        served(|| *memory_bytes = 1 << 30),
        served(|| *pids = 9),
        served(|| *reserved_cpus = 1 << 30),
        served(|| *reserved_memory = 1 << 30),
        refused("TaskTemplate.Resources.Reservations.GenericResources", || {
            generic.push(GenericResource::Discrete { kind: word(), value: 1 });
        }),
        served(|| *swap_bytes = Some(-1)),
        served(|| *memory_swappiness = Some(0)),
    ]
}

fn restart_leaves(it: &mut RestartPolicy) -> Vec<Leaf<'_>> {
    let RestartPolicy { condition, delay, max_attempts, window } = it;
    vec![
        served(|| *condition = RestartCondition::None),
        served(|| *delay = Duration::ZERO),
        served(|| *max_attempts = 3),
        served(|| *window = Duration::from_secs(9)),
    ]
}

fn placement_leaves(it: &mut Placement) -> Vec<Leaf<'_>> {
    let Placement { constraints, preferences, max_replicas, platforms } = it;
    vec![
        served(|| constraints.push("node.id==a".to_owned())),
        served(|| {
            preferences
                .push(PlacementPreference::Spread { descriptor: "node.labels.a".to_owned() });
        }),
        served(|| *max_replicas = 2),
        served(|| platforms.push(Platform::default())),
    ]
}

fn network_leaves(it: &mut NetworkAttachmentConfig) -> Vec<Leaf<'_>> {
    let NetworkAttachmentConfig { target, aliases, addresses, driver_options } = it;
    vec![
        refused("TaskTemplate.Networks", || *target = NetworkTarget::Network(NetworkId::MIN)),
        refused("TaskTemplate.Networks.Aliases", || aliases.push(word())),
        refused("TaskTemplate.Networks.Addresses", || addresses.push(word())),
        refused("TaskTemplate.Networks.DriverOpts", || driver_options.extend([pair()])),
    ]
}

fn process_leaves(it: &mut ContainerSpec) -> Vec<Leaf<'_>> {
    let ContainerSpec {
        image,
        labels,
        command,
        args,
        hostname,
        env,
        dir,
        user,
        groups,
        privileges,
        init,
        stop_signal,
        tty,
        open_stdin,
        read_only,
        mounts,
        stop_grace_period,
        healthcheck,
        hosts,
        dns,
        secrets,
        configs,
        isolation,
        sysctls,
        capability_add,
        capability_drop,
        ulimits,
        oom_score_adj,
        pull,
    } = it;
    let PullOptions { registry_auth } = pull;
    let file = FileTarget { name: word(), ..FileTarget::default() };
    let config_file = Some(file.clone());
    let mut leaves = vec![
        served(|| *image = word()),
        served(|| labels.extend([pair()])),
        served(|| command.push(word())),
        served(|| args.push(word())),
        served(|| env.push(word())),
        served(|| *dir = word()),
        served(|| *user = word()),
        served(|| *stop_signal = "SIGINT".to_owned()),
        served(|| *stop_grace_period = Duration::ZERO),
        served(|| *hostname = word()),
        served(|| groups.push(word())),
        served(|| *init = Some(true)),
        served(|| *tty = true),
        served(|| *open_stdin = true),
        served(|| *read_only = true),
        served(|| {
            mounts.push(Mount { target: "/a".to_owned(), ..Mount::default() });
        }),
        served(|| {
            *healthcheck = Some(HealthConfig::default());
        }),
        served(|| hosts.push("::1 a".to_owned())),
        refused("TaskTemplate.ContainerSpec.Secrets", || {
            secrets.push(SecretReference { id: SecretId::MIN, name: word(), target: file });
        }),
        refused("TaskTemplate.ContainerSpec.Configs", || {
            configs.push(ConfigReference { id: ConfigId::MIN, name: word(), target: config_file });
        }),
        refused("TaskTemplate.ContainerSpec.Isolation", || *isolation = Isolation::Process),
        served(|| sysctls.extend([pair()])),
        served(|| capability_add.push("KILL".to_owned())),
        served(|| capability_drop.push("ALL".to_owned())),
        served(|| {
            ulimits.push(Ulimit { name: "core".to_owned(), soft: 0, hard: 0 });
        }),
        served(|| *oom_score_adj = 1),
        served(|| *registry_auth = Sensitive::new(vec![1])),
    ];
    leaves.extend(privilege_leaves(privileges));
    leaves.extend(dns_leaves(dns));
    leaves
}

fn privilege_leaves(it: &mut Privileges) -> Vec<Leaf<'_>> {
    let Privileges { credential_spec, selinux, seccomp, apparmor_enabled, no_new_privileges } = it;
    vec![
        refused("TaskTemplate.ContainerSpec.Privileges.CredentialSpec", || {
            *credential_spec = Some(crate::spec::container::CredentialSpec::File(word()));
        }),
        served(|| *selinux = Some(SeLinuxContext::default())),
        served(|| *seccomp = Some(Seccomp::Unconfined)),
        served(|| *apparmor_enabled = Some(true)),
        served(|| *no_new_privileges = true),
    ]
}

fn dns_leaves(it: &mut DnsConfig) -> Vec<Leaf<'_>> {
    let DnsConfig { nameservers, search, options } = it;
    vec![
        served(|| nameservers.push("::1".to_owned())),
        served(|| search.push(word())),
        served(|| options.push(word())),
    ]
}

fn resolved(spec: ServiceSpec) -> Resolved<ServiceSpec> {
    resolve(spec, &mut IdSource::seeded(1)).unwrap()
}

fn refusals(spec: ServiceSpec) -> Vec<&'static str> {
    unsupported(&resolved(spec)).into_iter().map(|it| it.field).collect()
}

/// The least spec with a memory limit, which some of the changes presuppose.
fn base() -> ServiceSpec {
    let mut spec = ServiceSpec::least();
    spec.task.resources.limits.memory_bytes = 1 << 29;
    spec
}

#[test]
fn every_field_is_served_or_refused_by_name() {
    assert_eq!(refusals(base()), [""; 0]);
    let mut named = BTreeSet::new();
    for n in 0..service(&mut base()).len() {
        let mut spec = base();
        let Leaf { refused, change } = service(&mut spec).swap_remove(n);
        change();
        assert_ne!(spec, base(), "leaf {n} changes nothing");
        assert_eq!(refusals(spec), Vec::from_iter(refused), "leaf {n}");
        named.extend(refused);
    }
    // Modes and runtimes are whole alternatives, not leaves.
    named.extend(alternatives().map(|(field, _)| field));
    let table: BTreeSet<_> = UNSUPPORTED.iter().map(|feature| feature.field).collect();
    assert_eq!(named, table, "every row of the table has a negative case");
}

fn alternatives() -> impl Iterator<Item = (&'static str, ServiceSpec)> {
    let mode = |mode| ServiceSpec { mode, ..base() };
    let runtime = |runtime| {
        let mut spec = base();
        spec.task.runtime = runtime;
        spec
    };
    let logs_to = |name: &str, option: Option<&str>| {
        let options = option.map(|key| (key.to_owned(), word())).into_iter().collect();
        let mut spec = base();
        spec.task.log_driver = Some(Driver { name: name.to_owned(), options });
        spec
    };
    let mounts = |mount| {
        let mut container = ServiceSpec::least().task.container().cloned().unwrap();
        container.mounts.push(Mount { source: word(), target: "/a".to_owned(), ..mount });
        runtime(TaskRuntime::Container(Box::new(container)))
    };
    let plugged = VolumeOptions {
        driver: Some(Driver { name: "nfs".to_owned(), ..Driver::default() }),
        ..VolumeOptions::default()
    };
    [
        (
            "Mode.ReplicatedJob",
            mode(ServiceMode::ReplicatedJob { max_concurrent: 1, total_completions: 1 }),
        ),
        ("Mode.GlobalJob", mode(ServiceMode::GlobalJob)),
        (
            "TaskTemplate.NetworkAttachmentSpec",
            runtime(TaskRuntime::Attachment(ContainerRef { id: word() })),
        ),
        (
            "TaskTemplate.PluginSpec",
            runtime(TaskRuntime::Generic { kind: word(), payload: Vec::new() }),
        ),
        ("TaskTemplate.LogDriver", logs_to("syslog", None)),
        ("TaskTemplate.LogDriver.Options", logs_to("local", Some("compress"))),
        (
            "TaskTemplate.ContainerSpec.Mounts.Type",
            mounts(Mount { kind: MountKind::Image, ..Mount::default() }),
        ),
        (
            "TaskTemplate.ContainerSpec.Mounts.VolumeOptions.DriverConfig",
            mounts(Mount { volume: Some(plugged), ..Mount::default() }),
        ),
    ]
    .into_iter()
}

#[test]
fn other_modes_and_runtimes_are_refused() {
    for (field, spec) in alternatives() {
        assert_eq!(refusals(spec), [field]);
    }
}

#[test]
fn an_ingress_port_learns_what_to_pass() {
    let mut spec = base();
    spec.endpoint.ports = vec![PortConfig { target: 80, ..Default::default() }];
    let refused = unsupported(&resolved(spec.clone()));
    assert!(refused[0].to_string().contains("mode=host"), "{}", refused[0]);

    spec.endpoint.ports[0].mode = PublishMode::Host;
    assert_eq!(refusals(spec), [""; 0]);
}

#[test]
fn a_service_needs_no_network() {
    let mut spec = base();
    spec.task.networks.clear();
    assert_eq!(refusals(spec), [""; 0]);
}

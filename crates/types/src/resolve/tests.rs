use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ipnetwork::IpNetwork;
use proptest::prelude::*;

use super::*;
use crate::defaults;
use crate::spec::cluster::ClusterSpec;
use crate::spec::container::{ContainerSpec, HealthConfig};
use crate::spec::network::{IpamConfig, IpamSpec, NetworkSpec};
use crate::spec::node::NodeSpec;
use crate::spec::secret::{ConfigSpec, SecretSpec};
use crate::spec::service::{PortConfig, Protocol, ServiceMode, ServiceSpec, UpdateConfig};
use crate::spec::task::TaskRuntime;

/// The least spec passes, every rule bites alone, and resolving again changes nothing.
fn rules_bite<S: Spec + Clone + PartialEq + std::fmt::Debug>() {
    let ids = &mut IdSource::seeded(1);
    let least = resolve(S::least(), ids).unwrap();
    assert_eq!(resolve(least.clone().into_inner(), ids).unwrap(), least);

    let mut seen = BTreeSet::new();
    for (rule, spec) in S::negatives() {
        assert!(seen.insert(rule), "two rules are named {rule}");
        let refused = resolve(spec, ids).unwrap_err();
        let broken: Vec<_> = refused.violations.iter().map(|violation| violation.rule).collect();
        assert_eq!(broken, [rule], "{refused}");
    }
    assert!(!seen.is_empty());
}

#[test]
fn every_rule_bites() {
    rules_bite::<ServiceSpec>();
    rules_bite::<NodeSpec>();
    rules_bite::<NetworkSpec>();
    rules_bite::<SecretSpec>();
    rules_bite::<ConfigSpec>();
    rules_bite::<ClusterSpec>();
}

#[test]
fn the_words_that_scripts_look_for_are_kept() {
    let ids = &mut IdSource::seeded(1);
    for (rule, words) in [
        ("service-name", "DNS name component"),
        ("service-name", "63 characters"),
        ("cpu-limit", "invalid cpu value"),
        ("memory-limit", "invalid memory value"),
        ("mount-target-twice", "duplicate mount point"),
        ("port-ingress-dnsrr", "ingress mode"),
        ("port-ingress-dnsrr", "dnsrr"),
    ] {
        let (_, spec) = ServiceSpec::negatives().into_iter().find(|it| it.0.0 == rule).unwrap();
        let refused = resolve(spec, ids).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
    let mut cluster = ClusterSpec::default();
    cluster.ca.node_cert_expiry /= 10_000;
    assert!(resolve(cluster, ids).unwrap_err().to_string().contains("1h0m0s"));
    let secret = SecretSpec::default();
    assert!(resolve(secret, ids).unwrap_err().to_string().contains("invalid name"));
}

#[test]
fn the_limits_themselves_are_allowed() {
    let ids = &mut IdSource::seeded(1);
    let mut service = ServiceSpec::least();
    service.annotations.name = "a".repeat(63);
    service.task.resources.limits.nano_cpus = 1_000_000;
    service.task.resources.limits.memory_bytes = 4 << 20;
    service.task.restart.window = Duration::from_nanos(i64::MAX as u64);
    service.update =
        Some(UpdateConfig { max_failure_millionths: 1_000_000, ..UpdateConfig::default() });
    if let TaskRuntime::Container(container) = &mut service.task.runtime {
        let interval = Duration::from_millis(1);
        container.healthcheck = Some(HealthConfig { interval, ..HealthConfig::default() });
        container.oom_score_adj = -1000;
        container.env = vec!["KEY".to_owned(), "A=".to_owned(), "B=x=y".to_owned()];
        container.hosts = vec!["::1 a b".to_owned(), "host-gateway gate".to_owned()];
    }
    resolve(service, ids).unwrap();

    let mut secret = SecretSpec::least();
    secret.annotations.name = "a".repeat(64);
    secret.data = crate::Sensitive::new(vec![0; 511_999]);
    resolve(secret, ids).unwrap();
    resolve(ConfigSpec { data: vec![0; 1_023_999], ..ConfigSpec::least() }, ids).unwrap();
    let mut cluster = ClusterSpec::least();
    cluster.ca.node_cert_expiry = Duration::from_secs(3600);
    resolve(cluster, ids).unwrap();
}

#[test]
fn ports_collide_by_number_and_protocol() {
    let port = |published, protocol| PortConfig {
        target: 80,
        published,
        protocol,
        ..PortConfig::default()
    };
    let resolves = |ports| {
        let mut spec = ServiceSpec::least();
        spec.endpoint.ports = ports;
        resolve(spec, &mut IdSource::seeded(1)).is_ok()
    };
    assert!(resolves(vec![port(53, Protocol::Tcp), port(53, Protocol::Udp)]));
    assert!(resolves(vec![port(0, Protocol::Tcp), port(0, Protocol::Tcp)]), "0 is chosen later");
    assert!(!resolves(vec![port(53, Protocol::Udp), port(53, Protocol::Udp)]));
}

#[test]
fn consistent_addresses_are_allowed() {
    let parse = |text: &str| text.parse::<IpNetwork>().unwrap();
    let config = |subnet, range, gateway: &str| IpamConfig {
        subnet: parse(subnet),
        range: Some(parse(range)),
        gateway: Some(gateway.parse().unwrap()),
        reserved: BTreeMap::from([("a".to_owned(), parse(range).ip())]),
    };
    let configs = vec![
        config("10.1.0.0/24", "10.1.0.128/25", "10.1.0.1"),
        config("10.1.1.0/24", "10.1.1.0/24", "10.1.1.1"),
        config("fd00::/64", "fd00::8:0/112", "fd00::1"),
    ];
    let ipam = Some(IpamSpec { configs, ..IpamSpec::default() });
    let spec = NetworkSpec { ipam, ipv6: true, ..NetworkSpec::least() };
    let resolved = resolve(spec, &mut IdSource::seeded(1)).unwrap();
    assert_eq!(resolved.driver.name, defaults::NETWORK_DRIVER);
}

#[test]
fn what_was_left_out_is_filled_in() {
    let resolved = resolve(ServiceSpec::least(), &mut IdSource::seeded(7)).unwrap();

    let (adjective, surname) = resolved.annotations.name.split_once('_').unwrap();
    assert!(!adjective.is_empty() && !surname.is_empty());
    assert_eq!(resolved.mode, ServiceMode::Replicated { replicas: 1 });
    assert_eq!(resolved.update, Some(UpdateConfig::default()));
    assert_eq!(resolved.rollback, Some(UpdateConfig::default()));
    assert_eq!(resolved.task.restart.delay, defaults::RESTART_DELAY);
    assert_eq!(resolved.task.log_driver, None);
    let container = resolved.task.container().unwrap();
    assert_eq!(container.stop_grace_period, defaults::STOP_GRACE_PERIOD);
    assert_eq!(container.image, "web", "the text the user typed stays");
}

#[test]
fn jobs_get_counts_and_no_update_config() {
    let mut job = ServiceSpec::least();
    job.mode = ServiceMode::ReplicatedJob { max_concurrent: 3, total_completions: 0 };
    let resolved = resolve(job, &mut IdSource::seeded(1)).unwrap();
    assert_eq!(
        resolved.mode,
        ServiceMode::ReplicatedJob { max_concurrent: 3, total_completions: 3 }
    );
    assert_eq!((&resolved.update, &resolved.rollback), (&None, &None));
}

#[test]
fn capabilities_get_one_spelling() {
    let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    for (add, drop, stored_add, stored_drop) in [
        (
            list(&["net_admin", "CAP_CHOWN", "chown"]),
            list(&[]),
            list(&["CAP_CHOWN", "CAP_NET_ADMIN"]),
            list(&[]),
        ),
        (list(&["all", "chown"]), list(&["kill"]), list(&["ALL"]), list(&["CAP_KILL"])),
        (list(&["kill"]), list(&["KILL", "mknod"]), list(&["CAP_KILL"]), list(&["CAP_MKNOD"])),
    ] {
        let mut spec = ServiceSpec::least();
        let container = ContainerSpec {
            image: "web".to_owned(),
            capability_add: add,
            capability_drop: drop,
            ..ContainerSpec::default()
        };
        spec.task.runtime = TaskRuntime::Container(Box::new(container));
        let resolved = resolve(spec, &mut IdSource::seeded(1)).unwrap();
        let container = resolved.task.container().unwrap();
        assert_eq!(
            (&container.capability_add, &container.capability_drop),
            (&stored_add, &stored_drop)
        );
    }
}

#[test]
fn all_broken_rules_are_named_at_once_and_no_value_is_shown() {
    let mut spec = ServiceSpec::least();
    spec.annotations.name = "-".to_owned();
    spec.task.resources.limits.nano_cpus = 1;
    if let TaskRuntime::Container(container) = &mut spec.task.runtime {
        container.env = vec!["=hunter2".to_owned()];
    }
    let refused = resolve(spec, &mut IdSource::seeded(1)).unwrap_err();
    let rules: Vec<_> = refused.violations.iter().map(|violation| violation.rule.0).collect();
    assert_eq!(rules, ["service-name", "cpu-limit", "env"]);
    assert!(!refused.to_string().contains("hunter2"));
}

proptest! {
    /// Generated names keep the rule of names, and the same seed gives the same one.
    #[test]
    fn generated_names_are_allowed(seed: u64) {
        let name = |seed| resolve(ServiceSpec::least(), &mut IdSource::seeded(seed)).unwrap().annotations.name.clone();
        prop_assert_eq!(name(seed), name(seed));
    }

    /// A name passes exactly when its characters, ends and length are right.
    #[test]
    fn names_follow_their_grammar(name in "[a-z0-9_.-]{1,5}|[a-zA-Z]{60,66}") {
        let mut spec = ServiceSpec::least();
        spec.annotations.name.clone_from(&name);
        let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let good = !name.contains('.') && name.len() <= 63 && ends(name.chars().next()) && ends(name.chars().last());
        prop_assert_eq!(resolve(spec, &mut IdSource::seeded(1)).is_ok(), good);
    }
}

//! Rules about a service as a whole: name, mode, updates, ports.

use std::time::Duration;

use super::Rule;
use super::form::{bad_dns_name, bad_label, too_long, twice};
use crate::spec::service::{
    EndpointMode, FailureAction, PortConfig, PublishMode, ServiceMode, ServiceSpec, UpdateConfig,
};

pub(super) const RULES: &[Rule<ServiceSpec>] = &[
    Rule {
        id: "service-name",
        field: "Name",
        says: "invalid name: must be valid as a DNS name component, at most 63 characters",
        found: |spec| bad_dns_name(&spec.annotations),
        breaks: |spec| spec.annotations.name = "a.b".to_owned(),
    },
    Rule {
        id: "service-label",
        field: "Labels",
        says: "a label needs a key without blanks around it",
        found: |spec| bad_label(&spec.annotations.labels),
        breaks: |spec| drop(spec.annotations.labels.insert(String::new(), String::new())),
    },
    Rule {
        id: "job-update-config",
        field: "UpdateConfig",
        says: "a job must not carry an UpdateConfig or a RollbackConfig",
        found: |spec| {
            let carries = spec.update.is_some() || spec.rollback.is_some();
            (spec.mode.is_job() && carries).then(|| "one".to_owned())
        },
        breaks: |spec| {
            spec.mode = ServiceMode::GlobalJob;
            spec.update = Some(UpdateConfig::default());
        },
    },
    Rule {
        id: "update-ratio",
        field: "UpdateConfig.MaxFailureRatio",
        says: "update max failure ratio must be between 0 and 1",
        found: |spec| bad_ratio(spec.update.as_ref()),
        breaks: |spec| spec.update = Some(all_and_one()),
    },
    Rule {
        id: "update-duration",
        field: "UpdateConfig",
        says: "delay and monitor must fit 64 bits of nanoseconds",
        found: |spec| bad_duration(spec.update.as_ref()),
        breaks: |spec| spec.update = Some(endless()),
    },
    Rule {
        id: "rollback-ratio",
        field: "RollbackConfig.MaxFailureRatio",
        says: "rollback max failure ratio must be between 0 and 1",
        found: |spec| bad_ratio(spec.rollback.as_ref()),
        breaks: |spec| spec.rollback = Some(all_and_one()),
    },
    Rule {
        id: "rollback-duration",
        field: "RollbackConfig",
        says: "delay and monitor must fit 64 bits of nanoseconds",
        found: |spec| bad_duration(spec.rollback.as_ref()),
        breaks: |spec| spec.rollback = Some(endless()),
    },
    Rule {
        id: "rollback-action",
        field: "RollbackConfig.FailureAction",
        says: "a roll-back that fails can pause or continue",
        found: |spec| {
            let action = spec.rollback.as_ref()?.failure_action;
            (action == FailureAction::Rollback).then(|| "rollback".to_owned())
        },
        breaks: |spec| {
            let failure_action = FailureAction::Rollback;
            spec.rollback = Some(UpdateConfig { failure_action, ..UpdateConfig::default() });
        },
    },
    Rule {
        id: "port-target",
        field: "EndpointSpec.Ports",
        says: "the target port must be between 1 and 65535",
        found: |spec| {
            spec.endpoint.ports.iter().any(|port| port.target == 0).then(|| "0".to_owned())
        },
        breaks: |spec| spec.endpoint.ports = vec![PortConfig::default()],
    },
    Rule {
        id: "port-twice",
        field: "EndpointSpec.Ports",
        says: "duplicate published ports provided: a port and protocol can be published once",
        found: |spec| {
            // Port 0 is chosen by the cluster and collides with nothing.
            let fixed = spec.endpoint.ports.iter().filter(|port| port.published != 0);
            twice(fixed.map(|port| (port.published, port.protocol)))
                .map(|(port, protocol)| format!("{port}/{}", protocol.as_str()))
        },
        breaks: |spec| {
            let first = PortConfig { target: 80, published: 8080, ..PortConfig::default() };
            let second = PortConfig { target: 81, mode: PublishMode::Host, ..first.clone() };
            spec.endpoint.ports = vec![first, second];
        },
    },
    Rule {
        id: "port-ingress-dnsrr",
        field: "EndpointSpec.Mode",
        says: "a port published in ingress mode can't be used with dnsrr mode",
        found: |spec| {
            let mut ports = spec.endpoint.ports.iter();
            let port = ports.find(|port| port.mode == PublishMode::Ingress)?;
            (spec.endpoint.mode == EndpointMode::DnsRr).then(|| format!("port {}", port.published))
        },
        breaks: |spec| {
            spec.endpoint.mode = EndpointMode::DnsRr;
            spec.endpoint.ports = vec![PortConfig { target: 80, ..PortConfig::default() }];
        },
    },
];

const WHOLE: u32 = 1_000_000;

fn bad_ratio(config: Option<&UpdateConfig>) -> Option<String> {
    let ratio = config?.max_failure_millionths;
    (ratio > WHOLE).then(|| format!("{ratio} millionths"))
}

fn bad_duration(config: Option<&UpdateConfig>) -> Option<String> {
    config.and_then(|config| too_long(&[config.delay, config.monitor]))
}

fn all_and_one() -> UpdateConfig {
    UpdateConfig { max_failure_millionths: WHOLE + 1, ..UpdateConfig::default() }
}

fn endless() -> UpdateConfig {
    UpdateConfig { monitor: Duration::MAX, ..UpdateConfig::default() }
}

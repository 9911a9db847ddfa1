//! Rules about the settings of the cluster.

use std::time::Duration;

use super::Rule;
use super::form::{bad_label, shown, too_long};
use crate::defaults::CLUSTER_NAME;
use crate::spec::cluster::{ClusterSpec, ExternalCa};
use crate::text;

const EXPIRY_MIN: Duration = Duration::from_secs(3600);

pub(super) const RULES: &[Rule<ClusterSpec>] = &[
    Rule {
        id: "cluster-name",
        field: "Name",
        says: "the name of the cluster must be default",
        found: |spec| {
            let name = &spec.annotations.name;
            (name != CLUSTER_NAME).then(|| shown(name))
        },
        breaks: |spec| spec.annotations.name = "other".to_owned(),
    },
    Rule {
        id: "cluster-label",
        field: "Labels",
        says: "a label needs a key without blanks around it",
        found: |spec| bad_label(&spec.annotations.labels),
        breaks: |spec| drop(spec.annotations.labels.insert(String::new(), String::new())),
    },
    Rule {
        id: "cert-expiry",
        field: "CAConfig.NodeCertExpiry",
        says: "the minimum certificate expiry time is 1h0m0s",
        found: |spec| {
            let expiry = spec.ca.node_cert_expiry;
            let short = (expiry < EXPIRY_MIN).then(|| text::format_duration(expiry));
            short.or_else(|| too_long(&[expiry]))
        },
        breaks: |spec| spec.ca.node_cert_expiry = EXPIRY_MIN - Duration::from_secs(1),
    },
    Rule {
        id: "heartbeat",
        field: "Dispatcher.HeartbeatPeriod",
        says: "the heartbeat period must not be negative and fit 64 bits of nanoseconds",
        found: |spec| too_long(&[spec.heartbeat_period]),
        breaks: |spec| spec.heartbeat_period = Duration::MAX,
    },
    Rule {
        id: "external-ca",
        field: "CAConfig.ExternalCAs",
        says: "an external CA must have protocol cfssl and an https URL",
        found: |spec| {
            let good = |it: &ExternalCa| it.protocol == "cfssl" && it.url.starts_with("https://");
            spec.ca.external_cas.iter().find(|it| !good(it)).map(|it| shown(&it.url))
        },
        breaks: |spec| spec.ca.external_cas = vec![ExternalCa::default()],
    },
    Rule {
        id: "signing-key",
        field: "CAConfig.SigningCACert",
        says: "a signing key comes with its certificate",
        found: |spec| {
            let alone = spec.ca.signing_cert.is_empty() && !spec.ca.signing_key.expose().is_empty();
            alone.then(|| "a key alone".to_owned())
        },
        breaks: |spec| spec.ca.signing_key = crate::Sensitive::new(vec![0]),
    },
];

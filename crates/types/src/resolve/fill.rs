//! What was left out is filled in, what was typed is brought into its stored form.
//!
//! Values come from [`crate::defaults`]. The image keeps the text the user typed.

use crate::IdSource;
use crate::defaults;
use crate::spec::cluster::ClusterSpec;
use crate::spec::container::ContainerSpec;
use crate::spec::network::NetworkSpec;
use crate::spec::service::{ServiceMode, ServiceSpec, UpdateConfig};
use crate::spec::task::TaskRuntime;

pub(super) fn service(spec: &mut ServiceSpec, ids: &mut IdSource) {
    if spec.annotations.name.is_empty() {
        spec.annotations.name = super::names::draw(ids);
    }
    if let ServiceMode::ReplicatedJob { max_concurrent, total_completions } = &mut spec.mode {
        *max_concurrent = (*max_concurrent).max(1);
        if *total_completions == 0 {
            *total_completions = *max_concurrent;
        }
    }
    if !spec.mode.is_job() {
        spec.update.get_or_insert_with(UpdateConfig::default);
        spec.rollback.get_or_insert_with(UpdateConfig::default);
    }
    if let TaskRuntime::Container(it) = &mut spec.task.runtime {
        container(it);
    }
}

fn container(it: &mut ContainerSpec) {
    capabilities(&mut it.capability_add);
    capabilities(&mut it.capability_drop);
    // Adding wins over dropping the same one.
    let add = &it.capability_add;
    it.capability_drop.retain(|name| !add.contains(name));
}

/// Upper case with the `CAP_` prefix, sorted, once each; `ALL` stands for the whole list.
fn capabilities(names: &mut Vec<String>) {
    for name in &mut *names {
        let upper = name.trim().to_ascii_uppercase();
        *name = match upper.as_str() {
            "" | "ALL" | "CAP_ALL" => upper.trim_start_matches("CAP_").to_owned(),
            known if known.starts_with("CAP_") => upper,
            _ => format!("CAP_{upper}"),
        };
    }
    names.sort();
    names.dedup();
    if names.iter().any(|name| name == "ALL") {
        *names = vec!["ALL".to_owned()];
    }
}

pub(super) fn network(spec: &mut NetworkSpec) {
    if spec.driver.name.is_empty() {
        defaults::NETWORK_DRIVER.clone_into(&mut spec.driver.name);
    }
}

pub(super) fn cluster(spec: &mut ClusterSpec) {
    if spec.annotations.name.is_empty() {
        defaults::CLUSTER_NAME.clone_into(&mut spec.annotations.name);
    }
    if spec.heartbeat_period.is_zero() {
        spec.heartbeat_period = defaults::HEARTBEAT_PERIOD;
    }
    if spec.ca.node_cert_expiry.is_zero() {
        spec.ca.node_cert_expiry = defaults::NODE_CERT_EXPIRY;
    }
}

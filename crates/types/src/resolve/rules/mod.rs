//! Every rule a spec has to keep, in one table per kind of object.
//!
//! A row says where it applies, what it demands, how a breach is found, and how to make one:
//! the last is the negative case from which a test proves that the rule bites. A rule looks at
//! one spec only; it knows neither the cluster nor the clock.

mod cluster;
mod container;
mod files;
mod form;
mod network;
mod node;
mod secret;
mod service;
mod task;

use super::{RuleId, Spec, Violation, fill};
use crate::IdSource;
use crate::spec::Annotations;
use crate::spec::cluster::ClusterSpec;
use crate::spec::container::ContainerSpec;
use crate::spec::network::NetworkSpec;
use crate::spec::node::NodeSpec;
use crate::spec::secret::{ConfigSpec, SecretSpec};
use crate::spec::service::ServiceSpec;
use crate::spec::task::{NetworkAttachmentConfig, NetworkTarget, TaskRuntime, TaskSpec};

/// One rule about a `T`.
struct Rule<T: 'static> {
    /// Its name.
    id: &'static str,
    /// Where it applies.
    field: &'static str,
    /// What it demands. Key words that scripts look for stand here.
    says: &'static str,
    /// What was found that breaks it, in a form fit to print; `None` when it is kept.
    found: fn(&T) -> Option<String>,
    /// Makes a `T` that keeps the rule break it.
    breaks: fn(&mut T),
}

fn broken<T>(rules: &[Rule<T>], spec: &T) -> impl Iterator<Item = Violation> {
    rules.iter().filter_map(|rule| {
        let found = (rule.found)(spec)?;
        let message = format!("{}; found {found}", rule.says);
        Some(Violation { field: rule.field, rule: RuleId(rule.id), message })
    })
}

/// For every rule about the part of `S` that `with_part` reaches, an `S` that breaks it.
fn negatives<S: Spec, T>(
    rules: &'static [Rule<T>],
    with_part: fn(&mut S, fn(&mut T)),
) -> impl Iterator<Item = (RuleId, S)> {
    rules.iter().map(move |rule| {
        let mut spec = S::least();
        with_part(&mut spec, rule.breaks);
        (RuleId(rule.id), spec)
    })
}

impl Spec for ServiceSpec {
    fn fill(&mut self, ids: &mut IdSource) {
        fill::service(self, ids);
    }

    fn broken(&self) -> Vec<Violation> {
        let container = self.task.container().into_iter().flat_map(|container| {
            broken(container::RULES, container).chain(broken(files::RULES, container))
        });
        broken(service::RULES, self)
            .chain(broken(task::RULES, &self.task))
            .chain(container)
            .collect()
    }

    fn least() -> Self {
        let container = ContainerSpec { image: "web".to_owned(), ..ContainerSpec::default() };
        let host = NetworkAttachmentConfig { target: NetworkTarget::Host, ..Default::default() };
        let runtime = TaskRuntime::Container(Box::new(container));
        Self {
            task: TaskSpec { runtime, networks: vec![host], ..TaskSpec::default() },
            ..Self::default()
        }
    }

    fn negatives() -> Vec<(RuleId, Self)> {
        let container = |spec: &mut Self, breaks: fn(&mut ContainerSpec)| {
            if let TaskRuntime::Container(it) = &mut spec.task.runtime {
                breaks(it);
            }
        };
        negatives(service::RULES, |spec: &mut Self, breaks| breaks(spec))
            .chain(negatives(task::RULES, |spec: &mut Self, breaks| breaks(&mut spec.task)))
            .chain(negatives(container::RULES, container))
            .chain(negatives(files::RULES, container))
            .collect()
    }
}

/// The kinds whose rules are one table over the whole spec.
macro_rules! plain_spec {
    ($($spec:ty, $rules:path, $fill:expr, $least:expr;)*) => {$(
        impl Spec for $spec {
            fn fill(&mut self, _: &mut IdSource) {
                let fill: fn(&mut Self) = $fill;
                fill(self);
            }
            fn broken(&self) -> Vec<Violation> {
                broken($rules, self).collect()
            }
            fn least() -> Self {
                $least
            }
            fn negatives() -> Vec<(RuleId, Self)> {
                negatives($rules, |spec: &mut Self, breaks| breaks(spec)).collect()
            }
        }
    )*};
}

plain_spec! {
    NodeSpec, node::RULES, |_| {}, Self::default();
    NetworkSpec, network::RULES, fill::network,
        Self { annotations: named("net"), ..Self::default() };
    SecretSpec, secret::SECRET_RULES, |_| {},
        Self { annotations: named("key"), data: crate::Sensitive::new(vec![0]), ..Self::default() };
    ConfigSpec, secret::CONFIG_RULES, |_| {},
        Self { annotations: named("site"), data: vec![0], ..Self::default() };
    ClusterSpec, cluster::RULES, fill::cluster, Self::default();
}

fn named(name: &str) -> Annotations {
    Annotations { name: name.to_owned(), ..Annotations::default() }
}

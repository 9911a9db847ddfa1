//! Objects in the JSON shape of Docker's API: its keys, nanoseconds, and nothing where Docker
//! leaves a key out.

mod cluster;
mod container;
mod image;
mod node;
mod service;
pub(crate) mod words;

use serde_json::{Map, Value, json};
use swarm_client::Info;
use swarm_types::{Meta, Timestamp};

pub(crate) use image::image;
pub(crate) use node::node;
pub(crate) use service::service;

/// What `swarm info` knows, under the keys of Docker's `Swarm` section; `expires` is when the
/// node's certificate does.
pub(crate) fn info(info: &Info, expires: Option<Timestamp>) -> Value {
    let text = |id: Option<String>| Value::from(id.unwrap_or_default());
    let id = text(info.cluster.map(|id| id.to_string()));
    let cluster = Fields::default().with("ID", id);
    let cluster = match &info.settings {
        Some(spec) => cluster.with("Spec", cluster::spec(spec)),
        None => cluster.without(&["Spec"]),
    };
    let remote = info.manager_addresses.iter().map(|addr| json!({ "Addr": addr }));
    let reachable: Vec<String> = info.reachable.iter().map(ToString::to_string).collect();
    let swarm = Fields::default()
        .with("NodeID", text(info.node.map(|id| id.to_string())))
        .with("NodeAddr", info.host())
        .with("LocalNodeState", info.state.to_string())
        .with("ControlAvailable", info.is_manager)
        .with("Error", info.error.as_str())
        .with("Nodes", info.nodes)
        .with("Managers", info.managers)
        .with_some("RemoteManagers", remote.collect::<Vec<_>>())
        .with("Cluster", cluster)
        .with("Leader", text(info.leader.map(|id| id.to_string())))
        .with_some("Reachable", reachable)
        .with_some("CertificateExpiresAt", expires.map(time))
        .with("RaftIndex", info.applied_index);
    Fields::default()
        .with("Swarm", swarm)
        .with("ServerVersion", info.version.as_str())
        .with("ContainerdVersion", info.containerd_version.as_str())
        .into()
}

/// An object that is built key by key. What it leaves out stays known with its zero value, so
/// that a template can tell a field that is empty from one there is not.
#[derive(Default)]
struct Fields {
    shown: Map<String, Value>,
    unset: Map<String, Value>,
}

impl Fields {
    /// A key that is always there.
    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.shown.insert(key.to_owned(), value.into());
        self
    }

    /// A key that is left out when its value is zero, empty or null.
    fn with_some(mut self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let empty = match &value {
            Value::Null => true,
            Value::Bool(flag) => !flag,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
        };
        let fields = if empty { &mut self.unset } else { &mut self.shown };
        fields.insert(key.to_owned(), value);
        self
    }

    /// Keys of Docker's that nothing here has a value for.
    fn without(mut self, keys: &[&str]) -> Self {
        self.unset.extend(keys.iter().map(|key| ((*key).to_owned(), Value::Null)));
        self
    }

    fn with_meta(self, meta: &Meta) -> Self {
        self.with("Version", Fields::default().with("Index", meta.version))
            .with("CreatedAt", time(meta.created_at))
            .with("UpdatedAt", time(meta.updated_at))
    }
}

impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        let mut object = fields.shown;
        object.insert(swarm_template::UNSET.to_owned(), Self::Object(fields.unset));
        Self::Object(object)
    }
}

/// A number as Go writes it: without decimals when it has none.
fn number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole, and small enough to be exact")]
    if value.fract() == 0.0 && value.abs() < 1e15 { (value as i64).into() } else { value.into() }
}

fn each<T>(items: &[T], fields: impl Fn(&T) -> Fields) -> Vec<Value> {
    items.iter().map(|item| fields(item).into()).collect()
}

/// RFC 3339 with nanoseconds, in UTC.
pub(crate) fn time(at: Timestamp) -> Value {
    let text = jiff::Timestamp::from_nanosecond(i128::from(at.0)).map(|time| time.to_string());
    Value::from(text.unwrap_or_default())
}

/// Docker's unit of durations.
fn nanoseconds(duration: std::time::Duration) -> Value {
    Value::from(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

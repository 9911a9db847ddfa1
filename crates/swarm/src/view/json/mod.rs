//! Objects in the JSON shape of Docker's API: its keys, nanoseconds, and nothing where Docker
//! leaves a key out.

mod container;
mod node;
mod service;
pub(crate) mod words;

use serde_json::{Map, Value, json};
use swarm_client::Info;
use swarm_types::{Meta, Timestamp};

pub(crate) use node::node;
pub(crate) use service::service;

/// What `swarm info` knows, under the keys of Docker's `Swarm` section.
pub(crate) fn info(info: &Info) -> Value {
    let text = |id: Option<String>| Value::from(id.unwrap_or_default());
    json!({
        "Swarm": {
            "NodeID": text(info.node.map(|id| id.to_string())),
            "NodeAddr": info.address,
            "LocalNodeState": info.state.to_string(),
            "ControlAvailable": info.is_manager,
            "Error": info.error,
            "Nodes": info.nodes,
            "Managers": info.managers,
            "Cluster": { "ID": text(info.cluster.map(|id| id.to_string())) },
            "Leader": text(info.leader.map(|id| id.to_string())),
            "RaftIndex": info.applied_index,
        },
        "ServerVersion": info.version,
        "ContainerdVersion": info.containerd_version,
    })
}

/// An object that is built key by key and leaves out what is empty.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    /// A key that is always there.
    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// A key that is left out when its value is zero, empty or null.
    fn with_some(self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let empty = match &value {
            Value::Null => true,
            Value::Bool(flag) => !flag,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
        };
        if empty { self } else { self.with(key, value) }
    }

    fn with_meta(self, meta: &Meta) -> Self {
        self.with("Version", json!({ "Index": meta.version }))
            .with("CreatedAt", time(meta.created_at))
            .with("UpdatedAt", time(meta.updated_at))
    }
}

impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        Self::Object(fields.0)
    }
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

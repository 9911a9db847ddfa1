//! What happens to objects, from now on.

use std::collections::BTreeMap;

use swarm_proto::v1;
use swarm_types::Timestamp;
use tonic::Streaming;

use crate::{Client, ClientError};

/// Kinds of objects that events are about, with their words.
const KINDS: [(v1::ObjectKind, &str); 8] = [
    (v1::ObjectKind::Cluster, "cluster"),
    (v1::ObjectKind::Node, "node"),
    (v1::ObjectKind::Service, "service"),
    (v1::ObjectKind::Task, "task"),
    (v1::ObjectKind::Network, "network"),
    (v1::ObjectKind::Secret, "secret"),
    (v1::ObjectKind::Config, "config"),
    (v1::ObjectKind::Volume, "volume"),
];

/// What happened to one object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectEvent {
    /// When, on the leader's clock.
    pub at: Timestamp,
    /// Word of the object's kind, such as `service`.
    pub kind: &'static str,
    /// `create`, `update` or `remove`.
    pub action: &'static str,
    /// The object.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What changed, by Docker's keys.
    pub attributes: BTreeMap<String, String>,
}

/// Events in order. Drop it to stop.
#[derive(Debug)]
pub struct Events {
    stream: Streaming<v1::WatchResponse>,
    target: String,
}

impl Client {
    /// Events from now on of objects of these kinds; none means all.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when the node is no manager.
    pub async fn events(&self, kinds: &[&str]) -> Result<Events, ClientError> {
        let wanted = KINDS.iter().filter(|(_, word)| kinds.contains(word));
        let request = v1::WatchRequest { kinds: wanted.map(|(kind, _)| (*kind).into()).collect() };
        let mut control = self.control();
        let stream = self.call_once(control.watch(request), crate::CALL_DEADLINE).await?;
        Ok(Events { stream, target: self.target.clone() })
    }

    /// The words that [`Self::events`] takes.
    #[must_use]
    pub fn event_kinds() -> Vec<&'static str> {
        KINDS.iter().map(|(_, word)| *word).collect()
    }
}

impl Events {
    /// The next events; `None` when the manager ended the stream.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when this reader fell too far behind.
    pub async fn next(&mut self) -> Result<Option<Vec<ObjectEvent>>, ClientError> {
        let message = self.stream.message().await;
        let message = message.map_err(|status| ClientError::of(&self.target, status))?;
        Ok(message.map(|message| {
            let at = Timestamp(message.at_ns);
            message.events.into_iter().filter_map(|event| read(at, event)).collect()
        }))
    }
}

/// `None` for what this version has no word for.
fn read(at: Timestamp, event: v1::ObjectEvent) -> Option<ObjectEvent> {
    use v1::object_event::Action;
    let action = match event.action() {
        Action::Create => "create",
        Action::Update => "update",
        Action::Remove => "remove",
        Action::Unspecified => return None,
    };
    let kind = KINDS.iter().find(|(kind, _)| *kind == event.kind()).map(|(_, word)| *word)?;
    Some(ObjectEvent {
        at,
        kind,
        action,
        id: String::from_utf8(event.id).ok()?,
        name: event.name,
        attributes: event.attributes.into_iter().collect(),
    })
}

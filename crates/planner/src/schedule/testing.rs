//! A node for the tests of the scheduler's parts.

use swarm_types::object::node::{NodeDescription, NodeState, NodeStatus};
use swarm_types::spec::node::NodeSpec;
use swarm_types::spec::task::Platform;
use swarm_types::{IdSource, Meta, Node};

/// A ready worker on linux/x86_64.
pub(super) fn node() -> Node {
    Node {
        id: IdSource::seeded(1).draw(),
        meta: Meta::default(),
        spec: NodeSpec::default(),
        description: NodeDescription {
            platform: Platform { os: "linux".to_owned(), architecture: "x86_64".to_owned() },
            ..NodeDescription::default()
        },
        status: NodeStatus { state: NodeState::Ready, ..NodeStatus::default() },
        role: Default::default(),
        key_fingerprint: Vec::new(),
        session: None,
        attachments: Vec::new(),
    }
}

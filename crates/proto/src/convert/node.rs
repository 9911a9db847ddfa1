//! Nodes.

use swarm_types::Node;
use swarm_types::object::node::{
    NodeAttachment, NodeDescription, NodeSession, NodeState, NodeStatus, Plugin, TlsInfo,
};
use swarm_types::spec::node::{Availability, Membership, NodeRole, NodeSpec};

use crate::codec::{mirror, words};

words! {
    NodeRole { Worker, Manager }
    Membership { Pending, Accepted }
    Availability { Active, Pause, Drain }
    NodeState { Unknown, Down, Ready, Disconnected }
}

mirror!(NodeSpec { annotations: need, role: word, membership: word, availability: word });
mirror!(Node {
    id: id,
    meta: need,
    spec: need,
    description: need,
    status: need,
    role: word,
    key_fingerprint: same,
    session: maybe,
    attachments: list,
});
mirror!(NodeDescription {
    hostname: same,
    platform: need,
    nano_cpus: same,
    memory_bytes: same,
    generic: list,
    engine_version: same,
    engine_labels: same,
    plugins: list,
    tls: need,
});
mirror!(Plugin { kind: same, name: same });
mirror!(TlsInfo { trust_root: same, issuer_subject: same, issuer_public_key: same });
mirror!(NodeStatus { state: word, message: same, addr: same });
mirror!(NodeSession { id: id, manager: id, boot_id: same }
    as { opened_at_ns = opened_at: time });
mirror!(NodeAttachment { network: id, address: addr });

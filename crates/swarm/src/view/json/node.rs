//! A node as `GET /nodes/{id}` shows it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use swarm_client::{Managers, Standing};
use swarm_types::Node;

use super::{Fields, each};
use crate::view::node_list::reachability;

/// The node, and how its manager stands among the others.
pub(crate) fn node(node: &Node, managers: &Managers) -> Value {
    let description = &node.description;
    let spec = Fields::default()
        .with_some("Name", node.spec.annotations.name.as_str())
        .with("Labels", json!(node.spec.annotations.labels))
        .with("Role", node.spec.role.as_str())
        .with("Availability", node.spec.availability.as_str());
    let status = Fields::default()
        .with("State", node.status.state.as_str())
        .with_some("Message", node.status.message.as_str())
        .with_some("Addr", node.status.addr.as_str());
    let manager = managers.standing(node).map(|standing| {
        Value::from(
            Fields::default()
                .with_some("Leader", standing == Standing::Leader)
                .with("Reachability", reachability(standing))
                .with("Addr", managers.addr(node)),
        )
    });
    let plugins = each(&description.plugins, |it| {
        Fields::default().with("Type", it.kind.as_str()).with("Name", it.name.as_str())
    });
    let engine = Fields::default()
        .with("EngineVersion", description.engine_version.as_str())
        .with_some("Labels", json!(description.engine_labels))
        .with_some("Plugins", plugins);
    let platform = Fields::default()
        .with("Architecture", description.platform.architecture.as_str())
        .with("OS", description.platform.os.as_str());
    let resources = Fields::default()
        .with("NanoCPUs", description.nano_cpus)
        .with("MemoryBytes", description.memory_bytes)
        .without(&["GenericResources"]);
    let tls = Fields::default()
        .with("TrustRoot", description.tls.trust_root.as_str())
        .with("CertIssuerSubject", STANDARD.encode(&description.tls.issuer_subject))
        .with("CertIssuerPublicKey", STANDARD.encode(&description.tls.issuer_public_key));
    let description = Fields::default()
        .with("Hostname", description.hostname.as_str())
        .with("Platform", platform)
        .with("Resources", resources)
        .with("Engine", engine)
        .with("TLSInfo", tls)
        .without(&["CSIInfo"]);
    Fields::default()
        .with("ID", node.id.as_str())
        .with_meta(&node.meta)
        .with("Spec", spec)
        .with("Description", description)
        .with("Status", status)
        .with_some("ManagerStatus", manager)
        .into()
}

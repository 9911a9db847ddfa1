//! Words of Docker's API for values that are enums here.

use swarm_types::object::service::UpdateState;
use swarm_types::spec::mount::{Consistency, MountKind, Propagation};
use swarm_types::spec::service::{EndpointMode, FailureAction, PublishMode, UpdateOrder};
use swarm_types::spec::task::NetworkTarget;

pub(crate) const fn failure_action(action: FailureAction) -> &'static str {
    match action {
        FailureAction::Pause => "pause",
        FailureAction::Continue => "continue",
        FailureAction::Rollback => "rollback",
    }
}

pub(crate) const fn update_order(order: UpdateOrder) -> &'static str {
    match order {
        UpdateOrder::StopFirst => "stop-first",
        UpdateOrder::StartFirst => "start-first",
    }
}

pub(crate) const fn update_state(state: UpdateState) -> &'static str {
    match state {
        UpdateState::Updating => "updating",
        UpdateState::Paused => "paused",
        UpdateState::Completed => "completed",
        UpdateState::RollbackStarted => "rollback_started",
        UpdateState::RollbackPaused => "rollback_paused",
        UpdateState::RollbackCompleted => "rollback_completed",
    }
}

pub(crate) const fn endpoint_mode(mode: EndpointMode) -> &'static str {
    match mode {
        EndpointMode::Vip => "vip",
        EndpointMode::DnsRr => "dnsrr",
    }
}

pub(crate) const fn publish_mode(mode: PublishMode) -> &'static str {
    match mode {
        PublishMode::Ingress => "ingress",
        PublishMode::Host => "host",
    }
}

pub(crate) const fn mount_kind(kind: MountKind) -> &'static str {
    match kind {
        MountKind::Bind => "bind",
        MountKind::Volume => "volume",
        MountKind::Tmpfs => "tmpfs",
        MountKind::NamedPipe => "npipe",
        MountKind::Cluster => "cluster",
        MountKind::Image => "image",
    }
}

/// Empty for the default.
pub(crate) const fn consistency(consistency: Consistency) -> &'static str {
    match consistency {
        Consistency::Default => "",
        Consistency::Full => "consistent",
        Consistency::Cached => "cached",
        Consistency::Delegated => "delegated",
    }
}

pub(crate) const fn propagation(propagation: Propagation) -> &'static str {
    match propagation {
        Propagation::RPrivate => "rprivate",
        Propagation::Private => "private",
        Propagation::RShared => "rshared",
        Propagation::Shared => "shared",
        Propagation::RSlave => "rslave",
        Propagation::Slave => "slave",
    }
}

pub(crate) fn network(target: NetworkTarget) -> String {
    match target {
        NetworkTarget::Host => "host".to_owned(),
        NetworkTarget::None => "none".to_owned(),
        NetworkTarget::Network(id) => id.to_string(),
    }
}

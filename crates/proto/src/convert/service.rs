//! Services.

use swarm_types::Service;
use swarm_types::object::service::{
    Endpoint, JobStatus, PreviousSpec, UpdateState, UpdateStatus, VirtualIp,
};
use swarm_types::spec::service::{
    EndpointMode, EndpointSpec, FailureAction, PortConfig, Protocol, PublishMode, ServiceMode,
    ServiceSpec, UpdateConfig, UpdateOrder,
};

use crate::codec::{mirror, words};
use crate::v1::service_mode as wire;
use crate::{DecodeError, v1};

words! {
    FailureAction { Pause, Continue, Rollback }
    UpdateOrder { StopFirst, StartFirst }
    EndpointMode { Vip, DnsRr }
    Protocol { Tcp, Udp, Sctp }
    PublishMode { Ingress, Host }
    UpdateState {
        Updating, Paused, Completed, RollbackStarted, RollbackPaused, RollbackCompleted
    }
}

mirror!(ServiceSpec {
    annotations: need,
    task: need,
    mode: need,
    update: maybe,
    rollback: maybe,
    endpoint: need,
});
mirror!(UpdateConfig {
    parallelism: same,
    failure_action: word,
    max_failure_millionths: same,
    order: word,
} as { delay_ns = delay: span, monitor_ns = monitor: span });
mirror!(EndpointSpec { mode: word, ports: list });
mirror!(PortConfig { name: same, protocol: word, target: small, published: small, mode: word });

mirror!(Service {
    id: id,
    meta: need,
    spec: need,
    previous: maybe,
    endpoint: need,
    update_status: maybe,
    job: maybe,
});
mirror!(PreviousSpec { spec: need, spec_version: same });
mirror!(Endpoint { ports: list, virtual_ips: list });
mirror!(VirtualIp { network: id, address: addr });
mirror!(UpdateStatus { state: word, message: same }
    as { started_at_ns = started_at: maybe_time, completed_at_ns = completed_at: maybe_time });
mirror!(JobStatus { iteration: same } as { last_execution_ns = last_execution: time });

impl From<&ServiceMode> for v1::ServiceMode {
    fn from(it: &ServiceMode) -> Self {
        let mode = match *it {
            ServiceMode::Replicated { replicas } => {
                wire::Mode::Replicated(wire::Replicated { replicas })
            }
            ServiceMode::Global => wire::Mode::Global(wire::Global {}),
            ServiceMode::ReplicatedJob { max_concurrent, total_completions } => {
                wire::Mode::ReplicatedJob(wire::ReplicatedJob { max_concurrent, total_completions })
            }
            ServiceMode::GlobalJob => wire::Mode::GlobalJob(wire::GlobalJob {}),
        };
        Self { mode: Some(mode) }
    }
}

impl TryFrom<v1::ServiceMode> for ServiceMode {
    type Error = DecodeError;
    fn try_from(it: v1::ServiceMode) -> Result<Self, DecodeError> {
        Ok(match it.mode.ok_or_else(|| DecodeError::missing("mode"))? {
            wire::Mode::Replicated(it) => Self::Replicated { replicas: it.replicas },
            wire::Mode::Global(_) => Self::Global,
            wire::Mode::ReplicatedJob(it) => Self::ReplicatedJob {
                max_concurrent: it.max_concurrent,
                total_completions: it.total_completions,
            },
            wire::Mode::GlobalJob(_) => Self::GlobalJob,
        })
    }
}

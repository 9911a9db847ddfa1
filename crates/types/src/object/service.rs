//! A service.

use ipnetwork::IpNetwork;

use super::Meta;
use crate::spec::service::{PortConfig, ServiceSpec};
use crate::{NetworkId, ServiceId, Timestamp};

/// A service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// Its id.
    pub id: ServiceId,
    /// Versions and times; `spec_version` is what tasks are compared with.
    pub meta: Meta,
    /// What it should be.
    pub spec: ServiceSpec,
    /// What a roll-back returns to.
    pub previous: Option<PreviousSpec>,
    /// Ports and addresses that were worked out.
    pub endpoint: Endpoint,
    /// The running or last update.
    pub update_status: Option<UpdateStatus>,
    /// Only for jobs.
    pub job: Option<JobStatus>,
}

/// A spec and its version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreviousSpec {
    /// The spec.
    pub spec: ServiceSpec,
    /// Its version.
    pub spec_version: u64,
}

/// Ports and addresses of a service.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Endpoint {
    /// Published ports, none of them 0.
    pub ports: Vec<PortConfig>,
    /// Virtual addresses.
    pub virtual_ips: Vec<VirtualIp>,
}

/// A service's virtual address on a network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VirtualIp {
    /// The network.
    pub network: NetworkId,
    /// The address with the network's prefix length.
    pub address: IpNetwork,
}

/// Where an update stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpdateStatus {
    /// Where it stands.
    pub state: UpdateState,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// Why, for people.
    pub message: String,
}

/// Where an update stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpdateState {
    /// Under way.
    Updating,
    /// Stopped by failures.
    Paused,
    /// Done.
    Completed,
    /// Rolling back.
    RollbackStarted,
    /// Rolling back, stopped by failures.
    RollbackPaused,
    /// Rolled back.
    RollbackCompleted,
}

/// Where a job stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct JobStatus {
    /// Grows with every update of the service.
    pub iteration: u64,
    /// When the iteration began.
    pub last_execution: Timestamp,
}

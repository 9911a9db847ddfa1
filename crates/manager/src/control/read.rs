//! What a read is answered from.

use std::time::{Duration, Instant};

use swarm_state::Snapshot;
use tonic::Status;

use super::Control;
use crate::errors;

/// How long a read may wait for a quorum.
const READ_DEADLINE: Duration = Duration::from_secs(3);

/// A snapshot to answer from.
pub(super) struct View {
    pub(super) snapshot: Snapshot,
    /// Only of stale reads: milliseconds since the replica last heard of a leader with a quorum.
    pub(super) age_ms: Option<u64>,
}

impl View {
    pub(super) fn index(&self) -> u64 {
        self.snapshot.applied()
    }
}

impl Control {
    /// The state after a quorum round that begins now, or with `stale` what is here.
    pub(super) async fn view(&self, stale: bool) -> Result<View, Status> {
        let raft = &self.core.raft;
        if stale {
            let age = u64::try_from(self.core.quorum_age().as_millis()).unwrap_or(u64::MAX);
            return Ok(View { snapshot: raft.snapshot(), age_ms: Some(age) });
        }
        let snapshot = raft
            .read(Instant::now() + READ_DEADLINE)
            .await
            .map_err(|error| errors::not_read(&error))?;
        Ok(View { snapshot, age_ms: None })
    }
}

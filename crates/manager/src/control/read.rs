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
            // Without a word of a leader it may be as old as it can be told.
            let age = self.core.quorum_age().map(|age| age.as_millis());
            let age = age.and_then(|age| u64::try_from(age).ok()).unwrap_or(u64::MAX);
            return Ok(View { snapshot: raft.snapshot(), age_ms: Some(age) });
        }
        let snapshot = raft
            .read(Instant::now() + READ_DEADLINE)
            .await
            .map_err(|error| errors::not_read(&error))?;
        Ok(View { snapshot, age_ms: None })
    }
}

//! The memory of request ids: a retry gets the first result, also after a restore.
//!
//! A request is remembered for [`REQUEST_MEMORY`] on the state's clock, and no longer than it
//! is among the newest [`REQUEST_LIMIT`]. Age is judged once per entry, so that every replica
//! forgets at the same point of the log; (time, id) orders requests, so that a restored replica
//! forgets the same ones.

use std::sync::Arc;
use std::time::Duration;

use immutable_chunkmap::map::Map;
use immutable_chunkmap::set::Set;
use swarm_types::{Refusal, RememberedRequest, RequestId, Timestamp};

use crate::hash::Sum;

/// How long a request is remembered, on the state's clock.
pub const REQUEST_MEMORY: Duration = Duration::from_secs(600);

/// How many requests are remembered; the oldest are forgotten first.
pub const REQUEST_LIMIT: usize = 65_536;

/// Kind of a request in the state hash.
const REQUEST: u8 = 33;

/// The remembered requests.
#[derive(Clone, Default)]
pub(crate) struct Requests {
    by_id: Map<RequestId, Arc<RememberedRequest>, 64>,
    by_age: Set<(Timestamp, RequestId), 64>,
    sum: Sum,
}

impl Requests {
    pub(crate) fn get(&self, id: &RequestId) -> Option<&Arc<RememberedRequest>> {
        self.by_id.get(id)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<RememberedRequest>> {
        self.by_id.into_iter().map(|(_, remembered)| remembered)
    }

    pub(crate) const fn sum(&self) -> Sum {
        self.sum
    }

    pub(crate) fn remember(&mut self, id: RequestId, at: Timestamp, outcome: Result<u64, Refusal>) {
        self.insert(RememberedRequest { request: id, at, outcome });
    }

    /// Enters a request that is not there yet.
    pub(crate) fn insert(&mut self, remembered: RememberedRequest) {
        self.sum.add(Sum::of(REQUEST, &remembered));
        self.by_age.insert_cow((remembered.at, remembered.request));
        self.by_id.insert_cow(remembered.request, Arc::new(remembered));
    }

    /// Forgets what is too old at `now` or too much.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        let mut surplus = self.len().saturating_sub(REQUEST_LIMIT);
        let mut leaving = Vec::new();
        for (at, id) in &self.by_age {
            if surplus == 0 && now.since(*at) < REQUEST_MEMORY {
                break;
            }
            surplus = surplus.saturating_sub(1);
            leaving.push((*at, *id));
        }
        for key in leaving {
            self.by_age.remove_cow(&key);
            if let Some(gone) = self.by_id.remove_cow(&key.1) {
                self.sum.subtract(Sum::of(REQUEST, &gone));
            }
        }
    }
}
